"""The recipe of an experiment's training: what its entries do, and going on after an interruption."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from epaas_models.datasets import DataSettings
from epaas_models.experiments.experiment import RunContext
from epaas_models.experiments.learning import LearningConfiguration, learn, outputs_of, share_right


def objective(network: nn.Module, inputs: Tensor, labels: Tensor, epoch: int) -> Tensor:
    return functional.cross_entropy(network(inputs), labels)


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(64, 3, generator=generator)
    return inputs, (inputs[:, 0] > 0).long()


def network() -> nn.Linear:
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
    return layer


def context(path: Path) -> RunContext:
    return RunContext(DataSettings(), path / "run.checkpoint")


ONE_STEP = LearningConfiguration(epochs=1, batch_size=64, learning_rate=1.0, momentum=0, weight_decay=0)


def step(path: Path, configuration: LearningConfiguration) -> Tensor:
    """Where one step from zero leads."""
    trained = network()
    learn(trained, *data(), configuration, objective, 0, context(path))
    return torch.cat([trained.weight.detach().flatten(), trained.bias.detach()])


def test_a_step_goes_down_the_mean_gradient(tmp_path: Path) -> None:
    inputs, labels = data()
    expected = network()
    functional.cross_entropy(expected(inputs), labels).backward()  # type: ignore[no-untyped-call]
    assert expected.weight.grad is not None
    torch.testing.assert_close(step(tmp_path, ONE_STEP)[:6], -expected.weight.grad.flatten())


def test_a_summed_loss_steps_as_far_as_there_are_rows(tmp_path: Path) -> None:
    summed = step(tmp_path / "a", ONE_STEP.model_copy(update={"summed_loss": True}))
    torch.testing.assert_close(summed, 64 * step(tmp_path / "b", ONE_STEP))


def test_the_gradient_is_clipped_as_a_whole(tmp_path: Path) -> None:
    clipped = step(tmp_path / "a", ONE_STEP.model_copy(update={"clip_norm": 0.01}))
    assert float(clipped.norm()) == pytest.approx(0.01, rel=1e-3)
    loose = step(tmp_path / "b", ONE_STEP.model_copy(update={"clip_norm": 100.0}))
    torch.testing.assert_close(loose, step(tmp_path / "c", ONE_STEP))


def test_milestones_are_epochs(tmp_path: Path) -> None:
    """The rate falls to nearly nothing after the first of three epochs of two steps."""
    recipe = LearningConfiguration(
        epochs=3, batch_size=32, learning_rate=0.5, momentum=0, weight_decay=0, milestones=(1,), decay=1e-9
    )
    whole, first = network(), network()
    learn(whole, *data(), recipe, objective, 0, context(tmp_path / "a"))
    learn(first, *data(), recipe.model_copy(update={"epochs": 1}), objective, 0, context(tmp_path / "b"))
    torch.testing.assert_close(whole.weight, first.weight)


class Count:
    """A thing that changes from epoch to epoch."""

    epochs = 0

    def state_dict(self) -> dict[str, object]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.epochs = int(str(state["epochs"]))


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()


def test_an_interrupted_run_goes_on_with_all_its_parts(tmp_path: Path) -> None:
    recipe = LearningConfiguration(epochs=4, batch_size=16, learning_rate=0.1)

    def run(folder: Path, stop_after: int | None) -> tuple[nn.Linear, Count]:
        trained, count = network(), Count()

        def after(epoch: int, module: nn.Module) -> bool:
            assert not module.training
            if epoch == stop_after:
                raise KeyboardInterrupt
            count.epochs += 1
            return False

        learn(trained, *data(), recipe, objective, 3, context(folder), after_epoch=after, parts={"count": count})
        return trained, count

    whole, _ = run(tmp_path / "a", None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", 2)
    resumed, count = run(tmp_path / "b", None)
    assert torch.equal(whole.weight, resumed.weight)
    assert count.epochs == 4


def test_training_stops_when_told_and_stays_so(tmp_path: Path) -> None:
    recipe = LearningConfiguration(epochs=9, batch_size=16, learning_rate=0.1)
    seen: list[int] = []

    def after(epoch: int, module: nn.Module) -> bool:
        seen.append(epoch)
        return epoch == 1

    trained, again = network(), network()
    learn(trained, *data(), recipe, objective, 0, context(tmp_path), after_epoch=after)
    learn(again, *data(), recipe, objective, 0, context(tmp_path), after_epoch=after)
    assert seen == [0, 1]
    assert torch.equal(trained.weight, again.weight)


def test_what_augments_sees_batches(tmp_path: Path) -> None:
    sizes: list[int] = []

    def augment(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return batch

    recipe = LearningConfiguration(epochs=1, batch_size=20)
    learn(network(), *data(), recipe, objective, 0, context(tmp_path), augment=augment)
    assert sizes == [20, 20, 20]


def test_outputs_are_in_order_and_of_the_mode_of_evaluation() -> None:
    inputs, labels = data()
    model = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 2))
    model.train()
    outputs = outputs_of(model, inputs, batch=7)
    torch.testing.assert_close(outputs, model(inputs))
    right = (outputs.argmax(dim=1) == labels).double().mean()
    assert share_right(model, inputs, labels) == pytest.approx(float(right))
