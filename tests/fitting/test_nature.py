"""What a column is, of numbers made by hand for each answer; and traps, which are not."""

import math

import numpy as np
import pytest

from mleg_ray.errors import ConfigError
from mleg_ray.fitting.nature import Numbers, examine

N = 5000
RNG = np.random.default_rng(7)
EVEN = (np.arange(N) + 0.5) / N  # spread evenly over (0, 1)
NORMAL = RNG.normal(size=N)
EXPONENTIAL = RNG.exponential(size=N)


def kinds(x: Numbers, name: str = "x") -> list[str]:
    return [step["kind"] for step, _ in examine(name, np.asarray(x, float)).nature.features(name)]


def test_a_charge_is_a_category_of_its_two_values() -> None:
    nature = examine("q", np.where(EVEN < 0.4, -1.0, 1.0)).nature
    assert nature.kind == "values"
    assert nature.dtype == "int8"
    assert nature.features("mu.q") == [
        ({"kind": "values", "values": [-1.0, 1.0]}, "mu.q"),
        ({"kind": "dequantise", "levels": 2}, "mu.place_q"),
    ]


def test_a_switch_needs_no_list_of_values() -> None:
    assert kinds(np.where(EVEN < 0.4, 0.0, 1.0)) == ["dequantise"]


def test_a_category_may_have_fractions_and_holes() -> None:
    assert kinds(np.tile([0.5, 2.0, 211.0, -211.0], N // 4)) == ["values", "dequantise"]


def test_a_count_has_a_level_for_each_number_up_to_the_largest() -> None:
    x = np.clip(RNG.poisson(8.0, N), 0, 19).astype(float)
    x[0] = 19
    nature = examine("n_jets", x).nature
    assert (nature.kind, nature.dtype) == ("count", "int8")
    assert nature.features("n") == [({"kind": "dequantise", "levels": 20}, "n")]


def test_many_whole_numbers_stay_whole() -> None:
    nature = examine("adc", np.round(10_000 * NORMAL)).nature
    assert nature.kind == "count"
    assert nature.dtype == "int32"
    assert [kind["kind"] for kind, _ in nature.features("adc")] == [
        "uniform-dequantise",
        "quantile",
    ]


@pytest.mark.parametrize("name", ["run", "Run", "event", "lumi", "luminosityBlock", "run_number"])
def test_run_numbers_are_labels(name: str) -> None:
    nature = examine(name, 300_000 + np.arange(N) // 100.0).nature
    assert nature.kind == "label"
    assert nature.dtype == "int32"
    assert not nature.steps


def test_numbers_that_single_precision_does_not_have_are_labels() -> None:
    nature = examine("x", 1.6e12 + np.arange(N) // 10.0).nature
    assert (nature.kind, nature.dtype) == ("label", "float64")


def test_numbered_rows_are_labels() -> None:
    assert examine("x", np.arange(7.0, 7 + N)).nature.kind == "label"


def test_words_that_begin_like_an_identifier_are_none() -> None:
    assert examine("running_sum", np.tile([0.0, 1, 2, 3, 4], N // 5)).nature.kind == "count"


def test_an_isolation_has_a_spike_at_zero() -> None:
    x = np.where(EVEN < 0.6, 0.0, EXPONENTIAL)
    examined = examine("iso", x)
    steps = examined.nature.features("iso")
    assert [step["kind"] for step, _ in steps] == ["atoms", "logarithm", "quantile"]
    assert steps[0] == ({"kind": "atoms", "at": [0.0]}, "iso")
    assert [column for _, column in steps] == ["iso", "free_iso", "log_free_iso"]
    assert "0 in 3,000 of 5,000 events, 60.0%" in examined.findings[0].seen
    assert examined.nature.edges[0] == 0.0  # not the smallest number elsewhere


def test_a_sentinel_is_far_from_all_others() -> None:
    [spike, *_] = examine("x", np.where(EVEN < 0.1, -999.0, NORMAL)).findings
    assert "-999 in 500 of 5,000 events" in spike.seen
    assert "it tells that there is no number" in spike.seen


def test_two_spikes_and_one_at_the_top() -> None:
    x = np.where(EVEN < 0.1, -999.0, np.where(EVEN < 0.2, 1.0, RNG.random(N)))
    [(step, _), *_] = examine("score", x).nature.features("score")
    assert step == {"kind": "atoms", "at": [-999.0, 1.0]}


def test_printed_numbers_have_no_spikes() -> None:
    assert kinds(np.round(RNG.normal(size=N), 2)) == []  # equal numbers, but no one far more often
    assert kinds(np.round(RNG.normal(size=N), 5)) == ["quantile"]


def test_angles_are_known_by_their_range() -> None:
    turned = examine("x", math.pi * (2 * EVEN - 1)).nature
    assert turned.features("x") == [({"kind": "angle"}, "x")]
    assert turned.unit == "rad"
    assert examine("x", 2 * math.pi * EVEN).nature.features("x") == [
        ({"kind": "angle", "low": 0.0}, "x")
    ]


def test_degrees_need_a_name_and_a_range() -> None:
    assert examine("phi", 360 * EVEN).nature.kind == "degrees"
    assert examine("azimuth_deg", 360 * EVEN - 180).nature.kind == "degrees"
    assert examine("temperature", 360 * EVEN).nature.kind == "number"
    assert examine("phi", 90 * EVEN).nature.kind == "number"


def test_half_a_turn_is_no_turn() -> None:
    assert examine("theta", math.pi * EVEN).nature.kind == "number"


def test_sharp_ends_are_closed_and_tails_open() -> None:
    assert examine("x", 5 + 3 * EVEN).nature.edges == (5.0003, 7.9997)
    assert examine("x", NORMAL).nature.edges == (None, None)
    [(step, _)] = examine("x", NORMAL).nature.features("x")
    assert step == {"kind": "quantile", "tail": 0.01}  # 50 of 5,000 events beyond
    low, high = examine("x", 20 + EXPONENTIAL).nature.edges
    assert low == pytest.approx(20, abs=1e-2)
    assert high is None


def test_a_positive_spectrum_is_positive_by_construction() -> None:
    steps = examine("pt", np.exp(2 * NORMAL)).nature.features("pt")
    assert [step["kind"] for step, _ in steps] == ["logarithm", "quantile"]


def test_the_user_says_otherwise() -> None:
    charge = np.where(EVEN < 0.4, -1.0, 1.0)
    assert examine("q", charge, "label").nature.kind == "label"
    assert examine("n", np.floor(10 * EVEN), "values").nature.kind == "values"
    assert examine("phi", 90 * EVEN, "degrees").nature.unit == "rad"
    with pytest.raises(ConfigError, match="not all of its numbers are whole"):
        examine("x", NORMAL, "count")
    with pytest.raises(ConfigError, match="more than a turn of 2π; say --as x=degrees"):
        examine("x", 100 * EVEN, "angle")
    with pytest.raises(ConfigError, match="5,000 values, and at most 1,000"):
        examine("x", NORMAL, "values")
