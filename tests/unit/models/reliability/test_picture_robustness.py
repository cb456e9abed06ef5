"""The evaluation of pictures as a whole, on a small network of signs that was trained for it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from picture_making import attacked, quadrants, random_subject, reference, sign_subject
from torch import Tensor, nn

from epaas_models.float_network import FloatConfiguration, FloatNetwork
from epaas_models.reliability.robustness.attacked_pictures import AttackedPictures
from epaas_models.reliability.robustness.attacks import Surrogate
from epaas_models.reliability.robustness.pictures import PictureSettings, evaluate_pictures
from epaas_models.reliability.robustness.slopes import misled, most_misleading, slopes
from epaas_models.reliability.straight_through import PictureTwin, Twin
from epaas_shared.report.robustness import Attack, ThreatEvaluation

SETTINGS = PictureSettings(
    budgets=(0.05, 0.1, 0.2),
    rows=60,
    thorough_rows=30,
    decision_rows=4,
    steps=10,
    relative_step=0.25,
    noise_draws=3,
    square_queries=100,
    deepfool_steps=10,
    decision_steps=3,
    decision_queries=20,
    autoattack=False,
)


class Prototypes(nn.Module):
    """A surrogate that compares the quadrants' brightness."""

    def forward(self, pictures: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(pictures, 4).flatten(1) * 20


def evaluated(seed: int, settings: PictureSettings = SETTINGS) -> tuple[ThreatEvaluation, list[tuple[str, int, int]]]:
    levels, labels = quadrants(100, seed=8)
    told: list[tuple[str, int, int]] = []
    evaluation = evaluate_pictures(
        sign_subject(),
        {"image": levels},
        labels,
        reference_bits=reference(sign_subject()),
        surrogate=Prototypes(),
        settings=settings,
        seed=seed,
        progress=lambda *what: told.append(what),
    )
    return evaluation, told


@cache
def evaluation() -> ThreatEvaluation:
    return evaluated(0)[0]


def find(name: str, gradient: str = "straight-through", stops: bool = False) -> Attack:
    (found,) = [
        attack
        for attack in evaluation().attacks
        if (attack.name, attack.gradient, attack.stops_at_success) == (name, gradient, stops)
    ]
    return found


def accuracies(attack: Attack) -> list[float]:
    return [point.accuracy.value for point in attack.points]


def test_straight_through_gradients_find_what_naive_ones_miss() -> None:
    honest, naive = find("Iter-FGSM", stops=True), find("Iter-FGSM", "naive", stops=True)
    clean = accuracies(naive)[0]
    assert clean > 0.9
    assert accuracies(naive) == [clean] * 3
    assert [point.changed for point in naive.points] == [0.0] * 3
    assert accuracies(honest)[-1] < 0.2


def test_naive_gradients_are_flagged_and_the_evaluation_passes() -> None:
    naive = [check for check in evaluation().checks if check.subject == "naive gradients"]
    flagged = {check.name for check in naive if not check.passed}
    assert {
        "there are gradients",
        "many steps are at least as strong as one",
        "gradients are at least as strong as PGD from a random start (transfer)",
        "gradients are at least as strong as Square (scores)",
    } <= flagged
    assert evaluation().believable, [check for check in evaluation().checks if not check.passed]


def test_the_worst_of_all_falls_and_is_no_better_than_any_attack() -> None:
    worst = evaluation().worst
    values = [point.accuracy.value for point in worst]
    assert values == sorted(values, reverse=True)
    assert {point.accuracy.rows for point in worst} == {30}
    for attack in evaluation().attacks:
        if attack.rows == 30:
            assert all(value <= other + 1e-9 for value, other in zip(values, accuracies(attack), strict=True))


def test_stopping_at_success_is_at_least_as_strong_and_its_steps_agree() -> None:
    fixed, stopping = find("Iter-FGSM"), find("Iter-FGSM", stops=True)
    assert all(a >= b for a, b in zip(accuracies(fixed), accuracies(stopping), strict=True))
    assert len(fixed.steps) == SETTINGS.steps
    at = SETTINGS.budgets.index(SETTINGS.steps_budget)
    assert fixed.steps[-1].instantaneous == pytest.approx(1 - (fixed.points[at].changed or 0))
    assert fixed.steps[-1].cumulative == pytest.approx(1 - (stopping.points[at].changed or 0))
    cumulative = [step.cumulative for step in fixed.steps]
    assert cumulative == sorted(cumulative, reverse=True)


def test_what_is_random_noise_and_what_is_transferred_is_told_apart() -> None:
    assert find("random noise", "none", stops=True).knowledge == "none"
    assert find("FGSM", "surrogate").knowledge == "transfer"
    assert accuracies(find("FGSM", "surrogate"))[-1] < accuracies(find("random noise", "none", stops=True))[-1]


def test_the_seed_decides_everything() -> None:
    again, told = evaluated(0)
    assert again == evaluation()
    assert evaluated(1)[0] != again
    counted = [step for step in told if step[2] == told[-1][2]]
    assert [done for _, done, _ in counted] == list(range(counted[-1][2] + 1))


def test_autoattack_and_no_surrogate() -> None:
    levels, labels = quadrants(20, seed=8)
    settings = SETTINGS.model_copy(
        update={"budgets": (0.1,), "rows": 8, "thorough_rows": 4, "square_queries": 10, "autoattack": True}
    )
    found = evaluate_pictures(
        sign_subject(),
        {"image": levels},
        labels,
        reference_bits=reference(sign_subject()),
        surrogate=None,
        settings=settings,
        seed=0,
    )
    assert not any(attack.knowledge == "transfer" for attack in found.attacks)
    (autoattack,) = [attack for attack in found.attacks if attack.name == "AutoAttack"]
    assert autoattack.settings["parts"] == "apgd-ce, apgd-t, fab-t, square"
    assert autoattack.points[0].accuracy.value < 1


@pytest.mark.parametrize("head", ["bit", "scores"])
def test_other_heads_and_standardised_pictures(head: str) -> None:
    subject = random_subject(5, head, standardised=True)  # type: ignore[arg-type]
    levels, _ = quadrants(30, seed=1)
    columns = {"image": levels}
    found = evaluate_pictures(
        subject,
        columns,
        subject.predict_columns(columns),
        reference_bits=subject.schema.encode_columns(columns),
        surrogate=None,
        settings=SETTINGS.model_copy(update={"rows": 20, "thorough_rows": 10}),
        seed=0,
    )
    assert found.worst[-1].accuracy.value < 0.5
    assert found.model_validate_json(found.model_dump_json()) == found


def test_the_most_misleading_slope_comes_first() -> None:
    rows, subject = attacked(40), sign_subject()
    candidates = slopes(subject, reference(subject))
    ranked = most_misleading(candidates, rows, 0.1)
    left = [(~misled(slope.model, rows, budget=0.1, step=0.025, steps=10)).sum() for slope in ranked]
    assert left == sorted(left)
    assert {id(slope) for slope in ranked} == {id(slope) for slope in candidates}


def test_the_median_margin_is_what_a_slope_says() -> None:
    subject, bits = sign_subject(), reference(sign_subject())
    for slope in slopes(subject, bits):
        logits = slope.model.twin(torch.from_numpy(bits).float())
        ordered = logits.sort(dim=1).values
        assert float((ordered[:, -1] - ordered[:, -2]).quantile(0.5)) == pytest.approx(slope.margin, rel=0.05)


def test_a_naive_twin_is_misled_only_where_it_was_wrong_before() -> None:
    rows, subject = attacked(40), sign_subject()
    naive = PictureTwin(subject, Twin(subject, reference(subject), naive=True))
    np.testing.assert_array_equal(misled(naive, rows, budget=0.5, step=0.1, steps=5), rows.clean != rows.labels)


def test_rows_are_drawn_without_replacement_and_by_the_seed() -> None:
    levels, labels = quadrants(50, seed=1)
    first, again = (
        AttackedPictures.sample(sign_subject(), {"image": levels}, labels, 30, np.random.default_rng(3))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.levels, again.levels)
    assert len(np.unique(first.levels, axis=0)) == 30
    for picture, label in zip(first.levels, first.labels, strict=True):
        assert any((picture == other).all() and label == kind for other, kind in zip(levels, labels, strict=True))


def test_a_float_network_of_grey_levels_can_be_the_surrogate() -> None:
    levels, _ = quadrants(8, seed=1)
    torch.manual_seed(0)
    network = FloatNetwork(levels, 4, FloatConfiguration(hidden=(5,))).eval()
    rows = attacked(8, seed=1)
    expected = network(torch.from_numpy(levels).float())
    assert torch.allclose(Surrogate(network)(rows.pictures), expected, atol=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"budgets": (0.2, 0.1)}, {"budgets": (0.0, 0.1)}, {"budgets": (0.2, 1.0)}, {"steps_budget": 0.07}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"budgets"):
        PictureSettings(**wrong)  # type: ignore[arg-type]
