"""Weight dropping (thesis 8.4.3): the weights that matter least become 0, and the rest are trained a little more.

The thesis drops a share of a binary network's weights to add up fewer ciphertexts. The latent weights say which: one
near 0 changed its sign until late in training and so contributes least. (Published code of the method drops those
farthest from 0.)
"""

from __future__ import annotations

import torch

from epaas_models.binary_network import BinaryNetwork


@torch.no_grad()
def drop(network: BinaryNetwork, share: float) -> None:
    """Drop, for good, this share of every layer's weights: those with the smallest latent magnitude.

    Weights that were dropped before count to the share. Raises ValueError for a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share is between 0 and 1, not {share}")
    for layer in network.layers:
        magnitudes = (layer.latent.abs() * layer.kept).flatten()
        count = round(share * len(magnitudes))
        layer.kept.flatten()[magnitudes.argsort(stable=True)[:count]] = 0


def dropped_share(network: BinaryNetwork) -> float:
    """Share of all weights that are 0."""
    integers = torch.cat([layer.integers().flatten() for layer in network.layers])
    return float((integers == 0).float().mean())
