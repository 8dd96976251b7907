"""How one field becomes a feature by itself: by hand, and as the whole map of events has it."""

import math

import pytest
import torch

from mleg_ray.features import FeatureMap, FeatureMapConfig
from mleg_ray.features.field import FieldMap
from mleg_ray.features.steps.elementwise import Interval, Logarithm
from mleg_ray.randomness import Noise
from tests.features.cases import JETS, jets

STEPS = [
    {"kind": "count", "group": "jet"},
    {"kind": "dequantise", "fields": ["jet.count"], "levels": 4},
    {"kind": "dequantise", "fields": ["jet.flavour"], "levels": 2},
    {"kind": "logarithm", "fields": ["jet.pt"], "above": 20.0},
    {"kind": "interval", "fields": ["jet.log_pt"], "low": -20.0, "high": 20.0},
    {"kind": "angle", "fields": ["jet.phi"]},
]


def fitted(*more: dict) -> FeatureMap:
    config = FeatureMapConfig.model_validate({"steps": [*STEPS, *more]})
    return config.build(JETS, {}).fit([jets(2000, 1)])


def test_two_functions_and_a_scale_by_hand() -> None:
    """v = 20 + e: log(v - 20) = 1, a quarter of 0 ... 4, with the logit -log 3."""
    functions = (Logarithm(fields=("pt",), above=20.0), Interval(fields=("log_pt",), high=4.0))
    mean, std = torch.tensor([0.5, 2.0], dtype=torch.float64)
    one = FieldMap("logit_log_pt", functions, mean, std)
    value = torch.tensor([20 + math.e], dtype=torch.float64)
    x = one.change(value)
    torch.testing.assert_close(x.item(), (-math.log(3) - 0.5) / 2)
    torch.testing.assert_close(one.restore(x), value)
    # d/dv: 1/e of the logarithm, 1/(4 · 1/4 · 3/4) of the logit, 1/2 of the scale.
    torch.testing.assert_close(one.log_slope(value).item(), math.log(1 / math.e * 4 / 3 / 2))


def test_it_is_what_the_map_of_events_does() -> None:
    whole = fitted()
    events = jets(50, 2)
    maps = whole.field_maps()
    assert {name: one.feature for name, one in maps.items()} == {
        "jet.pt": "jet.logit_log_pt",
        "jet.phi": "jet.turn_phi",
        "met": "met",
    }
    x = whole.encode(events, noise=Noise(torch.device("cpu"))).x
    for name, one in maps.items():
        places = whole.space.positions[one.feature]
        there = events.present["jet"] if name != "met" else torch.ones(50, 1, dtype=torch.bool)
        values = events.columns[name].view(50, -1)[there]
        torch.testing.assert_close(one.change(values).float(), x[:, places][there])
        torch.testing.assert_close(one.restore(one.change(values)), values)


def test_a_field_that_a_step_mixes_with_another_has_none() -> None:
    assert "met" not in fitted({"kind": "ratio", "field": "met", "to": "energy"}).field_maps()


@pytest.mark.parametrize("field", ["jet.flavour", "energy"])
def test_neither_have_whole_numbers_and_conditions(field: str) -> None:
    assert field not in fitted().field_maps()
