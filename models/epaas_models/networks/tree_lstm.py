"""The binary Tree-LSTM (Tai et al. 2015, section 3.2) for the sentiment of every phrase of a sentence (thesis B.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TreeLSTM(nn.Module):
    """A state for each node of binary trees, leaves first, and logits from it.

    Equations 9 to 14 of the paper: words enter at leaves, whose children are zero; an inner node has no word. Memory,
    dimensions and the dropout before the head are the authors'.
    """

    def __init__(
        self, words: int, classes: int = 3, *, dimensions: int = 300, memory: int = 150, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.memory = memory
        self.embedding = nn.Embedding(words, dimensions, padding_idx=0)
        self.from_word = nn.Linear(dimensions, 5 * memory)
        """To the gates of input, left child, right child and output, and to the update."""
        self.from_children = nn.Linear(2 * memory, 5 * memory, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(memory, classes)

    def features(self, words: Tensor, children: Tensor, heights: Tensor) -> Tensor:
        """Hidden states (nodes, memory) of the nodes of any number of trees.

        ``words`` (nodes,) are 0 at inner nodes; ``children`` (nodes, 2) are places of nodes, -1 at leaves; ``heights``
        (nodes,) are 0 at leaves and greater than a node's children's elsewhere. All nodes of a height go at once.
        """
        of_words = self.from_word(self.embedding(words))
        # A last row of zeros, which is what -1 points to, stands for the children of leaves.
        hidden: Tensor = of_words.new_zeros(len(words) + 1, self.memory)
        cells = torch.zeros_like(hidden)
        for height in range(int(heights.max()) + 1):
            nodes = torch.nonzero(heights == height).flatten()
            pairs = children[nodes]
            gates = of_words[nodes] + self.from_children(hidden[pairs].flatten(1))
            entering, left, right, leaving, update = gates.chunk(5, dim=1)
            of_left, of_right = cells[pairs].unbind(1)
            cell = (
                torch.sigmoid(entering) * torch.tanh(update)
                + torch.sigmoid(left) * of_left
                + torch.sigmoid(right) * of_right
            )
            cells = cells.index_copy(0, nodes, cell)
            hidden = hidden.index_copy(0, nodes, torch.sigmoid(leaving) * torch.tanh(cell))
        states: Tensor = hidden[:-1]
        return states

    def forward(self, words: Tensor, children: Tensor, heights: Tensor) -> Tensor:
        """Logits (nodes, classes): those of a sentence are those of its root."""
        logits: Tensor = self.head(self.dropout(self.features(words, children, heights)))
        return logits
