"""The ordinary equation's solver by closed forms, and ways on the circle."""

import math

import pytest
import torch

from mleg_ray.models.flow_matching import FlowMatching, FlowMatchingConfig
from mleg_ray.models.networks.mlp import MLPConfig
from tests.models.spaces import spaces


def model(steps: int, periodic: tuple[int, ...] = ()) -> FlowMatching:
    config = FlowMatchingConfig(network=MLPConfig(widths=(8,)), ode_steps=steps)
    return config.build(spaces(2, 0, 0, periodic))


class Field(torch.nn.Module):
    """v = x + t: x(1) = (x(0) + 1)e - 2."""

    def forward(self, seen: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return seen[:, :2] + seen[:, -1:]


def test_solver_is_of_fourth_order():
    start = torch.randn(20, 2).double()
    expected = (start + 1) * math.e - 2
    errors = []
    for steps in (2, 4):
        flow = model(steps)
        flow.field = Field()
        errors.append(float((flow.decode(start, torch.empty(20, 0)) - expected).abs().max()))
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.25)


def test_ways_are_straight_and_the_shortest_on_the_circle():
    flow = model(1, periodic=(1,))
    start, end = torch.tensor([[0.0, 0.9]]), torch.tensor([[4.0, -0.9]])
    point, velocity = flow.path(start, end, torch.tensor([[0.25]]))
    torch.testing.assert_close(velocity, torch.tensor([[4.0, 0.2]]))
    torch.testing.assert_close(point, torch.tensor([[1.0, 0.95]]))


def test_field_has_no_seam():
    flow = model(1, periodic=(1,))
    time, condition = torch.rand(5, 1), torch.empty(5, 0)
    left, right = torch.randn(5, 2), torch.empty(5, 2)
    right[:, 0], left[:, 1], right[:, 1] = left[:, 0], -1.0, 1.0
    torch.testing.assert_close(
        flow.velocity(left, time, condition), flow.velocity(right, time, condition)
    )
