"""Numbers of events and of their objects: what is taken, padded, joined and weighed by hand."""

import numpy as np
import pytest
import torch

from mleg_ray.evaluation.samples.column import Column, columns_of
from mleg_ray.events import Events

EVENTS = Column(np.array([1.0, 2.0, 3.0]))
JETS = Column(np.array([5.0, 4.0, 7.0]), np.array([2, 0, 1]))


def test_each_number_has_an_owner_a_rank_and_the_weight_of_its_event() -> None:
    assert JETS.owner.tolist() == [0, 0, 2]
    assert JETS.rank.tolist() == [0, 1, 0]
    assert JETS.weights(np.array([0.5, 9.0, -1.0])).tolist() == [0.5, 0.5, -1.0]
    assert EVENTS.owner.tolist() == [0, 1, 2]
    assert EVENTS.rank.tolist() == [0, 0, 0]
    assert EVENTS.weights(np.array([0.5, 9.0, -1.0])).tolist() == [0.5, 9.0, -1.0]


def test_a_statistic_of_objects_is_one_of_events() -> None:
    differs = JETS.of_events(lambda a, b: float(a @ JETS.values - b @ JETS.values))
    assert differs(np.array([1.0, 1.0, 0.0]), np.array([0.0, 5.0, 2.0])) == 9.0 - 14.0


def test_events_are_taken_with_their_objects() -> None:
    taken = JETS.take(np.array([2, 0, 0, 1]))
    assert taken.values.tolist() == [7, 5, 4, 5, 4]
    assert taken.count is not None
    assert taken.count.tolist() == [1, 2, 2, 0]
    assert EVENTS.take(np.array([2, 0])).values.tolist() == [3, 1]
    assert JETS.take(np.array([], dtype=int)).values.tolist() == []


def test_the_first_events_and_the_first_objects() -> None:
    assert [JETS.first(n).tolist() for n in range(4)] == [[], [5, 4], [5, 4], [5, 4, 7]]
    assert EVENTS.first(2).tolist() == [1, 2]
    assert JETS.padded(1).tolist() == [[5], [0], [7]]
    assert JETS.padded(3).tolist() == [[5, 4, 0], [0, 0, 0], [7, 0, 0]]
    assert EVENTS.padded(3).tolist() == [[1], [2], [3]]


def test_samples_are_joined_in_order() -> None:
    both = Column.concatenate([JETS, JETS.take(np.array([2]))])
    assert both.values.tolist() == [5, 4, 7, 7]
    assert both.owner.tolist() == [0, 0, 2, 3]
    assert Column.concatenate([EVENTS, EVENTS]).count is None


def test_keys_are_equal_where_all_objects_are() -> None:
    """Charges: sums would not tell +-, -+, no charge and one of zero apart."""
    charges = Column(np.array([1.0, -1, -1, 1, 0, 1, -1]), np.array([2, 2, 0, 1, 2]))
    key = charges.key
    assert key[0] == key[4]
    assert len(set(key)) == 4
    assert EVENTS.key.tolist() == [1, 2, 3]


def test_columns_of_events_are_numbers_and_present_objects_never_images() -> None:
    present = torch.tensor([[True, False], [True, True], [False, False]])
    events = Events(
        {
            "met": torch.tensor([1, 2, 3], dtype=torch.int8),
            "jet.pt": torch.tensor([[4.0, 0.0], [6.0, 5.0], [0.0, 0.0]]),
            "image": torch.ones(3, 2),
        },
        {"jet": present},
        torch.ones(3),
    )
    columns = columns_of(events)
    assert list(columns) == ["met", "jet.pt"]
    assert columns["met"].values.tolist() == [1, 2, 3]
    assert columns["jet.pt"].values.tolist() == [4, 6, 5]
    assert columns["jet.pt"].owner.tolist() == [0, 1, 1]
    assert {column.values.dtype for column in columns.values()} == {np.dtype(np.float64)}


@pytest.mark.parametrize("events", [0, 2])
def test_events_without_any_object(events: int) -> None:
    empty = Column(np.empty(0), np.zeros(events, dtype=int))
    assert len(empty.key) == len(empty.padded(2)) == events
    assert empty.weights(np.ones(events)).tolist() == []
