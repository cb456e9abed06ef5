"""Greedy and random changes of encoded records: strong attacks on networks whose inputs are bits, and their baseline.

Every change gives one column or pixel another of its possible values, so that records stay valid. The greedy attack
looks at what each single change does to the exact sums and takes the best, again and again. Knows codes and costs, not
where they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch.nn import functional

from epaas_models.confidence import class_sums
from epaas_models.reliability.generalisation.margins import margins
from epaas_models.reliability.robustness.codes import CodeBook
from epaas_models.reliability.straight_through import Twin
from epaas_models.reliability.subject import Subject, decided
from epaas_shared.features import Bits
from epaas_shared.layers import Integers
from epaas_shared.network import Network

_ENTRIES_AT_ONCE = 2**23
"""Sums of the first layer that are in memory at once, in double precision: 64 MiB."""

Steps = Callable[[int, int], None]
"""Called with how many steps are done and of how many."""

NEVER = 2**20
"""The number of changes of a row that was not altered."""


@dataclass(frozen=True)
class Changed:
    """``changes`` (n,): after how many the prediction was not the label, 0 for a row that was wrong before, and
    :data:`NEVER`; ``codes`` (n, groups): the record that it was then, or at the end."""

    changes: Integers
    codes: Integers


@dataclass(frozen=True)
class GreedySearch:
    """An attack by the best of all single changes, one after the other.

    Behind hidden neurons the exact sums are a staircase: most single changes do nothing at all, and the best of them
    leads nowhere. With a ``twin``, changes are therefore judged by what they do to the true class's lead plus what the
    straight-through gradient promises of them. With ``candidates`` only the most promising are looked at, so many a row
    and step.
    """

    subject: Subject
    twin: Twin | None = None
    candidates: int | None = None

    def run(
        self, codes: Integers, costs: Integers, labels: Integers, *, most: int, price: int, steps: Steps
    ) -> Changed:
        """Until the prediction is not the label, or for ``most`` steps, of which each costs ``price``.

        ``codes`` (n, groups) are the records', ``costs`` (n, entries) as :class:`CodeBook` has them. Where steps cost
        nothing, a row stops when none is any good; else it must make do with the least bad.
        """
        book = CodeBook.of(self.subject.schema)
        contributions = book.contributions(self.subject.network.layers[0])
        codes, changes = codes.copy(), np.full(len(codes), NEVER)
        changes[self.subject.predict(book.bits_of(codes)) != labels] = 0
        active = np.flatnonzero(changes == NEVER)
        for step in range(1, most + 1):
            if not len(active):
                break
            rows, entries = self._best(book, contributions, codes[active], costs[active], labels[active], price)
            rows = active[rows]
            codes[rows, book.groups[entries]] = book.places[entries]
            # What was worked out from differences counts only if the network itself says so of the whole record.
            wrong = self.subject.predict(book.bits_of(codes[rows])) != labels[rows]
            changes[rows[wrong]] = step
            active = rows[~wrong]
            steps(step, most)
        steps(most, most)
        return Changed(changes, codes)

    def _best(
        self,
        book: CodeBook,
        contributions: csr_array,
        codes: Integers,
        costs: Integers,
        labels: Integers,
        price: int,
    ) -> tuple[Integers, Integers]:
        """The rows that can still go on, and the entry that each of them should change to, both (m,)."""
        network, bits, entries = self.subject.network, book.bits_of(codes), book.entries_of(codes)
        sums = network.layers[0].sums(bits)
        allowed = _allowed(book, costs, codes, price)
        promised = np.zeros(allowed.shape)
        if self.twin is not None:
            promised = _promised(self.twin, book, bits, entries, labels)
            _keep_least(allowed, promised, self.candidates)
        row, entry = np.nonzero(allowed)
        wins, lead = np.empty(len(row), dtype=np.bool_), np.empty(len(row))
        many = max(1, _ENTRIES_AT_ONCE // network.layers[0].outputs)
        for start in range(0, len(row), many):
            part = slice(start, start + many)
            one, to = row[part], entry[part]
            moved = (contributions[to] - contributions[entries[one, book.groups[to]]]).toarray()
            wins[part], lead[part] = standing(network, sums[one] + moved.astype(np.int64), labels[one])
        if price == 0:
            better = ~wins | (lead < standing(network, sums, labels)[1][row])
            row, entry, wins, lead = row[better], entry[better], wins[better], lead[better]
        # A change that alters the prediction comes before all that do not.
        order = np.lexsort((lead + promised[row, entry], wins, row))
        movable, best = np.unique(row[order], return_index=True)
        return movable, entry[order[best]]


def random_changes(
    subject: Subject, codes: Integers, costs: Integers, *, most: int, random: np.random.Generator, steps: Steps
) -> NDArray[np.int64]:
    """Predictions after 1, 2, ... ``most`` random changes that each cost 1, (most, n): what an attack must beat."""
    book, codes = CodeBook.of(subject.schema), codes.copy()
    predicted = np.empty((most, len(codes)), dtype=np.int64)
    for step in range(most):
        keys = random.random(costs.shape)
        keys[~_allowed(book, costs, codes, 1)] = -1
        entry = keys.argmax(axis=1)
        movable = np.flatnonzero(keys.max(axis=1) >= 0)
        codes[movable, book.groups[entry[movable]]] = book.places[entry[movable]]
        predicted[step] = subject.predict(book.bits_of(codes))
        steps(step + 1, most)
    return predicted


def standing(network: Network, first_sums: Integers, labels: Integers) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether the true class wins, and by how much it leads, from sums of the first layer (n, outputs); each (n,).

    The lead is in units of the last layer's sums. Where scores decide, it is the mean of that in levels, which can be
    seen, and that in sums, which tells which way is down.
    """
    sums = first_sums
    if len(network.layers) > 1:
        sums = class_sums(Network(network.layers[1:], network.head), (first_sums >= 0).astype(np.uint8))
    lead = margins(decided(sums, network), labels)
    wins = lead >= 0
    if network.scores is not None:
        lead = (lead + margins(sums.astype(np.float64), labels)) / 2
    return wins, lead


