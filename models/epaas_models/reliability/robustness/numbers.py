"""The threat ``linf-numbers``: every number of a record moves a little, in standard deviations of the training rows.

Measurements err and units are rounded; this says what that does to predictions. Attacked greedily over what each number
can become, and certified; for a network of one neuron the two meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from epaas_models.reliability.robustness.bit_flips import GreedySearch
from epaas_models.reliability.robustness.certificates import reach_proofs
from epaas_models.reliability.robustness.changes import LIBRARY, Progress, consistent, monotone, weaker
from epaas_models.reliability.robustness.codes import CodeBook
from epaas_models.reliability.robustness.outcomes import Outcome, worst_points
from epaas_models.reliability.robustness.reachable import reachable
from epaas_models.reliability.subject import Columns, Subject
from epaas_shared.features import NumberFeature
from epaas_shared.layers import Integers
from epaas_shared.report.robustness import Threat, ThreatEvaluation

_DESCRIPTION = (
    "Every number moves by at most the budget, in standard deviations of the training rows, to any number within its "
    "plausible range; categories stay as they are."
)

_MOST = 100
"""Steps of the greedy search; it ends by itself when no change helps any more."""


class NumberSettings(BaseModel):
    """How much is tried."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budgets: tuple[float, ...] = Field(default=(0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0), min_length=1)
    """Standard deviations, growing."""
    rows: int = Field(default=500, ge=1)
    """Rows that are attacked and certified, drawn at random."""


def evaluate_numbers(
    subject: Subject,
    columns: Columns,
    labels: NDArray[np.int64],
    *,
    deviations: Mapping[str, float],
    settings: NumberSettings,
    seed: int,
    progress: Progress,
) -> ThreatEvaluation:
    """The threat ``linf-numbers`` on at most ``settings.rows`` of the rows of a table.

    ``deviations`` are those of the training rows, by the name of each feature that is a number. Deterministic given
    ``seed``. Raises :class:`ValueError` if they are not of exactly these features.
    """
    numbers = [feature for feature in subject.schema.features if isinstance(feature, NumberFeature)]
    if set(deviations) != {feature.name for feature in numbers}:
        raise ValueError("deviations must be given for exactly the features that are numbers")
    random = np.random.default_rng(seed)
    rows = random.permutation(len(labels))[: settings.rows]
    table: dict[str, NDArray[Any]] = {feature.name: columns[feature.name][rows] for feature in subject.schema.features}
    truth, budgets = labels[rows], tuple(settings.budgets)
    distances = [{name: budget * deviation for name, deviation in deviations.items()} for budget in budgets]
    reaches = [reachable(subject.schema, table, distance) for distance in distances]

    book = CodeBook.of(subject.schema)
    codes = book.codes_of(subject.schema.encode_columns(table))
    clean = subject.predict_columns(table)
    search, attacked, moved = GreedySearch(subject), [], []
    for index, reach in enumerate(reaches):
        found = search.run(
            codes, book.reach_costs(reach.low, reach.high), truth, most=_MOST, price=0, steps=lambda _done, _of: None
        )
        # Judged from numbers, the whole way of a record, not from codes that were searched.
        attacked.append(subject.predict_columns(_numbers_of(subject, table, codes, found.codes)))
        moved.append(subject.predict_columns(_somewhere(numbers, table, distances[index], random)))
        progress("greedy changes of numbers", index + 1, len(reaches))
    progress("certificates for numbers", 0, 1)
    proofs = reach_proofs(subject, table, reaches, budgets)
    progress("certificates for numbers", 1, 1)

    greedy = _outcome("greedy changes", np.array(attacked), clean, truth, budgets, attack=True)
    chance = _outcome("random numbers", np.array(moved), clean, truth, budgets, attack=False)
    return ThreatEvaluation(
        threat=Threat(norm="linf-numbers", description=_DESCRIPTION, budgets=budgets),
        rows=len(rows),
        attacks=(greedy.section(), chance.section()),
        worst=worst_points([greedy, chance], clean != truth),
        certificates=tuple(proof.section(clean == truth) for proof in proofs),
        checks=(
            monotone(greedy),
            weaker(chance, greedy),
            *(consistent([greedy, chance], proof, clean == truth) for proof in proofs),
        ),
    )


def _numbers_of(subject: Subject, table: Columns, codes: Integers, wanted: Integers) -> dict[str, NDArray[Any]]:
    """The columns with the nearest numbers that have the ``wanted`` codes; ``codes`` and these are (n, groups)."""
    changed: dict[str, NDArray[Any]] = dict(table)
    for group, feature in enumerate(subject.schema.features):
        if isinstance(feature, NumberFeature):
            edges, to = np.array([-np.inf, *feature.edges, np.inf]), wanted[:, group]
            up, down = edges[to], np.nextafter(edges[to + 1], -np.inf)
            changed[feature.name] = np.where(
                to > codes[:, group], up, np.where(to < codes[:, group], down, table[feature.name])
            )
    return changed


def _somewhere(
    numbers: list[NumberFeature], table: Columns, distances: Mapping[str, float], random: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Every number somewhere within its distance."""
    changed: dict[str, NDArray[Any]] = dict(table)
    for feature in numbers:
        values = table[feature.name].astype(np.float64)
        moved = values + random.uniform(-1, 1, len(values)) * distances[feature.name]
        changed[feature.name] = np.clip(moved, feature.minimum, feature.maximum)
    return changed


def _outcome(
    name: str, predicted: Integers, clean: Integers, truth: Integers, budgets: tuple[float, ...], *, attack: bool
) -> Outcome:
    return Outcome(
        name=name,
        library=LIBRARY,
        knowledge="scores" if attack else "none",
        gradient="none",
        budgets=budgets,
        wrong=predicted != truth,
        changed=predicted != clean,
        stops_at_success=attack,
    )
