import numpy as np
import pytest
import torch

from mleg_ray.definitions import Constraint, Definitions
from mleg_ray.evaluation.samples.unphysical import ANY, NOT_FINITE, UnphysicalTally, broken
from mleg_ray.events import Events

RULES = Definitions(
    constraints={"low": Constraint(expression="x <= 1"), "high": Constraint(expression="x >= -1")}
)


def tally(values: list[float], weights: list[float] | None = None) -> UnphysicalTally:
    x = torch.tensor(values, dtype=torch.float64)
    w = torch.ones_like(x) if weights is None else torch.tensor(weights, dtype=torch.float64)
    return UnphysicalTally.of(broken(Events({"x": x}, {}, w), ["x"], RULES), w)


def test_each_constraint_and_their_union_are_counted():
    counted = tally([0.0, 2.0, -2.0, float("nan")])
    assert {name: share.events for name, share in counted.violating.items()} == {
        "low": 2,
        "high": 2,
        NOT_FINITE: 1,
        ANY: 3,
    }


def test_merging_shards_equals_one_pass():
    values = np.random.default_rng(0).normal(size=100).tolist()
    assert tally(values[:30]) + tally(values[30:]) == tally(values)


def test_rate_is_binomial_and_honours_signed_weights():
    assert tally([0.0] * 90 + [2.0] * 10).rate("low") == pytest.approx((0.1, np.sqrt(0.09 / 100)))
    assert tally([0.0, 2.0, 2.0], [1.0, 2.0, -1.0]).rate("low")[0] == pytest.approx(0.5)
