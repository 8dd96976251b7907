"""What is drawn of samples over the truth, by hand."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmarks.common.conditional import Bins
from benchmarks.common.ratio import draw_ratio


def test_ratios_are_of_what_both_have() -> None:
    """3/2 with √(0.1² + 0.2²) of it; the truth is zero in the second bin, unknown in the third."""
    top, bottom = Figure().subplots(2)
    truth = Bins(np.array([0.2, 0.0, np.nan]), np.array([0.02, 0.01, np.nan]))
    found = Bins(np.array([0.3, 0.1, 0.1]), np.array([0.06, 0.01, 0.01]))
    draw_ratio(top, bottom, np.arange(4.0), truth, {"one": found, "other": truth}, reach=0.3)
    assert top.get_legend_handles_labels()[1] == ["truth", "one", "other"]
    ratios, same = bottom.containers
    line, _, [error] = ratios
    assert line.get_xydata().tolist() == [[0.5, pytest.approx(1.5)]]
    [[[_, low], [_, high]]] = error.get_segments()
    assert (high - low) / 2 == pytest.approx(1.5 * np.hypot(0.1, 0.2))
    assert same[0].get_ydata().tolist() == [1.0]
    assert bottom.get_ylim() == pytest.approx((0.7, 1.3))
