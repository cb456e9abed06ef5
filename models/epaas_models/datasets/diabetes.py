"""Diabetes 130-US hospitals: 101,766 stays in hospital, and whether the patient came back (Strack et al. 2014)."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epaas_models.datasets.dataset import Dataset
from epaas_models.datasets.files import DataFile, DataSettings, Progress, read

FILE = DataFile(
    folder="diabetes",
    name="dataset_diabetes.zip",
    sha256="0689e7ec031237dc63031b938805c48377748761a3b26acab621567afa24df97",
    source="the UCI repository, data set 296",
    url="https://archive.ics.uci.edu/static/public/296/diabetes+130-us+hospitals+for+years+1999-2008.zip",
    member="diabetic_data.csv",
)
CLASSES = ("NO", ">30", "<30")
NUMBERS = (
    "time_in_hospital",
    "num_lab_procedures",
    "num_procedures",
    "num_medications",
    "number_outpatient",
    "number_emergency",
    "number_inpatient",
    "number_diagnoses",
)
SUBGROUPS = ("age", "gender", "race")
_STAY, _PATIENT, _TARGET = "encounter_id", "patient_nbr", "readmitted"
_MISSING = "?"


def load(settings: DataSettings, progress: Progress, *, file: DataFile = FILE) -> Dataset:
    """Not readmitted (0), after more than 30 days (1), within 30 days (2), from 8 numbers and 39 categories.

    A missing value is an empty text; "None" is a value (no such test was made). Numbers that only name something, such
    as the kind of admission, are text. Groups are patients, many of whom were in hospital several times.
    """
    header, *rows = csv.reader(io.StringIO(read(file, settings, progress).decode()))
    cells = {name: np.array(column, dtype=object) for name, column in zip(header, zip(*rows, strict=True), strict=True)}
    features = [name for name in header if name not in (_STAY, _PATIENT, _TARGET)]
    return Dataset(
        name="diabetes",
        source="UCI Diabetes 130-US hospitals for years 1999-2008 (id 296)",
        target=_TARGET,
        classes=CLASSES,
        columns={name: _column(name, cells[name]) for name in features},
        labels=np.array([CLASSES.index(text) for text in cells[_TARGET]], dtype=np.int64),
        groups=cells[_PATIENT].astype(np.int64),
        subgroups=SUBGROUPS,
    )


def _column(name: str, cells: NDArray[Any]) -> NDArray[Any]:
    return cells.astype(np.float64) if name in NUMBERS else np.where(cells == _MISSING, "", cells)
