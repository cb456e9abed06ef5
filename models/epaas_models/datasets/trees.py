"""Binary trees of phrases with a label at each node, and many of them as arrays. Knows no data set and no network."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAF = (-1, -1)

_PIECE = re.compile(r"[()]|[^\s()]+")


@dataclass(frozen=True)
class Tree:
    """A tree as its nodes in an order in which children come before their parents: the last is the root."""

    words: tuple[str, ...]
    """Of leaves; empty at inner nodes."""
    children: tuple[tuple[int, int], ...]
    """Places of a node's two children; :data:`LEAF` for a leaf."""
    labels: tuple[int, ...]


def parsed(text: str) -> Tree:
    """The tree of ``(label word)`` or ``(label tree tree)``. Raises :class:`ValueError` for anything else."""
    words: list[str] = []
    children: list[tuple[int, int]] = []
    labels: list[int] = []
    phrases: list[list[str | int]] = [[]]
    for piece in _PIECE.findall(text):
        if piece == "(":
            phrases.append([])
        elif piece != ")":
            phrases[-1].append(piece)
        else:
            match phrases.pop():
                case [str(label), str(word)]:
                    words.append(word)
                    children.append(LEAF)
                case [str(label), int(left), int(right)]:
                    words.append("")
                    children.append((left, right))
                case _:
                    raise ValueError(f"no binary tree: {text[:60]!r}")
            labels.append(int(label))
            if not phrases:
                raise ValueError(f"a bracket too many: {text[:60]!r}")
            phrases[-1].append(len(labels) - 1)
    if phrases != [[len(labels) - 1]]:
        raise ValueError(f"not one whole tree: {text[:60]!r}")
    return Tree(tuple(words), tuple(children), tuple(labels))


@dataclass(frozen=True)
class Forest:
    """The nodes of many trees, one after another, (nodes, ...) int64."""

    words: NDArray[np.int64]
    """Numbers of words, 0 at inner nodes."""
    children: NDArray[np.int64]
    """(nodes, 2): places in the forest, -1 at leaves."""
    heights: NDArray[np.int64]
    """0 at leaves, one more than the higher child's elsewhere."""
    labels: NDArray[np.int64]
    roots: NDArray[np.int64]
    """(trees,): places of the trees' roots."""


def forest(trees: Sequence[Tree], number: Callable[[str], int]) -> Forest:
    """The trees' nodes with their words as ``number`` numbers them."""
    sizes = np.array([len(tree.labels) for tree in trees], dtype=np.int64)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    children = np.array([pair for tree in trees for pair in tree.children], dtype=np.int64).reshape(-1, 2)
    children = np.where(children >= 0, children + starts[:, None], -1)
    heights = np.zeros(len(children), dtype=np.int64)
    for node, (left, right) in enumerate(children):
        if left >= 0:
            heights[node] = 1 + max(heights[left], heights[right])
    return Forest(
        words=np.array([number(word) if word else 0 for tree in trees for word in tree.words], dtype=np.int64),
        children=children,
        heights=heights,
        labels=np.array([label for tree in trees for label in tree.labels], dtype=np.int64),
        roots=np.cumsum(sizes) - 1,
    )
