"""Texts, words and trees of phrases from small files of their publishers' formats."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from data_making import placed, plain, tarred, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from epaas_models.datasets import newsgroups, split, sst
from epaas_models.datasets.files import DataFile, DataSettings
from epaas_models.datasets.text import PADDING, UNKNOWN, Vocabulary, words_of
from epaas_models.datasets.trees import LEAF, Tree, forest, parsed
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import ConfigurationError

texts = st.lists(st.lists(st.sampled_from(list("abcdefgh")), max_size=9), min_size=1, max_size=5)

_labels = st.integers(0, 4)
nested = st.recursive(
    st.tuples(_labels, st.sampled_from(["good", "film", "1\\/2", "n't", "-LRB-"])),
    lambda trees: st.tuples(_labels, trees, trees),
    max_leaves=12,
)


def quiet(_what: str, _done: int, _of: int) -> None:
    """Nobody watches."""


@pytest.fixture
def at(tmp_path: Path) -> DataSettings:
    return DataSettings(data_dir=tmp_path / "data", data_cache_dir=tmp_path / "cache")


def test_newsgroups_are_articles_without_headers_and_the_later_are_the_test(at: DataSettings, tmp_path: Path) -> None:
    archive = tarred(
        {
            "20news-bydate-test/sci.space/3": b"From: c\n\nThe moon\n\nis caf\xe9",
            "20news-bydate-train/sci.space/2": b"From: b\nNewsgroups: sci.space\n\nOrbits",
            "20news-bydate-train/rec.autos/1": b"From: a\n\nCars\n",
        }
    )
    file = DataFile("toy", "news.tar.gz", digest_bytes(archive), source="here")
    dataset = newsgroups.load(at, quiet, file=placed(tmp_path / "data", file, archive))
    assert dataset.classes == ("rec.autos", "sci.space")
    assert dataset.columns["text"].tolist() == ["Cars\n", "Orbits", "The moon\n\nis café"]
    assert dataset.labels.tolist() == [0, 1, 1]
    assert split(dataset, 0).test.tolist() == [2]


def test_newsgroups_are_those_at_hand_or_the_collectors() -> None:
    assert len({newsgroups.ARCHIVE.sha256, *newsgroups.ARCHIVE.repacked}) == 2


def test_words_are_letters_digits_and_what_follows_an_apostrophe() -> None:
    assert words_of("Don't PANIC -- it's 42!\n'quoted' e-mail, foo_bar") == [
        "don't",
        "panic",
        "it's",
        "42",
        "quoted",
        "e",
        "mail",
        "foo",
        "bar",
    ]


@settings(max_examples=50)
@given(texts, st.integers(1, 6))
def test_a_vocabulary_has_the_commonest_words(learnt_from: list[list[str]], size: int) -> None:
    vocabulary = Vocabulary.learnt(learnt_from, size)
    counts = Counter(word for words in learnt_from for word in words)
    assert len(vocabulary) == 2 + min(size, len(counts))
    kept = [counts[word] for word in vocabulary.words]
    assert kept == sorted(counts.values(), reverse=True)[:size]
    assert [vocabulary.number(word) for word in vocabulary.words] == list(range(2, len(vocabulary)))
    assert vocabulary.number("unheard of") == UNKNOWN
    assert Vocabulary.learnt(reversed(learnt_from), size) == vocabulary


@settings(max_examples=50)
@given(texts, st.integers(1, 6), st.integers(1, 7))
def test_sequences_end_with_the_last_known_words(learnt_from: list[list[str]], size: int, length: int) -> None:
    vocabulary = Vocabulary.learnt(learnt_from, size)
    sequences = vocabulary.sequences(learnt_from, length)
    assert sequences.shape == (len(learnt_from), length)
    for sequence, words in zip(sequences, learnt_from, strict=True):
        known = [word for word in words if word in vocabulary.words]
        read = [vocabulary.words[number - 2] for number in sequence if number != PADDING]
        assert read == known[-length:]
        assert (np.diff((sequence == PADDING).astype(int)) <= 0).all()


def written(tree: tuple[object, ...]) -> str:
    label, *parts = tree
    return f"({label} {' '.join(part if isinstance(part, str) else written(part) for part in parts)})"  # type: ignore[arg-type]


def rebuilt(tree: Tree, node: int) -> tuple[object, ...]:
    if tree.children[node] == LEAF:
        return tree.labels[node], tree.words[node]
    left, right = tree.children[node]
    return tree.labels[node], rebuilt(tree, left), rebuilt(tree, right)


@settings(max_examples=40)
@given(nested)
def test_a_tree_is_what_was_written_with_children_before_parents(tree: tuple[object, ...]) -> None:
    found = parsed(written(tree))
    assert rebuilt(found, len(found.labels) - 1) == tree
    assert all(max(pair) < node for node, pair in enumerate(found.children))


@pytest.mark.parametrize(
    "text",
    ["", "(3 good", "(3 good))", "(3)", "(3 a b)", "(3 (2 a))", "(3 (2 a) b)", "(x a)", "word", "(2 a) (2 b)", "()"],
)
def test_what_is_no_binary_tree_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"tree|bracket|invalid literal"):
        parsed(text)


def height(tree: tuple[object, ...]) -> int:
    return 0 if isinstance(tree[1], str) else 1 + max(height(part) for part in tree[1:])  # type: ignore[arg-type]


@settings(max_examples=40)
@given(st.lists(nested, min_size=1, max_size=4))
def test_a_forest_is_its_trees(trees: list[tuple[object, ...]]) -> None:
    words = ["good", "film", "1\\/2", "n't", "-LRB-"]
    planted = forest([parsed(written(tree)) for tree in trees], lambda word: 1 + words.index(word))

    def at_node(node: int) -> tuple[object, ...]:
        left, right = planted.children[node]
        label = int(planted.labels[node])
        if left < 0:
            return label, words[planted.words[node] - 1]
        assert planted.words[node] == 0
        return label, at_node(left), at_node(right)

    assert [at_node(root) for root in planted.roots] == trees
    assert planted.heights[planted.roots].tolist() == [height(tree) for tree in trees]


def treebank(at: DataSettings, **parts: str) -> sst.Treebank:
    assert at.data_dir is not None
    archive = zipped({f"trees/{part}.txt": text.encode() for part, text in parts.items()})
    return sst.load(at, quiet, file=plain(at.data_dir, "trees.zip", archive))


def test_sentences_that_are_neutral_as_a_whole_are_left_out(at: DataSettings) -> None:
    bank = treebank(
        at,
        train="(4 (2 Very) (3 Good))\n(2 (4 Great) (0 Bore))\n\n(1 (0 Awful) (2 film))\n",
        dev="(0 no)\n",
        test="(3 yes)\n(2 so)\n",
    )
    assert [tree.labels for tree in bank.training] == [
        (sst.NEUTRAL, sst.POSITIVE, sst.POSITIVE),
        (sst.NEGATIVE, sst.NEUTRAL, sst.NEGATIVE),
    ]
    assert bank.training[0].words == ("very", "good", "")
    assert (len(bank.validation), len(bank.test)) == (1, 1)


@pytest.mark.parametrize(
    "parts", [{"train": "(5 good)"}, {"train": "(-1 good)"}, {"train": "good"}, {"train": "(2 (3 a) (4 b)"}, {}]
)
def test_what_is_no_treebank_is_named(parts: dict[str, str], at: DataSettings) -> None:
    with pytest.raises(ConfigurationError) as caught:
        treebank(at, dev="(0 no)", test="(3 yes)", **parts)
    assert caught.value.field == "trees.zip"
