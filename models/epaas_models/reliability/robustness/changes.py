"""Threats that change an encoded record in a few places: ``bits`` and ``columns``, attacked and certified.

Owns what is run on which rows and what the report says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from epaas_models.reliability.robustness.bit_flips import NEVER, Changed, GreedySearch, random_changes
from epaas_models.reliability.robustness.certificates import Proof, change_proof
from epaas_models.reliability.robustness.codes import CodeBook
from epaas_models.reliability.robustness.outcomes import Outcome, worst_points
from epaas_models.reliability.straight_through import Twin
from epaas_models.reliability.subject import Columns, Subject
from epaas_shared.features import Bits
from epaas_shared.layers import Integers
from epaas_shared.report.robustness import Check, MinimalPerturbation, Threat, ThreatEvaluation

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how far it is and of how much."""

LIBRARY = f"epaas {version('epaas')}"

_BITS = (
    "So many encoded bits change, as the values of a column allow: a number in thresholds, or a pixel, passes one of "
    "its thresholds for each; a category, or a number in bins, becomes any other for one."
)
_COLUMNS = "So many columns take any value that they may have."
_TRIED = "Each of the changes of one column or bit was made, and the network evaluated on the record."


class ChangeSettings(BaseModel):
    """How much is tried."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budgets: tuple[PositiveInt, ...] = Field(default=(1, 2, 3, 5, 8, 12, 20), min_length=1)
    """Numbers of changes, growing."""
    rows: int = Field(default=200, ge=1)
    """Rows that are attacked and certified, drawn at random."""
    candidates: int | None = Field(default=256, ge=1)
    """Single changes that the greedy attack tries a row and step, those that a gradient promises most of; or all."""
    certified: int = Field(default=5, ge=0)
    """The greatest budget that bounds are worked out for; with 0 for none."""
    exhaustive: bool = True
    """Whether every single change is tried, which settles the budget 1; long for large pictures."""


def evaluate_changes(
    norm: Literal["bits", "columns"],
    subject: Subject,
    columns: Columns,
    labels: NDArray[np.int64],
    *,
    reference_bits: Bits,
    settings: ChangeSettings,
    seed: int,
    progress: Progress,
) -> ThreatEvaluation:
    """The threat ``bits``, or ``columns`` for tables, on at most ``settings.rows`` of the rows.

    ``reference_bits`` (n, inputs) are for a twin. Deterministic given ``seed``.
    """
    random = np.random.default_rng(seed)
    rows = random.permutation(len(labels))[: settings.rows]
    bits, truth = subject.schema.encode_columns({name: column[rows] for name, column in columns.items()}), labels[rows]
    book = CodeBook.of(subject.schema)
    codes = book.codes_of(bits)
    costs = book.bit_costs(codes) if norm == "bits" else book.column_costs(codes)
    clean, most = subject.predict(bits), max(settings.budgets)
    right = clean == truth

    def steps(what: str) -> Callable[[int, int], None]:
        return lambda done, of: progress(f"{what} of {norm}", done, of)

    single = None
    if settings.exhaustive:
        single = GreedySearch(subject).run(codes, costs, truth, most=1, price=1, steps=steps("single changes"))
    greedy = GreedySearch(subject, Twin(subject, reference_bits), settings.candidates).run(
        codes, costs, truth, most=most, price=1, steps=steps("greedy changes")
    )
    predicted = random_changes(subject, codes, costs, most=most, random=random, steps=steps("random changes"))
    steps("certificates")(0, 1)
    proofs = _proofs(subject, codes, costs, single, settings)
    steps("certificates")(1, 1)

    budgets = tuple(map(float, settings.budgets))
    after = predicted[np.array(settings.budgets) - 1]
    attack = _found("greedy changes", greedy, right, settings.budgets, "straight-through", settings.candidates)
    chance = Outcome(
        "random changes", LIBRARY, "none", "none", budgets, after != truth, after != clean, stops_at_success=False
    )
    attacks, nearest = [attack, chance], greedy.changes
    if single is not None:
        attacks.append(_found("every single change", single, right, settings.budgets, "none", None))
        nearest = np.minimum(nearest, single.changes)
    return ThreatEvaluation(
        threat=Threat(norm=norm, description=_BITS if norm == "bits" else _COLUMNS, budgets=budgets),
        rows=len(rows),
        attacks=tuple(outcome.section() for outcome in attacks),
        worst=worst_points(attacks, ~right),
        minimal=(_nearest(nearest[right]),),
        certificates=tuple(proof.section(right) for proof in proofs),
        checks=(
            monotone(attack),
            weaker(chance, attack),
            *(consistent(attacks, proof, right) for proof in proofs),
        ),
    )


def _proofs(
    subject: Subject, codes: Integers, costs: Integers, single: Changed | None, settings: ChangeSettings
) -> list[Proof]:
    certified = [budget for budget in settings.budgets if budget <= settings.certified]
    proofs = [change_proof(subject, codes, costs, certified)] if certified else []
    if single is not None and 1 in settings.budgets:
        proofs.append(Proof("exhaustive search", _TRIED, True, (1.0,), (single.changes == NEVER)[None]))
    return proofs


def _found(
    name: str,
    found: Changed,
    right: NDArray[np.bool_],
    budgets: tuple[int, ...],
    gradient: Literal["straight-through", "none"],
    candidates: int | None,
) -> Outcome:
    wrong = np.array([found.changes <= budget for budget in budgets])
    return Outcome(
        name=name,
        library=LIBRARY,
        knowledge="scores" if gradient == "none" else "white box",
        gradient=gradient,
        budgets=tuple(map(float, budgets)),
        wrong=wrong,
        changed=wrong & right,
        stops_at_success=True,
        settings={"candidates": "all" if candidates is None else candidates},
    )


def _nearest(changes: Integers) -> MinimalPerturbation:
    """Of rows that were right; ``changes`` (rows,) may be :data:`NEVER`."""
    altered = changes[changes < NEVER]
    return MinimalPerturbation(
        attack="greedy changes",
        library=LIBRARY,
        rows=len(changes),
        found=float(len(altered) / len(changes)) if len(changes) else 0.0,
        median=float(np.median(altered)) if len(altered) else None,
        rho=None,
    )


def monotone(outcome: Outcome) -> Check:
    """Whether a larger budget never leaves more rows right."""
    right = [float(np.mean(~wrong)) for wrong in outcome.wrong]
    passed = all(after <= before for before, after in pairwise(right))
    return _check("monotone", passed, f"{outcome.name}: right at growing budgets {_percents(right)}")


def weaker(chance: Outcome, attack: Outcome) -> Check:
    """Whether random changes never do more than an attack."""
    by_chance, attacked = ([float(np.mean(~wrong)) for wrong in outcome.wrong] for outcome in (chance, attack))
    passed = all(one >= other for one, other in zip(by_chance, attacked, strict=True))
    detail = f"right after {chance.name} {_percents(by_chance)}, after {attack.name} {_percents(attacked)}"
    return _check("random is weaker", passed, detail)


def consistent(outcomes: Sequence[Outcome], proof: Proof, right: NDArray[np.bool_]) -> Check:
    """Whether no attack altered a row, at a budget, for which a certificate says that none can."""
    contradicted = 0
    for outcome in outcomes:
        at = [outcome.budgets.index(budget) for budget in proof.budgets]
        contradicted += int((outcome.wrong[at] & right & proof.proven).sum())
    detail = f"{proof.name}: {contradicted} rows altered against the proof"
    return _check("attacks respect the certificate", contradicted == 0, detail)


def _check(name: str, passed: bool, detail: str) -> Check:
    return Check(name=name, subject="evaluation", passed=passed, detail=detail)


def _percents(shares: Sequence[float]) -> str:
    return ", ".join(f"{share:.1%}" for share in shares)
