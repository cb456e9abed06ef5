"""Words of texts and the vocabulary that numbers them. Knows no data set and no network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

PADDING = 0
UNKNOWN = 1
_FIRST_WORD = 2

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)*")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case: letters and digits, with what follows an apostrophe; no punctuation."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """The numbers of words: the commonest has 2; 0 is padding and 1 any other word."""

    words: tuple[str, ...]

    @classmethod
    def learnt(cls, texts: Iterable[Sequence[str]], size: int) -> Self:
        """The ``size`` commonest words of these texts, which are training texts, as lists of words.

        Of words as common as each other the alphabetically first.
        """
        counts = Counter(word for words in texts for word in words)
        return cls(tuple(sorted(counts, key=lambda word: (-counts[word], word))[:size]))

    def __len__(self) -> int:
        """How many numbers there are, those for padding and unknown words with them."""
        return len(self.words) + _FIRST_WORD

    def number(self, word: str) -> int:
        return self._numbers.get(word, UNKNOWN)

    def sequences(self, texts: Iterable[Sequence[str]], length: int) -> NDArray[np.int64]:
        """The numbers of the words of each text, (texts, length).

        As in the reference for 20 Newsgroups (Kumar et al. 2018): words that are not known are left out, of a long text
        the last ``length`` stay, and a short one is padded before its first word.
        """
        rows = [[self._numbers[word] for word in words if word in self._numbers][-length:] for words in texts]
        sequences = np.full((len(rows), length), PADDING, dtype=np.int64)
        for row, numbers in enumerate(rows):
            sequences[row, length - len(numbers) :] = numbers
        return sequences

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, _FIRST_WORD)}
