"""A network evaluated on ciphertexts, layer by layer.

Layers are pure functions of the layer before, so that a finished one is a checkpoint. Knows nothing of jobs, files or
processes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from epaas_server.engine.batches import Bootstrapper
from epaas_server.plan import LayerPlan
from epaas_shared.heads import Head
from epaas_shared.layers import Layer
from epaas_shared.profile import Profile
from epaas_shared.zerokey import Torus


def evaluate_layer(
    layer: Layer, plan: LayerPlan, bits: Torus, profile: Profile, bootstrap: Bootstrapper
) -> Iterator[Torus]:
    """Ciphertexts of ``layer``'s output bits, in blocks (n, words) that follow one another as (records, outputs) do.

    ``bits`` has shape (records, inputs, words), and may be a file mapped into memory.
    """
    return plan.strategy_used.evaluate(layer, plan.sums, bits, profile, bootstrap)


def combine(head: Head, bits: Torus) -> Torus:
    """The values of a prediction, (records, values, words), of its last layer's bits (records, outputs, words).

    Sums of bootstrapped bits with the public weights of the head: nothing of the model is in how they are made.
    """
    return np.stack([head.combination.astype(np.uint64) @ record for record in bits])
