"""The Stanford Sentiment Treebank (Socher et al. 2013; thesis B.1), binary: sentences of film reviews as trees.

Each phrase is labelled negative (0), neutral (1) or positive (2). Sentences that are neutral as a whole are left out,
which leaves 6,920 to train on, 872 to validate with and 1,821 to test with.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, replace

from epaas_models.datasets.files import DataFile, DataSettings, Progress, read
from epaas_models.datasets.trees import Tree, parsed
from epaas_shared.errors import ConfigurationError

_PAGE = "https://nlp.stanford.edu/sentiment/"

ARCHIVE = DataFile(
    folder="sst",
    name="trainDevTestTrees_PTB.zip",
    sha256="5c613a4f673fc74097d523a2c83f38e0cc462984d847b82c7aaf36b01cbbbfcc",
    source=f"the authors' page, {_PAGE}",
    url=f"{_PAGE}trainDevTestTrees_PTB.zip",
)
NEGATIVE, NEUTRAL, POSITIVE = range(3)

_COARSE = {0: NEGATIVE, 1: NEGATIVE, 2: NEUTRAL, 3: POSITIVE, 4: POSITIVE}
"""By the published label, from very negative to very positive."""


@dataclass(frozen=True)
class Treebank:
    """Sentences as they are published; words in lower case."""

    training: tuple[Tree, ...]
    validation: tuple[Tree, ...]
    test: tuple[Tree, ...]


def load(settings: DataSettings, progress: Progress, *, file: DataFile = ARCHIVE) -> Treebank:
    """The sentences of ``train.txt``, ``dev.txt`` and ``test.txt`` that are negative or positive."""
    with zipfile.ZipFile(io.BytesIO(read(file, settings, progress))) as archive:
        parts = {name.rpartition("/")[2]: name for name in archive.namelist()}
        try:
            training, validation, test = (
                _sentences(archive.read(parts[f"{part}.txt"]).decode()) for part in ("train", "dev", "test")
            )
        except (KeyError, ValueError) as error:
            raise ConfigurationError(f"these are no trees of sentiment: {error}", field=file.name) from None
    return Treebank(training, validation, test)


def _sentences(lines: str) -> tuple[Tree, ...]:
    trees = (parsed(line.lower()) for line in lines.splitlines() if line.strip())
    coarse = (replace(tree, labels=tuple(_COARSE[label] for label in tree.labels)) for tree in trees)
    return tuple(tree for tree in coarse if tree.labels[-1] != NEUTRAL)
