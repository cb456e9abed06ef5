"""The network on rows that it was trained on and rows that it was not, and how its output moves with the record."""

from __future__ import annotations

from epaas_shared.quantities import points
from epaas_shared.report.generalisation import Distribution, Generalisation, LayerMeasures
from epaas_web.pages.diagrams.boxes import boxes
from epaas_web.pages.diagrams.curves import Curve, curves
from epaas_web.pages.elements import (
    Block,
    Cell,
    Chapter,
    Figures,
    Folded,
    Heading,
    Table,
    count_cell,
    facts,
    number_cell,
    rate_cell,
    share_cell,
    text_cell,
)


def generalisation_chapter(found: Generalisation) -> Chapter:
    blocks: list[Block] = [
        facts(
            "Accuracy on seen and unseen rows (95 % intervals)",
            ("training rows", rate_cell(found.train_accuracy)),
            ("test rows", rate_cell(found.test_accuracy)),
            ("gap", Cell(points(found.gap), found.gap)),
        ),
        Figures(
            (
                boxes(
                    "Margin of the true class",
                    "How far the true class is ahead of the next one. Below 0 the prediction is wrong; far above, it "
                    "is hard to alter.",
                    {"training rows": found.train_margin, "test rows": found.test_margin},
                    with_zero=True,
                ),
                curves(
                    "Predictions that change under noise",
                    "Share of predictions that differ when so large a share of noise is added to the record.",
                    (Curve("changed", "straight", _shares(found.sensitivity.flips)),),
                    x_title="share of noise",
                    y_title="predictions changed",
                    to_one=False,
                ),
            )
        ),
        Heading("Layers", "Describes the network; such norms rank models and prove nothing."),
        Folded(
            "Norms, layers and sensitivity", (_layers(found.layers), _variance(found.layers), _distributions(found))
        ),
    ]
    takeaway = "It does as well on rows that it has never seen as on those that it was trained on."
    if found.gap > 0:
        takeaway = (
            f"On rows it was trained on it does better by {points(found.gap).lstrip('+')}: "
            "the smaller that gap, the less it has learned by heart."
        )
    return Chapter("generalisation", "Generalisation", takeaway, tuple(blocks))


def _shares(by_share: dict[str, float]) -> tuple[tuple[float, float], ...]:
    return tuple(sorted((float(share), value) for share, value in by_share.items()))


def _layers(found: tuple[LayerMeasures, ...]) -> Table:
    rows = tuple(
        (
            text_cell(f"{layer.layer}, {layer.kind}"),
            text_cell(" by ".join(map(str, layer.shape))),
            number_cell(layer.spectral_norm),
            number_cell(layer.stable_rank),
            count_cell(layer.rank),
            share_cell(layer.zero_weights),
            number_cell(layer.cushion.median if layer.cushion else None),
        )
        for layer in found
    )
    headers = ("Layer", "Shape", "Spectral norm", "Stable rank", "Rank", "Zero weights", "Cushion (median)")
    return Table("Weights of each layer, from the full singular value decomposition", headers, rows)


def _variance(found: tuple[LayerMeasures, ...]) -> Table:
    components = dict.fromkeys(r for layer in found for r in layer.variance_ratio)
    rows = tuple(
        (text_cell(f"{layer.layer}, {layer.kind}"), *(share_cell(layer.variance_ratio.get(r)) for r in components))
        for layer in found
    )
    return Table("Variance of a layer's outputs that so many principal components hold", ("Layer", *components), rows)


def _distributions(found: Generalisation) -> Table:
    sensitivity, complexity = found.sensitivity, found.complexity
    named: dict[str, Distribution | None] = {
        "margin, training rows": found.train_margin,
        "margin, test rows": found.test_margin,
        "empirical Lipschitz constant": sensitivity.empirical_lipschitz,
        "local Lipschitz constant": sensitivity.local_lipschitz,
        "Spec-Fro (logarithm)": complexity.spec_fro,
        "Spec-L1 (logarithm)": complexity.spec_l1,
        "Jac-Norm (logarithm)": complexity.jac_norm,
    }
    named |= {f"cushion of layer {layer.layer}": layer.cushion for layer in found.layers}
    rows = tuple(
        (
            text_cell(name),
            *(number_cell(value) for value in (shown.p5, shown.p25, shown.median, shown.p75, shown.p90, shown.p95)),
        )
        if shown
        else (text_cell(name), *(number_cell(None) for _ in range(6)))
        for name, shown in named.items()
    )
    rows += tuple(
        (text_cell(f"change of the logits at {share} noise"), number_cell(None), number_cell(None), number_cell(value))
        + (number_cell(None),) * 3
        for share, value in sensitivity.noise.items()
    )
    headers = ("Over rows", "5th percentile", "25th", "Median or mean", "75th", "90th", "95th")
    return Table("Distributions", headers, rows)
