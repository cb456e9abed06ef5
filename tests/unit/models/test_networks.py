"""The networks of thesis B.2: published numbers of parameters, shapes, depth, and that they learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy
from torch.overrides import TorchFunctionMode

from epaas_models.networks import (
    Classifier,
    alexnet,
    cnn4,
    densenet100,
    densenet121,
    global_pooling_cnn,
    resnet18,
    resnet50,
    resnet110,
    resnet110_wide,
    vgg19,
    wide_resnet,
)
from epaas_models.networks.densenet import dense_network
from epaas_models.networks.resnet import Padding, basic, bottleneck, padded, residual_network

SMALL: dict[str, Callable[..., Classifier]] = {
    "basic": lambda classes, channels: residual_network(basic, 4, ((1, 4), (1, 8)), classes, channels),
    "padded": lambda classes, channels: residual_network(padded, 4, ((1, 4), (1, 8)), classes, channels),
    "bottleneck": lambda classes, channels: residual_network(bottleneck, 4, ((1, 4), (1, 8)), classes, channels),
    "wide": lambda classes, channels: wide_resnet(classes, channels, blocks=1, widening=1),
    "dense": lambda classes, channels: dense_network((2, 3), 4, classes, channels),
    "alexnet": alexnet,
    "cnn": lambda classes, channels: cnn4(classes, channels, side=32, hidden=32),
}


class Unset(TorchFunctionMode):
    """Networks are made without random weights, which take their time."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in {Tensor.normal_, Tensor.uniform_}:
            return args[0]
        return func(*args, **(kwargs or {}))


def on_paper(make: Callable[[int], Classifier], classes: int) -> Classifier:
    with Unset():
        return make(classes).eval()


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("make", "published", "layers", "width", "side"),
    [
        (resnet18, 11_173_962, 18, 512, 4),
        (resnet50, 23_520_842, 50, 2048, 4),
        (resnet110, 1_727_962, 110, 64, 4),
        (resnet110_wide, 45_864_522, 110, 2048, 4),
        (wide_resnet, 36_481_434, 26, 640, 4),
        (densenet100, 769_162, 100, 342, 8),
        (densenet121, 6_956_298, 121, 1024, 8),
        (vgg19, 20_040_522, 17, 512, 32),
        (alexnet, 2_472_266, 6, 256, 32),
    ],
)
@torch.no_grad()
def test_networks_for_cifar10(
    make: Callable[[int], Classifier], published: int, layers: int, width: int, side: int
) -> None:
    """Parameters as the usual code for CIFAR-10 has them (1.7 million for ResNet-110: Table 6 of He et al.).

    Layers with weights from input to output, shortcuts left out: VGG-19 and AlexNet lack two for small pictures.
    """
    network = on_paper(make, 10)
    assert parameters(network) == published
    weighted = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert sum("shortcut" not in name for name in weighted) == layers
    assert (network.head.in_features, network.head.out_features) == (width, 10)
    for pictures in (torch.zeros(1, 3, side, side), torch.zeros(2, 3, side + 4, side + 4)):
        assert network.features(pictures).shape == (len(pictures), width)


def test_networks_have_the_parameters_that_the_thesis_counts() -> None:
    """B.2: for 100 classes but for VGG-19, which it counts for 1,000; the convolutions of AlexNet twice."""
    assert parameters(on_paper(wide_resnet, 100)) == 36_539_124
    assert parameters(on_paper(densenet100, 100)) == 800_032
    assert parameters(on_paper(vgg19, 1000)) == 20_548_392
    network = on_paper(alexnet, 100)
    assert 2 * parameters(network.body) + parameters(network.head) == 4_965_092


@pytest.mark.parametrize(("side", "places"), [(28, 16), (32, 16), (64, 64)])
@torch.no_grad()
def test_the_four_layer_network_halves_pictures_three_times(side: int, places: int) -> None:
    network = on_paper(lambda classes: cnn4(classes, side=side), 10)
    widths = [layer.in_features for layer in network.body.modules() if isinstance(layer, nn.Linear)]
    assert widths == [256 * places, 1024]
    kernels = [
        (layer.out_channels, layer.kernel_size) for layer in network.body.modules() if isinstance(layer, nn.Conv2d)
    ]
    assert kernels == [(32, (3, 3)), (64, (4, 4)), (128, (3, 3)), (256, (3, 3))]
    assert network.features(torch.zeros(2, 1, side, side)).shape == (2, 1024)
    assert network(torch.zeros(2, 1, side, side)).shape == (2, 10)


@pytest.mark.parametrize("name", SMALL)
def test_logits_are_the_head_of_the_features_and_rows_do_not_meet(name: str) -> None:
    torch.manual_seed(0)
    network = SMALL[name](5, 2).eval()
    pictures = torch.randn(3, 2, 32, 32)
    with torch.no_grad():
        logits = network(pictures)
        torch.testing.assert_close(network.head(network.features(pictures)), logits)
        torch.testing.assert_close(network(pictures.flip(0)).flip(0), logits)
    assert logits.std(dim=0).min() > 0


def losses(network: nn.Module, inputs: Tensor, labels: Tensor, steps: int, rate: float) -> list[float]:
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    found = []
    for _ in range(steps):
        loss = cross_entropy(network(inputs), labels)
        found.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return found


