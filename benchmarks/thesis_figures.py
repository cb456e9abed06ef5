"""The figures of docs/experiments.md, from the kept logs alone: ``make thesis-figures``. Trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from plots import save
from workbench import report

from epaas_models.experiments.logs import Logs, RunLog

FOLDER = Path(__file__).parents[1] / "docs" / "experiments"


def main() -> None:
    logs = Logs(FOLDER / "logs")
    for draw in (memorisation, label_noise, boundaries, representations, overfitting, calibration):
        draw(logs, FOLDER / f"{draw.__name__.replace('_', '-')}.svg")
        report(f"{draw.__name__} drawn")


def memorisation(logs: Logs, file: Path) -> None:
    """Figures 4.4 and 4.5: training accuracy on random labels, beside test accuracy on true ones."""
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
    arms = ("vanilla", "sn", "srn-50", "srn-30")
    for axes, (experiment, name) in zip(
        panels, (("stable-rank-mnist", "MNIST"), ("stable-rank-cifar10", "CIFAR-10 (JPEG-75)")), strict=True
    ):
        _bars(axes, arms, [logs.numbers(experiment, f"{arm}-random", "train_accuracy") for arm in arms], -0.2)
        _bars(
            axes, arms, [logs.numbers(experiment, arm, "test_accuracy") for arm in arms], 0.2, "true labels, test rows"
        )
        axes.set(title=name, ylim=(0, 1.05))
    panels[0].set_ylabel("accuracy")
    panels[0].legend(
        ["random labels, training rows", "true labels, test rows"],
        loc="upper center",
        bbox_to_anchor=(1, -0.12),
        ncols=2,
    )
    save(figure, file)


def label_noise(logs: Logs, file: Path) -> None:
    """Figure 5.2: natural and adversarial error by the share of labels that are wrong."""
    figure, (toy, mnist) = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
    rates = (0, 0.05, 0.1)
    for number, variance in enumerate((0.1, 0.3, 0.5)):
        arms = [f"variance-{variance}-noise-{rate:g}" for rate in rates]
        for measure, style in (("adversarial_error", "-"), ("natural_error", ":")):
            values = [logs.numbers("toy-mnist-label-noise", arm, measure) for arm in arms]
            _line(toy, rates, values, style, f"C{number}", f"variance {variance}" if style == "-" else None)
    toy.set(title="toy-MNIST, 64/255", xlabel="share of wrong labels", ylabel="error")
    rates = (0, 0.05, 0.1, 0.2)
    arms = [f"noise-{rate:g}" for rate in rates]
    for number, budget in enumerate(("0.01", "0.02", "0.04", "0.08")):
        values = [logs.numbers("mnist-label-noise", arm, f"adversarial_error_at_{budget}") for arm in arms]
        _line(mnist, rates, values, "-", f"C{number}", f"adversarial, {budget}")
    _line(
        mnist, rates, [logs.numbers("mnist-label-noise", arm, "natural_error") for arm in arms], ":", "black", "natural"
    )
    mnist.set(title="MNIST", xlabel="share of wrong labels")
    toy.legend(title="dotted: natural")
    mnist.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, file)


def boundaries(logs: Logs, file: Path) -> None:
    """Figure 5.7: what networks and the nearest neighbour decide in the plane, seed 0."""
    arms = ("shallow", "shallow-wide", "deep", "nearest-neighbour")
    figure, panels = plt.subplots(1, len(arms), figsize=(8, 2.4))
    for axes, arm in zip(panels, arms, strict=True):
        decided = np.array(logs.of("decision-boundaries", arm)[0].measured["decision_map"])
        axes.imshow(decided, origin="lower", cmap=ListedColormap(["C0", "C1"]), interpolation="nearest")
        axes.set(title=arm, xticks=[], yticks=[])
    save(figure, file)


def representations(logs: Logs, file: Path) -> None:
    """Figure 5.3: representations of toy-MNIST's training rows in the plane of their greatest variance, seed 0."""
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.2))
    names = ("0", "1", "0, labelled 1", "1, labelled 0", "0, attacked", "1, attacked")
    for axes, arm in zip(panels, ("variance-0.3-noise-0", "variance-0.3-noise-0.1"), strict=True):
        points = np.array(logs.of("toy-mnist-label-noise", arm)[0].measured["projected"])
        for kind, name in enumerate(names):
            chosen = points[points[:, 2] == kind]
            axes.plot(chosen[:, 0], chosen[:, 1], "..ssxx"[kind], color=f"C{kind}", markersize=5, alpha=0.7, label=name)
        axes.set(title=f"{arm.rpartition('-')[2]} of the labels wrong", xticks=[], yticks=[])
    panels[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, file)


def overfitting(logs: Logs, file: Path) -> None:
    """Figures 7.1 and 7.2: likelihood, error and entropy over the epochs, cross-entropy against focal loss."""
    figure, panels = plt.subplots(1, 3, figsize=(9, 3))
    for number, arm in enumerate(("cross-entropy", "focal-1", "focal-2", "focal-3", "flsd-53")):
        for axes, measure in zip(
            panels, ("curve_test_nll_wrong", "curve_test_entropy_wrong", "curve_head_norm"), strict=True
        ):
            curve = np.mean([_curve(log, measure) for log in logs.of("focal-pictures", arm)], axis=0)
            axes.plot(range(1, len(curve) + 1), curve, color=f"C{number}", label=arm)
    for axes, title in zip(
        panels, ("NLL of wrong rows", "entropy of wrong rows", "norm of the last layer"), strict=True
    ):
        axes.set(title=title, xlabel="epoch")
    panels[1].legend(fontsize=7)
    save(figure, file)


def calibration(logs: Logs, file: Path) -> None:
    """Table 7.1 as a figure: expected calibration error before and after temperature scaling."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.2))
    arms = ("cross-entropy", "brier", "mmce", "label-smoothing", "focal-3", "flsd-53")
    for axes, (experiment, name) in zip(
        panels, (("focal-articles", "20 Newsgroups"), ("focal-pictures", "MNIST, 2,000 rows")), strict=True
    ):
        _bars(axes, arms, [logs.numbers(experiment, arm, "ece") for arm in arms], -0.2)
        _bars(axes, arms, [logs.numbers(experiment, arm, "ece_scaled") for arm in arms], 0.2)
        axes.set(title=name)
        axes.tick_params(axis="x", rotation=30)
    panels[0].set_ylabel("ECE")
    panels[0].legend(["before scaling", "after scaling"])
    save(figure, file)


def _bars(axes: Axes, names: Sequence[str], values: Sequence[Sequence[float]], shift: float) -> None:
    """Means over seeds with their standard deviations."""
    places = np.arange(len(names)) + shift
    axes.bar(places, [np.mean(each) for each in values], 0.38, yerr=[np.std(each, ddof=1) for each in values])
    axes.set_xticks(range(len(names)), names)


def _line(
    axes: Axes,
    places: Sequence[float],
    values: Sequence[Sequence[float]],
    style: str,
    colour: str,
    label: str | None,
) -> None:
    """Means over seeds, and the band of all of them."""
    axes.plot(places, [np.mean(each) for each in values], style, color=colour, label=label)
    axes.fill_between(places, [min(each) for each in values], [max(each) for each in values], color=colour, alpha=0.15)


def _curve(log: RunLog, measure: str) -> list[float]:
    found: Any = log.measured[measure]
    return [float(value) for value in found]


if __name__ == "__main__":
    main()
