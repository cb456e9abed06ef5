"""The sentiment of sentences by a Tree-LSTM, with the losses of chapter 7 (thesis 7.5, B.1; Tai et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from epaas_models.datasets import sst
from epaas_models.datasets.text import Vocabulary
from epaas_models.datasets.trees import Tree, forest
from epaas_models.descent import Loss, descend
from epaas_models.experiments.early_stopping import EarlyStopping
from epaas_models.experiments.experiment import Measured, RunConfiguration, RunContext
from epaas_models.experiments.focal.measurement import Labels, Reals, calibration_measures
from epaas_models.losses import LossConfiguration
from epaas_models.networks import TreeLSTM

_BATCH = 100


class SentimentTraining(RunConfiguration):
    """Learns the label of every phrase, and is judged by whole sentences, which are negative or positive.

    As in the thesis the network of the best validation accuracy is measured (``best_epoch``); word vectors are learnt,
    since GloVe's are not at hand.
    """

    loss: LossConfiguration
    epochs: int = Field(default=25, ge=1)
    batch_size: int = Field(default=25, ge=2)
    learning_rate: float = Field(default=0.05, gt=0)
    """Of AdaGrad."""
    weight_decay: float = Field(default=1e-4, ge=0)
    dimensions: int = Field(default=300, ge=1)
    memory: int = Field(default=150, ge=1)

    def run(self, seed: int, context: RunContext) -> Measured:
        bank = sst.load(context.data, lambda _what, _done, _of: None)
        texts = [tuple(word for word in tree.words if word) for tree in bank.training]
        vocabulary = Vocabulary.learnt(texts, len({word for words in texts for word in words}))
        torch.manual_seed(seed)
        network = TreeLSTM(len(vocabulary), dimensions=self.dimensions, memory=self.memory).to(context.device)

        def outputs(trees: Sequence[Tree]) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
            """Logits and labels of all nodes, and the places of roots."""
            nodes = forest(trees, vocabulary.number)
            words, children, heights, labels = (
                torch.from_numpy(part).to(context.device)
                for part in (nodes.words, nodes.children, nodes.heights, nodes.labels)
            )
            return network(words, children, heights), labels, nodes.roots

        def begin_epoch(epoch: int) -> Loss:
            def loss_of(chosen: NDArray[np.int64]) -> Tensor:
                logits, labels, _ = outputs([bank.training[row] for row in chosen])
                return self.loss(logits, labels, epoch / self.epochs)

            return loss_of

        @torch.no_grad()
        def of_sentences(trees: Sequence[Tree]) -> Reals:
            """Logits (sentences, 2) of negative and positive."""
            network.eval()
            parts = []
            for first in range(0, len(trees), _BATCH):
                logits, _, roots = outputs(trees[first : first + _BATCH])
                parts.append(logits[torch.from_numpy(roots).to(context.device)][:, [sst.NEGATIVE, sst.POSITIVE]].cpu())
            return torch.cat(parts).double().numpy()

        stopping, held_out = EarlyStopping("error"), _labels(bank.validation)
        optimiser = torch.optim.Adagrad(network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        descend(
            network,
            optimiser,
            torch.optim.lr_scheduler.LambdaLR(optimiser, lambda _step: 1.0),
            begin_epoch,
            rows=len(bank.training),
            batch_size=self.batch_size,
            epochs=self.epochs,
            seed=seed,
            after_epoch=lambda epoch: stopping.observe(epoch, network, of_sentences(bank.validation), held_out),
            progress=context.progress,
            checkpoint=context.checkpoint,
            parts={"stopping": stopping},
        )
        stopping.restore(network)
        measures = calibration_measures(
            of_sentences(bank.validation), held_out, of_sentences(bank.test), _labels(bank.test)
        )
        return {**measures, "best_epoch": stopping.epoch}


def _labels(trees: Sequence[Tree]) -> Labels:
    """0 for negative sentences, 1 for positive ones."""
    return np.array([tree.labels[-1] == sst.POSITIVE for tree in trees], dtype=np.int64)