@pytest.mark.parametrize("name", SMALL)
def test_a_few_steps_lower_the_loss_and_reach_every_weight(name: str) -> None:
    torch.manual_seed(1)
    network = SMALL[name](3, 1)
    found = losses(network, torch.randn(6, 1, 32, 32), torch.tensor([0, 1, 2, 0, 1, 2]), 5, 1e-3)
    assert found[-1] < found[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters() if p.ndim > 1)


def test_the_shortcut_without_parameters_takes_every_second_pixel_and_adds_zeros() -> None:
    inputs = torch.arange(32.0).reshape(1, 2, 4, 4)
    found = Padding(3, 2)(inputs)
    assert found.shape == (1, 5, 2, 2)
    assert found[0, :2].tolist() == [[[0, 2], [8, 10]], [[16, 18], [24, 26]]]
    assert found[0, 2:].abs().sum() == 0


def test_a_block_is_its_convolutions_and_its_shortcut() -> None:
    torch.manual_seed(2)
    block, given = basic(3, 4, 2)
    assert given == 4
    block.eval()
    inputs = torch.randn(2, 3, 6, 6)
    weights = [module.weight for module in block.modules() if isinstance(module, nn.Conv2d)]
    scale = (1 + 1e-5) ** -0.5  # batch normalisation that has seen nothing
    hidden = (scale * conv2d(inputs, weights[0], stride=2, padding=1)).relu()
    expected = scale * conv2d(hidden, weights[1], padding=1) + scale * conv2d(inputs, weights[2], stride=2)
    torch.testing.assert_close(block(inputs), expected.relu())


def test_convolutions_begin_with_the_variance_of_he() -> None:
    torch.manual_seed(3)
    layers = [module for module in cnn4(10).body.modules() if isinstance(module, nn.Conv2d)]
    for layer in layers[1:]:
        fan_out = layer.out_channels * layer.kernel_size[0] ** 2
        assert layer.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.02)


def text_network(stride: int = 1, pretrained: Tensor | None = None) -> Classifier:
    torch.manual_seed(4)
    return global_pooling_cnn(30, 4, dimensions=6, width=5, stride=stride, pretrained=pretrained)


def test_the_text_network_has_the_parameters_of_chapter_7() -> None:
    network = on_paper(lambda classes: global_pooling_cnn(20_000, classes), 20)
    convolutions = 128 * (100 * 5 + 1) + 2 * 128 * (128 * 5 + 1)
    assert parameters(network) == 20_000 * 100 + convolutions + 128 * 129 + 20 * 129


@pytest.mark.parametrize("stride", [1, 5])
def test_the_text_network_by_hand(stride: int) -> None:
    network = text_network(stride).eval()
    numbers = torch.randint(0, 30, (1, 150))
    arrays = {name: value.detach().double().numpy() for name, value in network.state_dict().items()}

    def convolved(inputs: np.ndarray, layer: int) -> np.ndarray:
        weight, bias = arrays[f"body.{layer}.weight"], arrays[f"body.{layer}.bias"]
        windows = np.lib.stride_tricks.sliding_window_view(inputs, 5, axis=1)
        return np.maximum(np.einsum("oik,itk->ot", weight, windows) + bias[:, None], 0)

    def greatest(inputs: np.ndarray) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(inputs, 5, axis=1).max(axis=2)[:, ::stride]

    vectors = arrays["body.0.embedding.weight"][numbers[0].numpy()].T
    pooled = convolved(greatest(convolved(greatest(convolved(vectors, 1)), 4)), 7).max(axis=1)
    features = np.maximum(arrays["body.11.weight"] @ pooled + arrays["body.11.bias"], 0)
    with torch.no_grad():
        assert network.features(numbers)[0].numpy() == pytest.approx(features, abs=1e-5)
        logits = arrays["head.weight"] @ features + arrays["head.bias"]
        assert network(numbers)[0].numpy() == pytest.approx(logits, abs=1e-5)


@pytest.mark.parametrize(("stride", "shortest"), [(1, 21), (5, 149)])
def test_texts_have_a_least_length(stride: int, shortest: int) -> None:
    network = text_network(stride).eval()
    assert network(torch.zeros(1, shortest, dtype=torch.long)).shape == (1, 4)
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, shortest - 1, dtype=torch.long))


def test_vectors_of_words_are_learnt_unless_they_are_given() -> None:
    numbers, labels = torch.randint(0, 30, (8, 30)), torch.arange(8) % 4
    learnt = text_network()
    before = learnt.state_dict()["body.0.embedding.weight"].clone()
    found = losses(learnt, numbers, labels, 4, 1e-2)
    assert found[-1] < found[0]
    after = learnt.state_dict()["body.0.embedding.weight"]
    assert not torch.equal(after, before)
    assert after[0].abs().sum() == 0
    given = torch.randn(30, 6)
    fixed = text_network(pretrained=given)
    optimised = [parameter for parameter in fixed.parameters() if parameter.requires_grad]
    torch.optim.SGD(optimised, lr=1.0)
    losses(fixed, numbers, labels, 2, 1e-2)
    assert torch.equal(fixed.state_dict()["body.0.embedding.weight"], given)
