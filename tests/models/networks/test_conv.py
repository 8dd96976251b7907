"""Convolutional networks: sizes, layouts and single layers by value."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mleg_ray.errors import ConfigError
from mleg_ray.models.networks.conv import ConvConfig as Config
from mleg_ray.models.networks.conv import Crop, SameConv
from mleg_ray.space import Part, Space
from tests.models.networks.spaces import BESIDE, IMAGE, JETS, LAYERS, NOISE, NUMBERS, SCORE, UNLIKE

NO_CONDITION = torch.zeros(1, 0)
LINEAR: dict[str, Any] = {"negative_slope": 1.0, "norm": "none", "kernel": 1}
SIZES = [(12, 12), (16, 16), (32, 32), (8, 16), (64, 64), (9, 13), (3, 96), (1, 5)]


def ones(layer: nn.Module) -> nn.Module:
    """Return a layer all of whose weights are one and whose biases are zero."""
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    return layer


def square(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, int(len(values) ** 0.5), -1)


class TestSizes:
    @pytest.mark.parametrize(
        ("size", "kernel"),
        [(size, kernel) for size in SIZES for kernel in (3, 4)]
        + [((9, 13), kernel) for kernel in (1, 2, 5)],
        ids=str,
    )
    def test_every_image_is_seen_and_made(self, size: tuple[int, int], kernel: int) -> None:
        image = Space({"cells": Part((2, *size))})
        x, noise = torch.randn(2, image.width), torch.randn(2, NOISE.width)
        nothing = torch.zeros(2, 0)
        for down, up in (
            ("strided", "nearest"),
            ("average", "bilinear"),
            ("max", "transposed"),
            ("max", "pixel-shuffle"),
        ):
            config = Config(channels=(2, 2, 2), down=down, up=up, kernel=kernel)
            assert config.build(image, 0, SCORE)(x, nothing).shape == (2, 1)
            assert config.build(NOISE, 0, image)(noise, nothing).shape == (2, image.width)
        assert config.build(image, 0, image)(x, nothing).shape == (2, image.width)

    def test_are_halves_rounded_up(self) -> None:
        sizes = Config(channels=(1, 1, 1)).sizes((9, 2))
        assert sizes == [(9, 2), (5, 1), (3, 1), (2, 1)]

    def test_too_many_stages_are_refused(self) -> None:
        Config(channels=(2, 2, 2)).build(IMAGE, 0, SCORE)
        with pytest.raises(ConfigError, match=r"channels: 4 stages .*'cells' of 8 x 8.* most 3"):
            Config(channels=(2, 2, 2, 2)).build(IMAGE, 0, SCORE)


class TestLayers:
    @pytest.mark.parametrize(("kernel", "padding"), [(4, 1), (3, 1), (5, 2)])
    def test_convolutions_are_torchs(self, kernel: int, padding: int) -> None:
        conv = SameConv(2, 3, kernel, stride=1 if kernel % 2 else 2)
        x = torch.randn(2, 2, 8, 6)
        stride = 1 if kernel % 2 else 2
        expected = functional.conv2d(x, conv.weight, conv.bias, stride, padding)
        torch.testing.assert_close(conv(x), expected)

    def test_an_odd_zero_stands_behind(self) -> None:
        made = ones(SameConv(1, 1, 2))(square(1, 2, 3, 4))
        assert made.tolist() == [[[[10, 6], [7, 4]]]]

    @pytest.mark.parametrize(
        ("down", "expected"),
        [("strided", [1, 3, 7, 9]), ("average", [3, 4.5, 7.5, 9]), ("max", [5, 6, 8, 9])],
    )
    def test_halving(self, down: str, expected: list[float]) -> None:
        layer = ones(Config(channels=(1,), down=down, kernel=1).halving(1, 1))
        assert layer(square(*range(1, 10))).flatten().tolist() == expected

    @pytest.mark.parametrize(
        ("up", "kernel", "expected"),
        [
            ("nearest", 1, [0, 0, 4, 0, 0, 4, 8, 8, 12]),
            ("bilinear", 1, [0, 1, 3, 2, 3, 5, 6, 7, 9]),
            ("transposed", 2, [0, 0, 4, 0, 0, 4, 8, 8, 12]),
            ("pixel-shuffle", 1, [0, 0, 4, 0, 0, 4, 8, 8, 12]),
        ],
    )
    def test_doubling(self, up: str, kernel: int, expected: list[float]) -> None:
        layer = ones(Config(channels=(1,), up=up, kernel=kernel).doubling(1, 1, (3, 3)))
        assert layer(square(0, 4, 8, 12)).flatten().tolist() == expected

    def test_four_channels_are_shuffled_to_a_pixel_row_by_row(self) -> None:
        layer = Config(channels=(1,), up="pixel-shuffle", kernel=1).doubling(1, 1, (2, 2))
        conv = layer[0]
        with torch.no_grad():
            conv.weight.copy_(torch.tensor([1.0, 2, 3, 4]).view(4, 1, 1, 1))
            conv.bias.zero_()
        assert layer(square(10)).flatten().tolist() == [10, 20, 30, 40]

    def test_crop_keeps_the_upper_left(self) -> None:
        assert Crop((1, 2))(square(*range(9))).flatten().tolist() == [0, 1]

    def test_norms(self) -> None:
        """Of groups of sixteen channels, where the width is a multiple of it, else of all."""
        groups = [
            [m.num_groups for m in Config(channels=(w,), norm=norm).stage(nn.Identity(), w, 0)[1:2]]
            for w, norm in ((32, "group"), (24, "group"), (32, "layer"))
        ]
        assert groups == [[2], [1], [1]]
        without = Config(channels=(32,), norm="none").stage(nn.Identity(), 32, 0)
        assert not any(isinstance(module, nn.GroupNorm) for module in without.modules())

    def test_what_sees_the_image_keeps_its_scale(self) -> None:
        network = Config(channels=(16, 16), head=(4,)).build(IMAGE, 0, SCORE)
        for parameter_name, parameter in network.named_parameters():
            if parameter_name.endswith("bias"):
                nn.init.zeros_(parameter)
        x = torch.randn(3, 64)
        once, more = (
            [network.hidden(scale * x, torch.zeros(3, 0), layer) for layer in (1, 2)]
            for scale in (1, 5)
        )
        torch.testing.assert_close(more[0], 5 * once[0])
        torch.testing.assert_close(more[1], once[1], atol=1e-3, rtol=0)


class TestLayout:
    def test_a_linear_critic_by_hand(self) -> None:
        """Two layers of 2 x 2: 2·front + 3·back + 5·c, then the pixels' mean times 7, + 11·n."""
        layers = Space({"front": Part((1, 2, 2)), "n": Part((1,)), "back": Part((1, 2, 2))})
        config = Config(channels=(1,), down="average", **LINEAR)
        network = ones(config.build(layers, 1, SCORE))
        with torch.no_grad():
            network.encoder.branches[0].stages[0][0][0].weight.copy_(
                torch.tensor([2.0, 3.0, 0.0, 5.0]).view(1, 4, 1, 1)
            )
            network.numbers.weight.copy_(torch.tensor([[7.0, 11.0, 0.0]]))
        x = torch.tensor([[1.0, 2.0, 3.0, 6.0, 0.5, 4.0, 4.0, 8.0, 0.0]])
        expected = 7 * (2 * 3 + 3 * 4 + 5 * 0.1) + 11 * 0.5
        made = network(x, torch.tensor([[0.1]]))
        torch.testing.assert_close(made, torch.tensor([[expected]]))

    def test_parts_are_made_where_they_stand(self) -> None:
        network = Config(channels=(4,), stem=2).build(NOISE, 0, UNLIKE)
        with torch.no_grad():
            for layer, values in (
                (network.decoder.branches[0].last, [1.0]),
                (network.numbers, [2.0]),
                (network.decoder.branches[1].last, [3.0, 4.0]),
            ):
                layer.weight.zero_()
                layer.bias.copy_(torch.tensor(values))
        made = network(torch.randn(1, 9), NO_CONDITION)[0]
        assert made.tolist() == [1] * 48 + [2] + [3] * 36 + [4] * 36

    def test_images_of_a_size_are_channels(self) -> None:
        network = Config(channels=(4,), stem=2).build(NOISE, 0, LAYERS)
        assert len(network.decoder.branches) == 1
        last = network.decoder.branches[0].last
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(torch.tensor([1.0, 2.0]))
        assert network(torch.randn(1, 9), NO_CONDITION)[0].tolist() == [1] * 144 + [2] * 144

    def test_an_image_that_is_seen_and_made_is_joined_at_each_size(self) -> None:
        """A pixel reaches its own place alone, where the coarser way is closed."""
        network = Config(channels=(4, 4), stem=3).build(BESIDE, 0, BESIDE)
        branch = network.decoder.branches[0]
        with torch.no_grad():
            branch.last.weight[:, :3] = 0
        x = torch.randn(1, BESIDE.width)
        other = x.clone()
        other[0, 3 + 8 * 4 + 4] += 1
        difference = (network(other, NO_CONDITION) - network(x, NO_CONDITION))[0, 3:].view(8, 8)
        rows, columns = difference.nonzero().T
        assert rows.unique().tolist() == columns.unique().tolist() == [2, 3, 4, 5, 6]

    def test_numbers_beside_a_seen_image_modulate_it(self) -> None:
        network = Config(channels=(4,), conditioning="film").build(BESIDE, 2, SCORE)
        conv, film, *_ = network.encoder.branches[0].stages[0]
        assert film.linear.in_features == 5
        nn.init.ones_(film.linear.weight)  # γ = 1 + c, β = c, c the sum of numbers and conditions
        x, condition = torch.randn(2, BESIDE.width), torch.randn(2, 2)
        c = (x[:, :3].sum(dim=1) + condition.sum(dim=1)).view(2, 1, 1, 1)
        maps = (1 + c) * conv(x[:, 3:].view(2, 1, 8, 8)) + c
        expected = torch.where(maps < 0, 0.2 * maps, maps).flatten(1)
        torch.testing.assert_close(network.hidden(x, condition, 1), expected)


class TestRefused:
    def test_objects(self) -> None:
        with pytest.raises(ConfigError, match=r"kind: 'conv' .*'jet' has shape \(4, 3\).*'sets'"):
            Config(channels=(4,)).build(JETS, 0, SCORE)

    def test_numbers_alone(self) -> None:
        with pytest.raises(ConfigError, match="kind: 'conv' is for images.*'mlp'"):
            Config(channels=(4,)).build(NUMBERS, 0, SCORE)

    def test_conditions_alone_by_film(self) -> None:
        with pytest.raises(ConfigError, match="conditioning"):
            Config(channels=(4,), conditioning="film").build(Space.numbers(0), 2, IMAGE)
        network = Config(channels=(4,)).build(Space.numbers(0), 2, IMAGE)
        assert network(torch.zeros(3, 0), torch.randn(3, 2)).shape == (3, 64)
