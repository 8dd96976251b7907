from dataclasses import replace

import pytest
import torch

from mleg_ray.evaluation.metrics.unphysical import invalid_figures, unphysical_figures
from mleg_ray.evaluation.samples.unphysical import (
    ANY,
    NOT_FINITE,
    SELECTION,
    UnphysicalTally,
)
from tests.evaluation.samples.test_unphysical import tally


def test_the_order_is_any_and_then_as_declared_also_for_stored_tallies():
    counted = tally([0.0, 2.0])
    names = [ANY, "low", "high", NOT_FINITE]
    assert list(counted.violating) == names
    stored = replace(counted, violating=dict(sorted(counted.violating.items())))
    assert list(unphysical_figures(counted, stored)) == names


def test_no_fault_in_n_events_excludes_nothing_below_one_in_n():
    figure = unphysical_figures(tally([0.0] * 10), tally([0.0] * 1000))[ANY]
    assert (figure.value, figure.uncertainty, figure.events) == (0, pytest.approx(1e-3), 1000)
    assert figure.verdict == "at the floor"


def test_weights_without_a_positive_sum_have_no_rate():
    figures = unphysical_figures(tally([0.0]), tally([0.0, 0.0], [1.0, -1.0]))
    assert "generated sample's weights sum to 0" in figures[ANY].reason


def test_events_that_fail_a_selection_are_counted_in_percent():
    """Of a hundred: 20 true ones, 10 generated ones, with binomial errors 0.04 and 0.03."""

    def failing(n: int) -> UnphysicalTally:
        fails = torch.arange(100) < n
        masks = {ANY: fails, f"{SELECTION}cut": fails}
        return UnphysicalTally.of(masks, torch.ones(100, dtype=torch.float64))

    figures = invalid_figures(failing(20), failing(10))
    assert list(figures) == ["cut"]
    figure = figures["cut"]
    assert (figure.value, figure.uncertainty) == pytest.approx((10, 3))
    assert (figure.floor, figure.floor_spread) == pytest.approx((20, 4))
    assert figure.direction == "equal"
    plain = unphysical_figures(failing(20), failing(10))[ANY]
    assert (plain.value, plain.floor) == pytest.approx((0.1, 0.2))
    assert plain.direction == "lower"
