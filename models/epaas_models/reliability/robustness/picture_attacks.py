"""Which attacks a network of pictures goes through, on how many rows and how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor, nn

from epaas_models.reliability.robustness import attacks
from epaas_models.reliability.robustness.attacked_pictures import AttackedPictures
from epaas_models.reliability.robustness.campaign import Plan
from epaas_models.reliability.robustness.minimal_attacks import BISECTIONS, Nearest, deepfool, hop_skip_jump
from epaas_models.reliability.robustness.outcomes import Gradient, Knowledge, Settings
from epaas_models.reliability.robustness.picture_settings import PictureSettings
from epaas_models.reliability.robustness.slopes import Slope
from epaas_models.reliability.straight_through import PictureTwin

_TORCH = f"torch {version('torch')}"


@dataclass(frozen=True)
class MinimalPlan:
    """An attack that looks for the nearest mistake instead of one within a budget."""

    name: str
    knowledge: Knowledge
    gradient: Gradient
    settings: Settings
    find: Callable[[], Nearest]


@dataclass(frozen=True)
class Arena:
    """Rows, the networks that attacks see in place of the one under attack, and the settings."""

    rows: AttackedPictures
    slopes: list[Slope]
    """The most misleading first."""
    naive: PictureTwin
    surrogate: nn.Module | None
    settings: PictureSettings
    seed: int

    @cached_property
    def thorough(self) -> AttackedPictures:
        return self.rows.first(self.settings.thorough_rows)

    @property
    def twin(self) -> PictureTwin:
        return self.slopes[0].model

    def plans(self) -> list[Plan]:
        """Attacks within budgets, from the weakest to the strongest; those with naive gradients beside their like."""
        plans = [self._noise(), *self._by_gradients(self.twin, "straight-through", self.rows)]
        plans += self._by_gradients(self.naive, "naive", self.thorough)
        plans += [self._random_target(), self._several_slopes()]
        if self.surrogate is not None:
            plans += self._transferred(self.surrogate)
        plans.append(self._square())
        return [*plans, self._autoattack()] if self.settings.autoattack else plans

    def minimal_plans(self) -> list[MinimalPlan]:
        plans = []
        few = self.rows.first(self.settings.decision_rows)
        models: tuple[tuple[PictureTwin, Gradient], ...] = ((self.twin, "straight-through"), (self.naive, "naive"))
        settings: Settings = {"steps": self.settings.deepfool_steps, "bisections": BISECTIONS}
        for model, gradient in models:
            to_linf = partial(deepfool, model, self.thorough, norm="linf", steps=self.settings.deepfool_steps)
            to_l2 = partial(deepfool, model, self.thorough, norm="l2", steps=self.settings.deepfool_steps)
            plans.append(MinimalPlan("DeepFool Linf", "white box", gradient, settings, to_linf))
            plans.append(MinimalPlan("DeepFool L2", "white box", gradient, settings, to_l2))
        steps, queries = self.settings.decision_steps, self.settings.decision_queries
        by_decisions = partial(hop_skip_jump, self.twin, few, self.rows, steps=steps, queries=queries, seed=self.seed)
        settings = {"steps": steps, "queries of the first step": queries, "seed": self.seed}
        return [*plans, MinimalPlan("HopSkipJump", "decisions", "none", settings, by_decisions)]

    def _noise(self) -> Plan:
        draws = self.settings.noise_draws

        def pictures(budget: float) -> Iterator[Tensor]:
            for draw in range(draws):
                yield attacks.noise(self.rows.pictures, budget=budget, seed=self.seed + draw)

        return Plan(
            "random noise", _TORCH, "none", "none", self.rows, pictures, "any",
            settings={"draws": draws, "seed": self.seed},
        )  # fmt: skip

    def _by_gradients(self, model: PictureTwin, gradient: Gradient, rows: AttackedPictures) -> list[Plan]:
        """Untargeted and at the least likely class."""
        settings, labels = self._step_settings, _labels(rows)
        plan = partial(Plan, library=attacks.FOOLBOX, knowledge="white box", gradient=gradient, rows=rows)
        away, least_likely = attacks.untargeted(labels), attacks.targeted(attacks.least_likely(model, rows.pictures))
        return [
            plan("FGSM", pictures=lambda budget: [attacks.fgsm(model, rows.pictures, labels, budget=budget)]),
            plan(
                "Iter-FGSM",
                pictures=partial(self._iterated, model, rows, away),
                counts="both",
                settings=settings,
                steps_budget=self.settings.steps_budget,
            ),
            plan(
                "Iter-LL-FGSM",
                pictures=partial(self._iterated, model, rows, least_likely),
                counts="both",
                goal="least likely class",
                settings=settings,
                steps_budget=self.settings.steps_budget,
            ),
            plan(
                "PGD from a random start",
                pictures=lambda budget: [self._descended(model, rows, labels, budget)],
                settings={**settings, "seed": self.seed},
            ),
        ]

    def _random_target(self) -> Plan:
        rows, classes = self.thorough, len(self.rows.subject.classes)
        moved = np.random.default_rng(self.seed).integers(1, classes, len(rows))
        criterion = attacks.targeted(torch.from_numpy((rows.labels + moved) % classes))
        return Plan(
            "Iter-FGSM at a random class", attacks.FOOLBOX, "white box", "straight-through", rows,
            partial(self._iterated, self.twin, rows, criterion), "any", goal="targeted",
            settings={**self._step_settings, "seed": self.seed},
        )  # fmt: skip

    def _several_slopes(self) -> Plan:
        rows = self.thorough
        away = attacks.untargeted(_labels(rows))

        def pictures(budget: float) -> Iterator[Tensor]:
            for slope in self.slopes:
                yield from self._iterated(slope.model, rows, away, budget)

        return Plan(
            "Iter-FGSM along several slopes", attacks.FOOLBOX, "white box", "straight-through", rows, pictures, "any",
            settings={**self._step_settings, "slopes": len(self.slopes)},
        )  # fmt: skip

    def _transferred(self, surrogate: nn.Module) -> list[Plan]:
        """Made on another network, without any question to this one."""
        rows, labels = self.rows, _labels(self.rows)
        plan = partial(Plan, library=attacks.FOOLBOX, knowledge="transfer", gradient="surrogate", rows=rows)
        return [
            plan("FGSM", pictures=lambda budget: [attacks.fgsm(surrogate, rows.pictures, labels, budget=budget)]),
            plan(
                "PGD from a random start",
                pictures=lambda budget: [self._descended(surrogate, rows, labels, budget)],
                settings={**self._step_settings, "seed": self.seed},
            ),
        ]

    def _square(self) -> Plan:
        rows, queries = self.thorough, self.settings.square_queries

        def pictures(budget: float) -> list[Tensor]:
            return [
                attacks.square(self.twin, rows.pictures, _labels(rows), budget=budget, queries=queries, seed=self.seed)
            ]

        return Plan(
            "Square", attacks.PYAUTOATTACK, "scores", "none", rows, pictures, "any",
            settings={"queries": queries, "seed": self.seed},
        )  # fmt: skip

    def _autoattack(self) -> Plan:
        rows, classes = self.thorough, len(self.rows.subject.classes)
        parts = attacks.autoattack_parts(classes)

        def pictures(budget: float) -> Iterator[Tensor]:
            """After each part, those that are right so far having gone through it."""
            right = rows.clean == rows.labels
            attacked = rows.pictures.clone()
            for part in parts:
                if right.any():
                    left = rows.only(right)
                    found = attacks.autoattack(
                        part, self.twin, left.pictures, _labels(left), budget=budget, classes=classes, seed=self.seed
                    )
                    attacked[torch.from_numpy(right)] = found
                    right[right] = left.judged(found, budget) == left.labels
                yield attacked.clone()

        return Plan(
            "AutoAttack", attacks.PYAUTOATTACK, "white box", "straight-through", rows, pictures, "any",
            settings={"parts": ", ".join(parts), "seed": self.seed},
        )  # fmt: skip

    def _iterated(
        self, model: nn.Module, rows: AttackedPictures, criterion: attacks.Criterion, budget: float
    ) -> Iterator[Tensor]:
        step = self.settings.relative_step * budget
        return attacks.iterate(model, rows.pictures, criterion, budget=budget, step=step, steps=self.settings.steps)

    def _descended(self, model: nn.Module, rows: AttackedPictures, labels: Tensor, budget: float) -> Tensor:
        step = self.settings.relative_step * budget
        return attacks.pgd(
            model, rows.pictures, labels, budget=budget, step=step, steps=self.settings.steps, seed=self.seed
        )

    @property
    def _step_settings(self) -> Settings:
        return {
            "steps": self.settings.steps,
            "relative step": self.settings.relative_step,
            "steps_budget": self.settings.steps_budget,
        }


def _labels(rows: AttackedPictures) -> Tensor:
    return torch.from_numpy(rows.labels)