def _promised(twin: Twin, book: CodeBook, bits: Bits, entries: Integers, labels: Integers) -> NDArray[np.float64]:
    """What the gradient says that every change adds to the true class's lead, (n, entries), in sums."""
    floats = torch.from_numpy(bits).float().requires_grad_()
    logits = twin(floats)
    true = functional.one_hot(torch.from_numpy(labels), logits.shape[1]).bool()
    lead = logits[true] - logits.masked_fill(true, -torch.inf).amax(dim=1)
    (slopes,) = torch.autograd.grad(lead.sum() * twin.unit, floats)
    worth: NDArray[np.float64] = (book.patterns @ slopes.double().numpy().T).T
    return worth - np.take_along_axis(worth, entries, axis=1)[:, book.groups]


def _keep_least(allowed: NDArray[np.bool_], promised: NDArray[np.float64], count: int | None) -> None:
    """Leave at most ``count`` entries a row allowed, those of the least ``promised``; both (n, entries)."""
    if count is not None and count < allowed.shape[1]:
        order = np.where(allowed, promised, np.inf).argpartition(count, axis=1)
        np.put_along_axis(allowed, order[:, count:], False, axis=1)


def _allowed(book: CodeBook, costs: Integers, codes: Integers, price: int) -> NDArray[np.bool_]:
    """Entries (n, entries) that a group can change to for exactly ``price`` more than what it has cost by now."""
    spent = np.take_along_axis(costs, book.entries_of(codes), axis=1)[:, book.groups]
    allowed: NDArray[np.bool_] = (costs == spent + price) & (codes[:, book.groups] != book.places)
    return allowed
