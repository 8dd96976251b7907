"""The plan of a sample, and the conditions it is made under."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mleg_ray.checkpoint import Card
from mleg_ray.config import parse
from mleg_ray.errors import ConfigError
from mleg_ray.events import Field
from mleg_ray.sampling.plan import SampleSpec, extrapolations, resolve_conditions
from mleg_ray.sampling.spectra import constant
from tests.checkpoints import small_checkpoint


def spec(events: int, shard_events: int = 1000, seed: int = 1) -> SampleSpec:
    return SampleSpec(
        checkpoint="abc",
        events=events,
        shard_events=shard_events,
        seed=seed,
        conditions={},
        compiled=False,
        batch_events=4096,
    )


@given(st.integers(1, 10**6), st.integers(1000, 10**6))
def test_shards_hold_every_event_once(events: int, shard_events: int) -> None:
    plan = spec(events, shard_events).plan()
    assert sum(shard.events for shard in plan) == events
    assert {shard.events for shard in plan[:-1]} <= {shard_events}
    assert 0 < plan[-1].events <= shard_events
    assert [shard.index for shard in plan] == list(range(len(plan)))


def test_shards_differ_in_seed_and_file() -> None:
    plan = spec(100, 1).plan()
    assert len({shard.seed for shard in plan}) == len({shard.file for shard in plan}) == 100


def test_a_larger_sample_begins_with_the_same_shards() -> None:
    assert spec(10_000).plan()[:5] == spec(5_000).plan()


def test_another_seed_gives_other_shards() -> None:
    pairs = zip(spec(5000).plan(), spec(5000, seed=2).plan(), strict=True)
    assert all(a.seed != b.seed for a, b in pairs)


@pytest.mark.parametrize("key", ["events", "shard_events"])
@pytest.mark.parametrize("value", [0, -5])
def test_no_events_is_an_error(key: str, value: int) -> None:
    values = spec(1000).model_dump() | {key: value}
    with pytest.raises(ConfigError, match=rf"{key}: .*greater than 0 \(got {value}\)"):
        parse(SampleSpec, values, "sample")


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Card:
    return small_checkpoint(tmp_path_factory.mktemp("fixed")).card


@pytest.fixture(scope="module")
def varying(tmp_path_factory: pytest.TempPathFactory) -> Card:
    folder: Path = tmp_path_factory.mktemp("varying")
    return small_checkpoint(folder, conditional=True).card


def test_fixed_condition_need_not_be_given(fixed: Card) -> None:
    one = {"beam_energy": constant(50.0)}
    for given_conditions in ({}, one):
        assert resolve_conditions(fixed, given_conditions) == one


def test_fixed_condition_cannot_be_changed(fixed: Card) -> None:
    with pytest.raises(ConfigError, match=r"beam_energy=40: .* trained at beam_energy = 50 alone"):
        resolve_conditions(fixed, {"beam_energy": constant(40.0)})


def test_varying_condition_must_be_given(varying: Card) -> None:
    with pytest.raises(ConfigError, match=r"--condition beam_energy=VALUE; .* from 10 to 50"):
        resolve_conditions(varying, {})


def test_all_that_are_missing_are_named_at_once(varying: Card) -> None:
    mass = Field(name="mass", unit="GeV", role="condition")
    described = varying.dataset.model_copy(update={"fields": (*varying.dataset.fields, mass)})
    ranges = varying.condition_range | {"mass": (220.0, 800.0)}
    card = varying.model_copy(update={"dataset": described, "condition_range": ranges})
    both = r"beam_energy=VALUE --condition mass=VALUE; .* 10 to 50, mass from 220 to 800$"
    with pytest.raises(ConfigError, match=both):
        resolve_conditions(card, {})


def test_unknown_condition_is_named(varying: Card) -> None:
    with pytest.raises(ConfigError, match=r"--condition energy: not a condition .* beam_energy"):
        resolve_conditions(varying, {"energy": constant(50.0)})


@pytest.mark.parametrize(
    ("value", "distance"), [(10.0, None), (33.0, None), (50.0, None), (60.0, 10.0), (8.0, 2.0)]
)
def test_extrapolation_is_measured(varying: Card, value: float, distance: float | None) -> None:
    asked = spec(1000).model_copy(update={"conditions": {"beam_energy": constant(value)}})
    found = extrapolations(varying, asked.ranges)
    assert {name: item.distance for name, item in found.items()} == (
        {} if distance is None else {"beam_energy": distance}
    )
