"""The plateau: patience, relative improvement, smoothing."""

import pytest

from mleg_ray.run import PlateauConfig
from mleg_ray.training.selection import on_plateau


def stops_after(scores: list[float], **values: float) -> int | None:
    """Return after how many scores a run would have ended."""
    config = PlateauConfig(**({"patience": 3, "min_improvement": 0.1, "smoothing": 1} | values))
    return next((n for n in range(1, len(scores) + 1) if on_plateau(scores[:n], config)), None)


def test_falling_scores_go_on() -> None:
    assert stops_after([0.8**i for i in range(20)]) is None


def test_flat_scores_end_after_patience() -> None:
    assert stops_after([1.0, 0.5] + [0.5] * 10) == 5
    assert stops_after([1.0, 0.5] + [0.5] * 10, patience=5) == 7


def test_improvement_is_relative_to_the_last_that_counted() -> None:
    slow = [0.95**i for i in range(20)]  # each by 5%, two together by 10%
    assert stops_after(slow) is None
    assert stops_after(slow, min_improvement=0.2) == 4


def test_one_lucky_score_is_smoothed_away() -> None:
    scores = [1.0, 0.9, 0.1, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert stops_after(scores) == 6
    assert stops_after(scores, smoothing=3) is None


@pytest.mark.parametrize("scores", [[], [1.0]])
def test_the_beginning_is_no_plateau(scores: list[float]) -> None:
    assert stops_after(scores) is None
