"""Teachers: networks of real numbers whose predictions binary networks learn from, kept so that each is trained once.

A teacher is named by everything that it follows from, so that a kept one is what training would give again. So are its
predictions on each variant of the examples: augmented pictures are the same for every pupil.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from epaas_models.augmentation import Augmentation
from epaas_models.descent import Progress
from epaas_models.float_network import FloatConfiguration, FloatNetwork, InputSource, logits_of, train_float
from epaas_shared.digest import digest_bytes, digest_json


def teacher_folder() -> Path:
    """Where teachers are kept, unless a caller says otherwise; it may be removed at any time."""
    return platformdirs.user_cache_path("epaas") / "teachers"


@dataclass(frozen=True)
class Teacher:
    """A trained network and the folder of its predictions."""

    network: FloatNetwork
    folder: Path

    def logits(self, variant: int, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Logits (n, classes) of a numbered variant of the examples, computed the first time that it is asked for."""
        file = self.folder / f"logits-{variant}.npy"
        if file.exists():
            kept: NDArray[np.float32] = np.load(file)
            return kept
        found = logits_of(self.network, inputs)
        partial = file.with_suffix(".part.npy")
        np.save(partial, found)
        partial.replace(file)
        return found


def teacher_for(
    examples: InputSource,
    classes: int,
    configuration: FloatConfiguration,
    *,
    augmentation: Augmentation | None,
    data_digest: str,
    rows: NDArray[np.int64],
    seed: int,
    folder: Path,
    progress: Progress,
) -> Teacher:
    """The teacher of these examples: from ``folder``, or trained and put there."""
    origin = {
        "configuration": configuration.model_dump(mode="json"),
        "augmentation": augmentation.model_dump(mode="json") if augmentation else None,
        "data": data_digest,
        "rows": digest_bytes(rows.astype("<i8").tobytes()),
        "seed": seed,
        **({"schema": examples.encoding} if examples.encoding else {}),
    }
    own = folder / digest_json(origin)
    file = own / "network.safetensors"
    if file.exists():
        network = FloatNetwork(examples.inputs, classes, configuration)
        network.load_state_dict(load_file(file))
        return Teacher(network.eval(), own)
    network = train_float(examples, classes, configuration, seed, progress)
    own.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    save_file(network.state_dict(), partial)
    partial.replace(file)
    return Teacher(network, own)
