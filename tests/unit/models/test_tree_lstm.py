"""The Tree-LSTM against a recursion by hand, node by node."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from epaas_models.datasets.trees import Forest, Tree, forest, parsed
from epaas_models.networks import TreeLSTM

WORDS = ["not", "very", "good", "film"]
SENTENCE = "(1 (0 (0 not) (2 (1 very) (2 good))) (1 film))"
Floats = NDArray[np.float64]

shapes = st.recursive(
    st.sampled_from([f"(1 {word})" for word in WORDS]),
    lambda tree: st.builds("(0 {} {})".format, tree, tree),
    max_leaves=9,
)


def planted(*sentences: str) -> Forest:
    return forest([parsed(sentence) for sentence in sentences], lambda word: 1 + WORDS.index(word))


def inputs(trees: Forest) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.from_numpy(trees.words), torch.from_numpy(trees.children), torch.from_numpy(trees.heights)


def network() -> TreeLSTM:
    torch.manual_seed(5)
    return TreeLSTM(5, dimensions=4, memory=3, dropout=0.5).double()


def sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)))


def by_hand(tree: Tree, node: int, arrays: dict[str, Floats]) -> tuple[Floats, Floats]:
    """Hidden state and cell of a node: equations 9 to 14 of Tai et al., one gate at a time."""
    word = tree.words[node]
    x = arrays["embedding.weight"][1 + WORDS.index(word)] if word else np.zeros(4)
    states = [
        by_hand(tree, child, arrays) if child >= 0 else (np.zeros(3), np.zeros(3)) for child in tree.children[node]
    ]

    def gate(place: int) -> Floats:
        rows = slice(3 * place, 3 * place + 3)
        total = arrays["from_word.weight"][rows] @ x + arrays["from_word.bias"][rows]
        for side, (hidden, _) in enumerate(states):
            total = total + arrays["from_children.weight"][rows, 3 * side : 3 * side + 3] @ hidden
        return np.asarray(total)

    cell = sigmoid(gate(0)) * np.tanh(gate(4))
    for side, (_, of_child) in enumerate(states):
        cell = cell + sigmoid(gate(1 + side)) * of_child
    return sigmoid(gate(3)) * np.tanh(cell), cell


@settings(deadline=None, max_examples=25)
@given(shapes)
def test_states_are_those_of_the_recursion(sentence: str) -> None:
    lstm = network().eval()
    tree = parsed(sentence)
    arrays = {name: value.detach().numpy() for name, value in lstm.state_dict().items()}
    with torch.no_grad():
        found = lstm.features(*inputs(planted(sentence))).numpy()
        logits = lstm(*inputs(planted(sentence))).numpy()
    expected = np.array([by_hand(tree, node, arrays)[0] for node in range(len(tree.labels))])
    assert found == pytest.approx(expected, abs=1e-12)
    assert logits == pytest.approx(expected @ arrays["head.weight"].T + arrays["head.bias"], abs=1e-12)


def test_trees_in_a_forest_do_not_meet() -> None:
    lstm = network().eval()
    others = ("(2 film)", SENTENCE, "(3 (2 very) (3 good))")
    with torch.no_grad():
        alone = [lstm(*inputs(planted(sentence)))[-1] for sentence in others]
        together = planted(*others)
        torch.testing.assert_close(lstm(*inputs(together))[together.roots], torch.stack(alone))


def test_the_sides_of_a_phrase_matter() -> None:
    lstm = network().eval()
    with torch.no_grad():
        one, other = (lstm(*inputs(planted(s)))[-1] for s in ("(1 (2 not) (3 good))", "(1 (3 good) (2 not))"))
    assert not torch.allclose(one, other)


def test_gradients_are_finite_differences() -> None:
    lstm = network().eval()
    trees = planted(SENTENCE, "(2 (2 film) (2 good))")
    names = [name for name, _ in lstm.named_parameters()]
    assert names[0] == "embedding.weight"

    def loss(of_words: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        # The vector of number 0, that of no word, stays zero.
        weights = dict(zip(names, (torch.cat((torch.zeros(1, 4), of_words)), *values), strict=True))
        logits = torch.func.functional_call(lstm, weights, inputs(trees))
        return cross_entropy(logits, torch.from_numpy(trees.labels))

    of_words, *values = (parameter.detach() for parameter in lstm.parameters())
    assert torch.autograd.gradcheck(loss, tuple(v.requires_grad_() for v in (of_words[1:], *values)), fast_mode=True)


def test_it_learns_the_sentiment_of_phrases() -> None:
    torch.manual_seed(6)
    lstm = TreeLSTM(5, dimensions=8, memory=6, dropout=0.0)
    trees = planted(SENTENCE, "(2 (1 very) (2 good))", "(0 (0 not) (2 good))")
    labels = torch.from_numpy(trees.labels)
    optimiser = torch.optim.Adagrad(lstm.parameters(), lr=0.2)
    losses = []
    for _ in range(40):
        loss = cross_entropy(lstm(*inputs(trees)), labels)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.2 * losses[0]
    assert (lstm(*inputs(trees)).argmax(dim=1) == labels).all()


def test_the_number_of_parameters_is_that_of_the_equations() -> None:
    lstm = TreeLSTM(1000)
    assert sum(p.numel() for p in lstm.parameters()) == 1000 * 300 + 5 * 150 * (300 + 1 + 2 * 150) + 3 * 151
