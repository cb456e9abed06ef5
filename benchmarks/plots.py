"""The figures of docs/benchmarks.md, from the results of the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from approximate import error_probability
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

matplotlib.use("svg")
matplotlib.rcParams.update(
    {
        "svg.hashsalt": "epaas",
        "svg.fonttype": "none",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
)


_NAME: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7}


def plot_circuits(result: dict[str, Any], file: Path) -> None:
    """Figure 8.3: seconds of a neuron against its inputs. Hollow marks are extrapolated."""
    figure, axes = plt.subplots(figsize=(7.5, 4.8))
    rows = [row for row in result["circuits"] if row["neurons"] == 1]
    strategies = list(dict.fromkeys(row["strategy"] for row in rows))
    for (number, strategy), threads in product(enumerate(strategies), (1, 2)):
        points = [row for row in rows if row["strategy"] == strategy and row["threads"] == threads]
        inputs, seconds = [row["inputs"] for row in points], [row["seconds"] for row in points]
        colour, label = f"C{number}", strategy if threads == 2 else None
        axes.plot(inputs, seconds, "-" if threads == 2 else ":", color=colour, linewidth=1, label=label)
        for row in points:
            face = colour if row["measured"] else "white"
            axes.plot(row["inputs"], row["seconds"], "o", color=colour, markerfacecolor=face, markersize=3.5)
    axes.set(xscale="log", yscale="log", xlabel="input bits", ylabel="seconds a neuron")
    axes.set_xticks(inputs_shown := (8, 16, 32, 64, 128, 256, 512, 1024), map(str, inputs_shown))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.plot([], [], ":", color="grey", label="one thread")
    axes.plot([], [], "o", color="grey", markerfacecolor="white", markersize=3.5, label="extrapolated")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, file)


def plot_approximate(result: dict[str, Any], file: Path) -> None:
    """Share of wrong bits against the distance from the threshold, and the normal error that fits."""
    cases = result["approximate_error"].values()
    figure, panels = plt.subplots(1, len(cases), figsize=(9, 3.2), sharey=True)
    for axes, case in zip(panels, cases, strict=True):
        _plot_error(axes, case)
    panels[0].set_ylabel("probability of a wrong bit")
    save(figure, file)


def _plot_error(axes: Axes, case: dict[str, Any]) -> None:
    distances = np.array([point["distance"] for point in case["curve"]])
    samples = np.array([point["samples"] for point in case["curve"]])
    share = np.array([point["wrong"] for point in case["curve"]]) / samples
    axes.errorbar(distances, share, 2 * np.sqrt(share * (1 - share) / samples), fmt="o", markersize=3, linewidth=0.8)
    along = np.linspace(distances.min(), distances.max(), 400)
    std = case["standard_deviation"]
    axes.plot(along, error_probability(along, case["mean"], std), linewidth=1)
    axes.set(xlabel="sum minus threshold + 1/2", title=f"sums times {2 ** case['scale']}: standard deviation {std}")
    axes.grid(alpha=0.3)


def plot_networks(result: dict[str, Any], file: Path) -> None:
    """Table 8.2: seconds of a prediction, layers one after the other. Hollow bars are extrapolated."""
    rows = [row for row in result["networks"] if row["parallelism"] == "sequential"]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    kinds = list(dict.fromkeys(row["label"] for row in rows))
    width = 0.9 / (len(kinds) + 1)
    figure, axes = plt.subplots(figsize=(9, 4.2))
    for position, task in enumerate(tasks):
        of_task = {row["label"]: row for row in rows if row["task"] == task}
        thesis = next(row["thesis_seconds"] for row in of_task.values() if row["thesis_seconds"])
        axes.bar(position, thesis, width, color="black", label=None if position else "thesis, Out Seq, 16 cores")
        for number, kind in enumerate(kinds, start=1):
            if kind in of_task:
                row = of_task[kind]
                face = f"C{number - 1}" if row["measured"] else "white"
                axes.bar(position + number * width, row["seconds"], width, color=face, edgecolor=f"C{number - 1}")
    for number, kind in enumerate(kinds):
        axes.bar(0, 0, color=f"C{number}", label=kind)
    axes.bar(0, 0, color="white", edgecolor="grey", label="extrapolated")
    axes.set_xticks(np.arange(len(tasks)) + width * len(kinds) / 2, tasks)
    axes.set(yscale="log", ylabel="seconds a prediction, sequential")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, file)


def plot_search(result: dict[str, Any], models: Sequence[dict[str, Any]], file: Path) -> None:
    """Test accuracy against encrypted seconds: searched members by the cost model, published models as measured."""
    figure, axes = plt.subplots(figsize=(7.5, 4.8))
    members = sorted(result["members"], key=lambda member: member["seconds"])
    best = [member for member in members if member["front"]]
    axes.plot(*_places(members), "o", color="C0", markerfacecolor="white", label="searched, by the cost model")
    axes.plot(*_places(best), "-", color="C0", linewidth=1, label="front, chosen on validation rows")
    for member in best:
        place = member["seconds"], member["test_accuracy"]
        axes.annotate(member["name"].removeprefix("mnist-"), place, (-4, 4), ha="right", color="C0", **_NAME)
    if models:
        seconds, accuracies = [model["seconds"] for model in models], [model["accuracy"] for model in models]
        axes.plot(seconds, accuracies, "s", color="C1", label="published models, measured")
    for model in models:
        axes.annotate(model["name"], (model["seconds"], model["accuracy"]), (5, -8), ha="left", color="C1", **_NAME)
    axes.set(xlim=(0, None), xlabel="seconds an encrypted prediction", ylabel="test accuracy")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    save(figure, file)


def _places(members: Sequence[dict[str, Any]]) -> tuple[list[float], list[float]]:
    return [member["seconds"] for member in members], [member["test_accuracy"] for member in members]


def save(figure: Figure, file: Path) -> None:
    """The same file for the same results."""
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
