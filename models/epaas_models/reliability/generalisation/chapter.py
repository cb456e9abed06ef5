"""The chapter on generalisation and sensitivity of a report (thesis 3.1, 4.4.3, 6.4)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from epaas_models.reliability.generalisation.complexity import measure_complexity
from epaas_models.reliability.generalisation.margins import distribution, distribution_if_any, margins
from epaas_models.reliability.generalisation.representations import layer_cushion, passages, variance_ratios
from epaas_models.reliability.generalisation.sensitivity import empirical_lipschitz, local_lipschitz, noise_response
from epaas_models.reliability.generalisation.spectral import Spectrum, spectrum, weight_matrix
from epaas_models.reliability.intervals import wilson_interval
from epaas_models.reliability.straight_through import Twin
from epaas_models.reliability.subject import Columns, Subject
from epaas_shared.features import Bits
from epaas_shared.layers import ConvolutionLayer, Layer
from epaas_shared.network import Network
from epaas_shared.report.generalisation import Generalisation, LayerMeasures, Sensitivity
from epaas_shared.report.measures import Rate

NOISE_SHARES = (0.05, 0.1, 0.2, 0.5)
_MARGIN_ROWS = 100
"""How many times more rows accuracy and margins are measured on than Jacobians: they cost far less."""

Progress = Callable[[str, int, int], None]


def measure_generalisation(
    subject: Subject,
    training_bits: Bits,
    training_labels: NDArray[np.int64],
    test_bits: Bits,
    test_labels: NDArray[np.int64],
    *,
    columns_test: Columns | None = None,
    rows: int = 1000,
    seed: int = 0,
    progress: Progress = lambda _what, _done, _total: None,
) -> Generalisation:
    """All measures of the chapter; bits of shape (rows, inputs), class indices of shape (rows,).

    Accuracy and margins are of at most ``100 * rows`` training and test rows. What the theory defines on the training
    set, cushions and complexity, is of ``rows`` training rows, and so are representations; sensitivity is of ``rows``
    test rows. All are drawn without replacement by ``seed``. ``columns_test`` are the test rows before encoding, in the
    same order; without them there is nothing to add noise to, and ``noise`` and ``flips`` are empty. There are at least
    two training rows and ``rows`` is at least 2: slopes are in standard deviations.
    """
    random = np.random.default_rng(seed)
    progress("margins", 0, 2)
    training = _drawn(len(training_labels), _MARGIN_ROWS * rows, random)
    train_margin = margins(subject.logits(training_bits[training]), training_labels[training])
    progress("margins", 1, 2)
    test = _drawn(len(test_labels), _MARGIN_ROWS * rows, random)
    test_margin = margins(subject.logits(test_bits[test]), test_labels[test])

    seen = _drawn(len(training_labels), rows, random)
    twin = Twin(subject, training_bits[seen])
    spectra = []
    for index, layer in enumerate(subject.network.layers):
        progress("spectra of layers", index, len(subject.network.layers))
        spectra.append(spectrum(weight_matrix(layer)))
    layers = _measure_layers(subject.network, spectra, training_bits[seen], progress)
    progress("complexity", 0, 1)
    complexity = measure_complexity(subject, twin, spectra, training_bits[seen], training_labels[seen])
    unseen = _drawn(len(test_labels), rows, random)
    columns = None if columns_test is None else {name: column[unseen] for name, column in columns_test.items()}
    train_accuracy, test_accuracy = _accuracy(train_margin), _accuracy(test_margin)
    return Generalisation(
        train_accuracy=train_accuracy,
        test_accuracy=test_accuracy,
        gap=train_accuracy.value - test_accuracy.value,
        train_margin=distribution(train_margin),
        test_margin=distribution(test_margin),
        layers=layers,
        complexity=complexity,
        sensitivity=_measure_sensitivity(subject, twin, test_bits[unseen], columns, random, progress),
    )


def _drawn(available: int, rows: int, random: np.random.Generator) -> NDArray[np.int64]:
    """At most ``rows`` places, in the order of the data."""
    return np.sort(random.permutation(available)[:rows])


def _accuracy(margin: NDArray[np.float64]) -> Rate:
    """The greatest logit is the prediction, and no two are equal."""
    right = int((margin > 0).sum())
    low, high = wilson_interval(right, len(margin))
    return Rate(value=right / len(margin), interval=(low, high), rows=len(margin))


def _measure_layers(
    network: Network, spectra: list[Spectrum], bits: Bits, progress: Progress
) -> tuple[LayerMeasures, ...]:
    found = []
    for index, (layer, inputs, sums) in enumerate(passages(network, bits)):
        progress("representations", index, len(network.layers))
        last = index == len(network.layers) - 1
        found.append(
            LayerMeasures(
                layer=index,
                kind=_kind(layer),
                shape=layer.weights.shape,
                spectral_norm=spectra[index].spectral_norm,
                stable_rank=spectra[index].stable_rank,
                rank=spectra[index].rank,
                zero_weights=float(np.mean(layer.weights == 0)),
                cushion=distribution_if_any(layer_cushion(layer, inputs, sums)),
                variance_ratio=variance_ratios(sums if last else sums >= 0),
            )
        )
    return tuple(found)


def _kind(layer: Layer) -> str:
    return "convolution" if isinstance(layer, ConvolutionLayer) else "dense"


def _measure_sensitivity(
    subject: Subject,
    twin: Twin,
    bits: Bits,
    columns: Columns | None,
    random: np.random.Generator,
    progress: Progress,
) -> Sensitivity:
    noise, flips = {}, {}
    if columns is not None:
        for done, share in enumerate(NOISE_SHARES):
            progress("noise", done, len(NOISE_SHARES))
            noise[f"{share:g}"], flips[f"{share:g}"] = noise_response(subject, columns, share, random)
    progress("pairs of rows", 0, 1)
    return Sensitivity(
        noise=noise,
        flips=flips,
        empirical_lipschitz=distribution_if_any(empirical_lipschitz(bits, subject.logits(bits))),
        local_lipschitz=distribution(
            local_lipschitz(twin, bits, lambda done, total: progress("local Lipschitz", done, total))
        ),
    )
