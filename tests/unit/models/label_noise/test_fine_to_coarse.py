"""Fine2Coarse: logits by hand, answers, gradients, and what there cannot be."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from epaas_models.label_noise.fine_to_coarse import FineToCoarse

FINE = torch.tensor([[1.0, 5.0, 2.0, 3.0], [0.0, -1.0, 4.0, -9.0]])


def test_coarse_logits_are_sums_or_the_greatest_of_fine_ones() -> None:
    assert FineToCoarse(nn.Identity(), (0, 1, 0, 1), "sum")(FINE).tolist() == [[3, 8], [4, -10]]
    assert FineToCoarse(nn.Identity(), (0, 1, 0, 1), "max")(FINE).tolist() == [[2, 5], [4, -1]]
    assert FineToCoarse(nn.Identity(), (0, 1, 0, 0), "max")(FINE).tolist() == [[3, 5], [4, -1]]


@given(seed=st.integers(0, 2**31), coarse=st.permutations([0, 0, 1, 1, 2, 2]), shift=st.floats(-5, 5))
def test_the_answer_is_that_of_the_likeliest_fine_class_and_no_constant_changes_it(
    seed: int, coarse: list[int], shift: float
) -> None:
    fine = torch.randn(8, 6, generator=torch.Generator().manual_seed(seed))
    answers = FineToCoarse(nn.Identity(), coarse, "max")(fine).argmax(dim=1)
    assert torch.equal(answers, torch.tensor(coarse)[fine.argmax(dim=1)])
    summed = FineToCoarse(nn.Identity(), coarse, "sum")
    assert torch.allclose(summed(fine + shift).softmax(dim=1), summed(fine).softmax(dim=1), atol=1e-4)


@pytest.mark.parametrize("aggregation", ["sum", "max"])
def test_gradients_go_through_to_the_inputs(aggregation: str) -> None:
    torch.manual_seed(0)
    network = FineToCoarse(nn.Linear(3, 4), (0, 1, 0, 1), aggregation).double()  # type: ignore[arg-type]
    assert torch.autograd.gradcheck(network, torch.randn(5, 3, dtype=torch.double, requires_grad=True))  # type: ignore[no-untyped-call]


def test_groups_must_be_there_and_sums_be_of_as_many() -> None:
    with pytest.raises(ValueError, match="no sum over groups"):
        FineToCoarse(nn.Identity(), (0, 1, 1), "sum")
    with pytest.raises(ValueError, match="no max over groups"):
        FineToCoarse(nn.Identity(), (0, 2, 2), "max")
