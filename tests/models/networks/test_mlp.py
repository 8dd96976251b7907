"""Fully connected networks: their weights are those of all older checkpoints and recipes."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from mleg_ray.errors import ConfigError
from mleg_ray.models.networks.mlp import MLPConfig
from mleg_ray.space import Space

SEEN, OUT = Space.numbers(3), Space.numbers(2)


def test_weights_are_drawn_in_the_order_of_the_layers() -> None:
    torch.manual_seed(3)
    network = MLPConfig(widths=(5, 5), residual=True).build(SEEN, 1, OUT)
    torch.manual_seed(3)
    first, second, last = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 2)
    x, condition = torch.randn(7, 3), torch.randn(7, 1)
    hidden = functional.leaky_relu(first(torch.cat([x, condition], dim=1)), 0.2)
    hidden = hidden + functional.leaky_relu(second(hidden), 0.2)
    torch.testing.assert_close(network(x, condition), last(hidden))
    torch.testing.assert_close(network.hidden(x, condition, 2), hidden)


def test_weights_of_glorot_are_uniform_up_to_their_bound() -> None:
    """√(6/(60 + 30)) = 0.258 from 60 to 30, and √(6/(30 + 20)) = 0.346; FiLM begins as nothing."""
    config = MLPConfig(widths=(30,), conditioning="film", initial="glorot")
    network = config.build(Space.numbers(60), 1, Space.numbers(20))
    values = network.state_dict()
    for name, n, m in (("net.0.0", 60, 30), ("net.1", 30, 20)):
        weight, bound = values[f"{name}.weight"], (6 / (n + m)) ** 0.5
        assert weight.abs().max().item() == pytest.approx(bound, rel=0.02)
        assert weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
        assert not values[f"{name}.bias"].any()
    assert not values["net.0.1.linear.weight"].any()


def test_an_output_between_minus_one_and_one_is_the_tangent_of_the_last_layers() -> None:
    torch.manual_seed(1)
    network = MLPConfig(widths=(5,), output="tanh").build(Space.numbers(3), 0, Space.numbers(2))
    x, condition = 10 * torch.randn(8, 3), torch.zeros(8, 0)
    last = network.net[1](network.hidden(x, condition, 1))
    assert last.abs().max() > 1
    torch.testing.assert_close(network(x, condition), last.tanh())


@pytest.mark.parametrize("layer", [1, 2])
def test_each_hidden_layer_loses_a_share_of_its_numbers_while_it_is_trained(layer: int) -> None:
    """Of 20,000 numbers a tenth, to 0.2%; the others are scaled by 1/0.9."""
    torch.manual_seed(1)
    network = MLPConfig(widths=(1000, 1000), dropout=0.1).build(SEEN, 0, OUT)
    before = nn.Identity() if layer == 1 else network.net[0]
    x, own = torch.randn(20, 3), network.net[layer - 1]
    seen = before.eval()(x)
    whole, trained = own.eval()(seen), own.train()(seen)
    kept = trained != 0
    assert kept.double().mean().item() == pytest.approx(0.9, abs=0.01)
    torch.testing.assert_close(trained[kept], whole[kept] / 0.9)


def test_weights_have_their_old_names() -> None:
    network = MLPConfig(widths=(5, 5), residual=True, dropout=0.1).build(SEEN, 1, OUT)
    layers = ("net.0.0", "net.1.block.0", "net.2")
    assert list(network.state_dict()) == [
        f"{at}.{of}" for at in layers for of in ("weight", "bias")
    ]
    assert isinstance(network.net, nn.Sequential)


def test_film_scales_before_the_activation() -> None:
    config = MLPConfig(widths=(1,), conditioning="film", activation="relu")
    network = config.build(Space.numbers(1), 1, Space.numbers(1))
    values = ([[1.0]], [0.0], [[2.0], [1.0]], [0.0, 0.0], [[1.0]], [0.0])
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value))
    x, condition = torch.tensor([[1.0], [1.0]]), torch.tensor([[1.0], [-0.6]])
    # ReLU((1 + 2c) x + c)
    torch.testing.assert_close(network(x, condition), torch.tensor([[4.0], [0.0]]))


def test_film_needs_something_to_scale() -> None:
    config = MLPConfig(widths=(4,), conditioning="film")
    with pytest.raises(ConfigError, match=r"conditioning: 'film' scales .* set 'concatenate'"):
        config.build(Space.numbers(0), 2, OUT)


def test_something_must_be_seen() -> None:
    with pytest.raises(ConfigError, match="see no number"):
        MLPConfig(widths=(4,)).build(Space.numbers(0), 0, OUT)
    network = MLPConfig(widths=(4,)).build(Space.numbers(0), 2, OUT)
    assert network(torch.zeros(3, 0), torch.randn(3, 2)).shape == (3, 2)


def test_the_first_activation_and_the_last_may_be_of_their_own() -> None:
    """A ReLU leaves (0, 2) of (-2, 2); half of 2 - 4 is -1; a tenth of 3 times that is -0.3."""
    config = MLPConfig(
        widths=(2, 1),
        first_activation="relu",
        negative_slope=0.5,
        output="leaky-relu",
        output_slope=0.1,
    )
    network = config.build(Space.numbers(1), 0, Space.numbers(1))
    values = ([[1.0], [-1.0]], [0.0, 0.0], [[1.0, 1.0]], [-4.0], [[3.0]], [0.0])
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value))
    x, nothing = torch.tensor([[-2.0]]), torch.zeros(1, 0)
    assert network.hidden(x, nothing, 1).tolist() == [[0, 2]]
    assert network.hidden(x, nothing, 2).tolist() == [[-1]]
    assert network(x, nothing).item() == pytest.approx(-0.3)
    assert network.depth == 2
