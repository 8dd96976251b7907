"""Networks with branches: what sees what, by hand, and what is refused."""

import pytest
import torch
from torch.nn import functional

from mleg_ray.errors import ConfigError
from mleg_ray.models.networks import NETWORKS
from mleg_ray.models.networks.branches import BatchNorm
from mleg_ray.space import Part, Space

SEEN = Space({"met": Part((2,)), "mask": Part((3,))})
OUT = Space({"jet": Part((2, 2)), "met": Part((2,))})


def test_branches_meet_in_the_trunk_and_part_again() -> None:
    table = {"kind": "branches", "activation": "relu", "inputs": {"met": [4]}, "head": [5]}
    network = NETWORKS.parse({**table, "outputs": {"jet": [6]}}).build(SEEN, 1, OUT)
    shapes = [
        tuple(weight.shape) for name, weight in network.named_parameters() if "weight" in name
    ]
    # The branch, the trunk of 4 + 3 + 1 numbers, the branch out, and the last layers.
    assert shapes == [(4, 2), (5, 8), (6, 5), (4, 6), (2, 5)]
    (w1, b1, w2, b2, w3, b3, w4, b4, w5, b5) = network.parameters()
    x, condition = torch.randn(7, 5), torch.randn(7, 1)
    branch = functional.relu(functional.linear(x[:, :2], w1, b1))
    trunk = functional.relu(
        functional.linear(torch.cat([branch, x[:, 2:], condition], dim=1), w2, b2)
    )
    jet = functional.linear(functional.relu(functional.linear(trunk, w3, b3)), w4, b4)
    expected = torch.cat([jet, functional.linear(trunk, w5, b5)], dim=1)
    torch.testing.assert_close(network(x, condition), expected)
    assert network.depth == 3
    seen = torch.cat([branch, x[:, 2:]], dim=1)
    torch.testing.assert_close(network.hidden(x, condition, 1), seen)
    torch.testing.assert_close(network.hidden(x, condition, 2), trunk)


def test_the_trunk_ends_normalised() -> None:
    """Batch norm: mean zero and variance one of each number, before its scale and offset."""
    table = {"kind": "branches", "head": [8], "normalised": 4}
    network = NETWORKS.parse(table).build(SEEN, 0, OUT)
    made = network.hidden(3 + torch.randn(500, 5), torch.zeros(500, 0), 2)
    torch.testing.assert_close(made.mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(made.var(dim=0, correction=0), torch.ones(4), atol=0.02, rtol=0)


def test_a_single_row_is_normalised_by_the_running_mean_and_deviation() -> None:
    norm = BatchNorm(1)
    norm.running_mean.fill_(3.0)
    norm.running_var.fill_(4.0)
    assert norm.training
    assert norm(torch.tensor([[5.0]])).item() == pytest.approx(1.0, rel=1e-5)
    assert norm(torch.tensor([[5.0], [7.0]])).flatten().tolist() == pytest.approx([-1, 1], rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": {"mett": [4]}}, r"^inputs: there is no part 'mett' \(did you mean 'met'\?\)"),
        ({"outputs": {"mask": [4]}}, "^outputs: there is no part 'mask'.*; those are jet, met"),
        ({}, "^head: the network has no hidden layer"),
    ],
)
def test_what_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NETWORKS.parse({"kind": "branches", **settings}).build(SEEN, 0, OUT)
