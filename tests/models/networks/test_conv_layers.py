"""Convolutional networks layer by layer: sizes, layouts, norms and what is refused, by value."""

from typing import Any

import pytest
import torch
from torch import nn

from mleg_ray.errors import ConfigError
from mleg_ray.models.networks.conv_layers import ConvLayersConfig as Config
from mleg_ray.space import Part, Space
from tests.models.networks.spaces import BESIDE, CODE, JETS, NOISE, NUMBERS, SCORE, UNLIKE
from tests.models.networks.test_conv import NO_CONDITION, ones

CELLS = Space({"cells": Part((1, 4, 4))})
LINEAR: dict[str, Any] = {"negative_slope": 1.0}


def image(pixels: int) -> Space:
    return Space({"cells": Part((1, pixels, pixels))})


def test_a_critic_by_hand() -> None:
    """Sums of 2 x 2 apart, of which three are twice the mean: (10 + 26 + 42 + 58)/4 = 34."""
    layers = ({"kernel": 2, "stride": 2}, {"kernel": 1})
    network = ones(Config(channels=(2,), layers=layers, **LINEAR).build(CELLS, 0, SCORE))
    x = torch.tensor([[1, 2, 5, 6, 3, 4, 7, 8, 9, 10, 13, 14, 11, 12, 15, 16]]).float()
    assert network.hidden(x, NO_CONDITION, 1).tolist() == [[10, 26, 42, 58] * 2]
    assert network(x, NO_CONDITION).item() == 2 * 34


def test_a_generator_by_hand() -> None:
    """A pixel of 3 and a condition of 4 become 7 in each of 2 x 2, and those overlap in rows."""
    layers = ({"kernel": 2}, {"kernel": 2, "stride": 1})
    network = ones(
        Config(channels=(1,), layers=layers, **LINEAR).build(Space.numbers(1), 1, image(3))
    )
    made = network(torch.tensor([[3.0]]), torch.tensor([[4.0]]))
    assert made.tolist() == [[7, 14, 7, 14, 28, 14, 7, 14, 7]]


def test_images_of_one_size_are_stacked_and_numbers_are_constant_channels() -> None:
    """The sum of all channels: 1 + 20 + 300 in each pixel."""
    layers = ({"kernel": 1}, {"kernel": 1})
    seen = Space({"front": Part((1, 2, 2)), "n": Part((1,)), "back": Part((1, 2, 2))})
    network = ones(Config(channels=(1,), layers=layers, **LINEAR).build(seen, 0, SCORE))
    x = torch.tensor([[1.0] * 4 + [300.0] + [20.0] * 4])
    assert network(x, NO_CONDITION).item() == 321
    both = Space({"front": Part((1, 1, 2)), "back": Part((2, 1, 2))})
    with pytest.raises(ConfigError, match="makes 1 x 1"):
        Config(channels=(1,), layers=layers).build(NOISE, 0, both)
    tall = Space({"front": Part((1, 2, 2)), "back": Part((2, 2, 2))})
    made = Config(channels=(1,), layers=({"kernel": 2}, {"kernel": 1})).build(NOISE, 0, tall)
    assert made(torch.randn(3, 9), NO_CONDITION).shape == (3, 12)


def test_batch_norm_is_of_the_minibatch_in_training_and_of_the_mean_in_sampling() -> None:
    layers = ({"kernel": 1, "normed": True}, {"kernel": 1})
    network = ones(Config(channels=(1,), layers=layers, **LINEAR).build(image(1), 0, SCORE))
    x = torch.tensor([[3.0], [5.0]])
    torch.testing.assert_close(network(x, NO_CONDITION), torch.tensor([[-1.0], [1.0]]))
    # Running: 0.9 · 0 + 0.1 · 4 = 0.4 and 0.9 · 1 + 0.1 · 2 = 1.1, of the unbiased variance.
    expected = (x - 0.4) / 1.1**0.5
    torch.testing.assert_close(network.eval()(x, NO_CONDITION), expected, rtol=1e-4, atol=1e-4)


def test_norms_are_where_they_are_declared() -> None:
    layers = ({"kernel": 1}, {"kernel": 1, "normed": True}, {"kernel": 1})
    for norm, kind in (("batch", nn.BatchNorm2d), ("layer", nn.GroupNorm)):
        network = Config(channels=(4, 6), layers=layers, norm=norm).build(CELLS, 0, SCORE)
        own = [
            [m for m in block.modules() if isinstance(m, nn.BatchNorm2d | nn.GroupNorm)]
            for block in network.layers
        ]
        assert [len(norms) for norms in own] == [0, 1, 0]
        assert isinstance(own[1][0], kind)
        # A batch norm's own offset is in the place of a bias.
        assert (network.layers[1][0].bias is None) == (norm == "batch")
        assert network.layers[0][0].bias is not None


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("linear", [-2.0, 0.0]),
        ("sigmoid", [0.1192029, 0.5]),
        ("tanh", [-0.9640276, 0.0]),
        ("leaky-relu", [-0.006, 0.0]),
    ],
)
def test_outputs(output: str, expected: list[float]) -> None:
    layers = ({"kernel": 1}, {"kernel": 1})
    config = Config(channels=(1,), layers=layers, output=output, output_slope=0.003, **LINEAR)
    network = ones(config.build(Space.numbers(1), 0, image(1)))
    made = network(torch.tensor([[-2.0], [0.0]]), NO_CONDITION)
    assert made.flatten().tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("seen", "out", "layers", "message"),
    [
        (
            image(5),
            SCORE,
            [{"kernel": 3}, {"kernel": 4, "stride": 2}],
            "layers.1: kernel 4, stride 2 and padding 0 leave .* 3 x 3; .* are 5 x 5 -> 3 x 3",
        ),
        (
            NOISE,
            image(8),
            [{"kernel": 4}, {"kernel": 3, "stride": 2, "padding": 1}],
            r"layers.1: makes 7 x 7 and part 'cells' is 8 x 8; the maps are 1 x 1 -> 4 x 4 -> 7",
        ),
        (
            NOISE,
            image(8),
            [{"kernel": 2, "padding": 1}, {"kernel": 8}],
            "layers.0: kernel 2, stride 1 and padding 1 leave nothing of maps of 1 x 1",
        ),
        (CELLS, CELLS, [{"kernel": 1}] * 2, "sees images and makes numbers, or .* set 'conv'"),
        (NUMBERS, CODE, [{"kernel": 1}] * 2, "sees images and makes numbers, or .* or 'mlp'"),
        (NUMBERS, BESIDE, [{"kernel": 1}] * 2, "sees images and makes numbers, or"),
        (JETS, CODE, [{"kernel": 1}] * 2, "takes images and numbers; set 'sets' or 'mlp'"),
        (UNLIKE, CODE, [{"kernel": 1}] * 2, "takes images of one size, not 3 x 16 and 6 x 6"),
    ],
)
def test_what_does_not_fit_is_refused(
    seen: Space, out: Space, layers: list[dict[str, int]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(channels=(2,), layers=tuple(layers)).build(seen, 0, out)


def test_channels_and_layers_must_agree() -> None:
    one = {"kernel": 1}
    with pytest.raises(ValueError, match="channels: there are 2 for 2 layers; give one for each"):
        Config(channels=(2, 2), layers=(one, one))
    with pytest.raises(ValueError, match="the last one makes what is asked for; leave `normed`"):
        Config(channels=(2,), layers=(one, {"kernel": 1, "normed": True}))
