"""Optimisers by one step computed by hand, and tables of recipes that are none."""

import math

import pytest
import torch
from torch import nn

from mleg_ray.optimisers import OPTIMISERS


def after_one_step(table: dict[str, object], step: int = 0, steps: int = 4) -> float:
    """The number 1 after a step against a gradient of 2."""
    config = OPTIMISERS.parse(table)
    x = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimiser = config.build([x])
    config.set(optimiser, step, steps)
    (2 * x).sum().backward()
    optimiser.step()
    return x.item()


def test_adam() -> None:
    # Both moments without their bias are g and g²: the first step is the learning rate.
    table = {"learning_rate": 0.1, "betas": [0.5, 0.9]}
    assert after_one_step(table) == pytest.approx(0.9)
    # Half the way through the cosine, half of it.
    assert after_one_step(table | {"schedule": "cosine"}, step=2) == pytest.approx(0.95)
    assert after_one_step(table, step=2) == pytest.approx(0.9)


def test_adamw() -> None:
    # Adam's step, and beside it 0.1 · 0.5 of the number itself: 1 - 0.1 - 0.05.
    table = {"kind": "adamw", "learning_rate": 0.1, "betas": [0.5, 0.9], "weight_decay": 0.5}
    assert after_one_step(table) == pytest.approx(0.85)


def test_adadelta() -> None:
    # E[g²] = (1 - ρ) 4 = 0.4 and E[Δ²] = 0: Δ = √ε / √(0.4 + ε) · 2, times the learning rate.
    table = {"kind": "adadelta", "learning_rate": 0.5, "rho": 0.9, "epsilon": 1e-3}
    expected = 1 - 0.5 * 2 * math.sqrt(1e-3 / 0.401)
    assert after_one_step(table) == pytest.approx(expected)


def test_rmsprop() -> None:
    # E[g²] = (1 - ρ) 4 = 0.4: a step of the learning rate times 2 / (√0.4 + ε).
    table = {"kind": "rmsprop", "learning_rate": 0.5, "rho": 0.9, "epsilon": 0.1}
    assert after_one_step(table) == pytest.approx(1 - 0.5 * 2 / (math.sqrt(0.4) + 0.1))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "adm", "learning_rate": 0.1}, "unknown optimiser kind 'adm'"),
        ({"kind": "adadelta", "learning_rate": 1.0, "rho": 0.95}, "epsilon"),
        ({"learning_rate": 0.1, "betas": [0.5, 1.0]}, "betas"),
    ],
)
def test_a_table_that_is_none(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OPTIMISERS.parse(table)
