import pytest
from pydantic import TypeAdapter

from mleg_ray.evaluation.statistics.estimate import Estimate, Figure, NotComputable, Reading


def estimate(value: float, **changes: object) -> Estimate:
    numbers = {"value": value, "uncertainty": 0.3, "floor": 1.0, "floor_spread": 0.4, "events": 100}
    return Estimate(**(numbers | changes))


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.0, "at the floor"), (2.49, "at the floor"), (2.51, "visible"), (6.01, "large")],
)
def test_verdict_counts_combined_sigmas_of_half_a_unit(value, verdict):
    assert estimate(value).verdict == verdict


def test_direction_says_which_side_is_worse():
    assert estimate(-9.0, direction="higher").verdict == "large"
    assert estimate(9.0, direction="higher").verdict == "at the floor"


def test_a_difference_without_uncertainty_is_large():
    assert estimate(1.1, uncertainty=0, floor_spread=0).verdict == "large"
    assert estimate(1.0, uncertainty=0, floor_spread=0).verdict == "at the floor"


@pytest.mark.parametrize(
    ("value", "text"),
    [(526_123.4, "526,000"), (12.345, "12.3"), (0.04567, "0.0457"), (0.9999, "1.00"), (0, "0")],
)
def test_readings_have_three_digits(value, text):
    assert Reading(value=value, note="events/s").text == text


@pytest.mark.parametrize("figure", [estimate(2.0, p_value=0.1), NotComputable(reason="empty")])
def test_json_round_trip_keeps_the_kind(figure):
    adapter = TypeAdapter(Figure)
    text = adapter.dump_json(figure)
    assert adapter.validate_json(text) == figure
    assert (b"verdict" in text) == isinstance(figure, Estimate)


@pytest.mark.parametrize("value", [0.4, 0.6])
def test_where_neither_side_is_better_both_count(value):
    figure = Estimate(
        value=value,
        uncertainty=0.01,
        floor=0.5,
        floor_spread=0.0,
        events=100,
        direction="equal",
    )
    assert figure.significance == pytest.approx(10)
