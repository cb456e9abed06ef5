"""The global pooling network for texts (Lin et al. 2014; thesis B.1, 20 Newsgroups)."""

from __future__ import annotations

from torch import Tensor, nn

from epaas_models.networks.classifier import Classifier


class Vectors(nn.Module):
    """Vectors of words, from their numbers (n, length) to (n, dimensions, length).

    Learnt, and 0 for padding; or ``pretrained`` (words, dimensions), and then left as they are.
    """

    def __init__(self, words: int, dimensions: int, pretrained: Tensor | None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, dimensions, padding_idx=0)
        if pretrained is not None:
            self.embedding.weight = nn.Parameter(pretrained.clone(), requires_grad=False)

    def forward(self, numbers: Tensor) -> Tensor:
        vectors: Tensor = self.embedding(numbers)
        return vectors.transpose(1, 2)


def global_pooling_cnn(
    words: int,
    classes: int = 20,
    *,
    dimensions: int = 100,
    width: int = 128,
    stride: int = 1,
    dropout: float = 0.3,
    pretrained: Tensor | None = None,
) -> Classifier:
    """For texts as numbers of ``words`` words, int64 (n, length): logits (n, classes), ``width`` features.

    Three convolutions of five words; the greatest of five places after the first two, of all places after the third.
    ``stride`` is that of the first two poolings: 1 in the code of chapter 7, 5 in the one that it was made from, which
    is quicker by far. Texts must have at least 21 words with a stride of 1, 149 with one of 5.
    """
    body = nn.Sequential(
        Vectors(words, dimensions, pretrained),
        nn.Conv1d(dimensions, width, 5),
        nn.ReLU(),
        nn.MaxPool1d(5, stride),
        nn.Conv1d(width, width, 5),
        nn.ReLU(),
        nn.MaxPool1d(5, stride),
        nn.Conv1d(width, width, 5),
        nn.ReLU(),
        nn.AdaptiveMaxPool1d(1),
        nn.Flatten(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Dropout(dropout),
    )
    return Classifier(body, width, classes)
