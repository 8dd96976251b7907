"""Samples of jets, up to eight an event, and of images (2, 12, 12): as exact as numbers alone."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray

from mleg_ray.catalog.codec import to_columns, to_table
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.shards import parquet
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.definitions import passing
from mleg_ray.errors import DataError
from mleg_ray.evaluation.samples.datasets import from_dataset, from_generated
from mleg_ray.events import EventSchema
from mleg_ray.folder import record_file
from mleg_ray.sampling.job import SampleJob, plan_sample
from mleg_ray.sampling.pipeline import has_compiler
from mleg_ray.sampling.spectra import LogUniformSpectrum, Spectrum
from tests.checkpoints import begin, jets_checkpoint, layers_checkpoint, made
from tests.sampling.test_job import content, run
from tests.sampling.test_verification import (
    SHARD,
    TALLY,
    another_tally,
    copied_events,
    no_parquet,
    relist,
    short_tally,
    truncate,
    verified,
)

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Case:
    """An untrained checkpoint, the conditions it is sampled under, and cuts some events pass."""

    save: Callable[[Path], Checkpoint]
    conditions: dict[str, Spectrum]
    where: tuple[str, ...]


CASES = {
    "jets": Case(jets_checkpoint, {}, ("n_jets >= 2", "leading_pt > 60")),
    "layers": Case(
        layers_checkpoint,
        {"energy": LogUniformSpectrum(low=10, high=100)},
        ("occupancy > 0.2", "energy < 60"),
    ),
}
BOTH = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {name: case.save(folder / name) for name, case in CASES.items()}


Planned = Callable[..., SampleJob]


@pytest.fixture
def planned(checkpoints: dict[str, Checkpoint]) -> Planned:
    """Return a function that plans 250 events of a case in three shards, or others."""

    def plan(name: str, folder: Path, events: int = 250, **options: Any) -> SampleJob:
        options = {"shard_events": 100, "compiled": False, **options}
        conditions = CASES[name].conditions
        return plan_sample(
            checkpoints[name], events, str(folder), seed=1, conditions=conditions, **options
        )

    return plan


@pytest.fixture(scope="module")
def sound(
    checkpoints: dict[str, Checkpoint], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sound")
    for name, case in CASES.items():
        run(
            plan_sample(
                checkpoints[name], 250, str(folder / name), seed=1, shard_events=100,
                conditions=case.conditions, compiled=False,
            )
        )  # fmt: skip
    return {name: folder / name for name in CASES}


@BOTH
def test_a_sound_sample_has_no_fault(sound: dict[str, Path], name: str) -> None:
    found = verified(sound[name])
    assert (found.events, found.shards, found.compared) == (250, 3, 250)
    assert (found.copies, found.faults) == (0, ())


@BOTH
def test_what_is_read_is_what_was_generated(
    planned: Planned, sound: dict[str, Path], name: str
) -> None:
    """Also the objects' order, and zero where there is none."""
    job = planned(name, sound[name])
    dataset = Dataset.open(str(sound[name]))
    for shard, events in zip(job.shards, dataset.chunks(), strict=True):
        generated = job.sampler.generate(shard)
        for column, values in generated.stored.items():
            there = events.columns[column]
            assert torch.equal(there, values.to(there.dtype)), column
        for group, present in generated.present.items():
            assert torch.equal(events.present[group], present)


def test_jets_are_in_order_and_weigh_what_true_events_do(
    checkpoints: dict[str, Checkpoint], sound: dict[str, Path]
) -> None:
    events = Dataset.open(str(sound["jets"])).load()
    pt, there = events.columns["jet.pt"], events.present["jet"]
    assert pt.shape == there.shape == (250, 8)
    assert len(there.sum(dim=1).unique()) > 2
    assert (pt.diff(dim=1) <= 0).all()
    assert (pt[there] > 0).all()
    for field in ("pt", "eta", "phi", "flavour"):
        assert not events.columns[f"jet.{field}"][~there].any()
    assert set(events.columns["jet.flavour"][there].tolist()) == {0, 1}
    mean = checkpoints["jets"].feature_map.weight_mean
    assert 0 < float(mean) < 1  # some true events weigh -1
    assert torch.equal(events.weight, mean.float().double().expand(250))


def test_images_have_their_shape_and_empty_cells(sound: dict[str, Path]) -> None:
    events = Dataset.open(str(sound["layers"])).load()
    image = events.columns["image"]
    assert (image.shape, image.dtype) == ((250, 2, 12, 12), torch.float32)
    lit = image[image != 0]
    assert (lit >= 0.02).all()  # the map's threshold
    assert 0.1 < len(lit) / image.numel() < 0.9
    assert len(events.columns["energy"].unique()) == 250


@BOTH
def test_tallies_count_every_object_as_it_is_stored(sound: dict[str, Path], name: str) -> None:
    dataset = Dataset.open(str(sound[name]))
    tallied, read = from_generated(dataset, seed=1, max_events=150), from_dataset(dataset, seed=1)
    assert tallied.tally is not None
    assert tallied.tally.events == 250
    assert set(tallied.tally.axes) == set(read.axes)
    bins = tallied.tally.bins
    for axis, column in read.columns.items():
        counts = np.bincount(bins.index(axis, column.values), minlength=len(bins.edges[axis]) + 1)
        assert np.array_equal(tallied.tally.axes[axis].weight, counts), axis
    if name == "jets":
        jets = int(dataset.load().present["jet"].sum())
        assert tallied.tally.axes["jet.pt"].weight.sum() == jets != 250
    shares = tallied.unphysical.violating
    assert {rule: share.events for rule, share in shares.items()} == {
        rule: share.events for rule, share in read.unphysical.violating.items()
    }
    assert shares["any"].events > 0 or name == "layers"  # images are never below zero


@BOTH
def test_killed_and_resumed_it_has_the_same_bytes(
    planned: Planned, sound: dict[str, Path], tmp_path: Path, name: str
) -> None:
    job = planned(name, tmp_path / "out")
    begin(job)
    made(job.sampler, job.shards[2])
    made(job.sampler, job.shards[1])
    (tmp_path / "out" / record_file(job.shards[1].file)).unlink()  # killed before it was written
    (tmp_path / "out" / "shards" / "00000000.parquet.123.partial").write_bytes(b"half")
    with pytest.raises(DataError, match="not finished"):
        Dataset.open(str(tmp_path / "out"))
    assert set(job.whole()) == {2}
    assert run(planned(name, tmp_path / "out")).digest == Dataset.open(str(sound[name])).digest
    expected, found = content(sound[name]), content(tmp_path / "out")
    told = {"manifest.json"}  # when, and how fast
    assert found.keys() == expected.keys()
    assert {f: data for f, data in found.items() if f not in told} == {
        f: data for f, data in expected.items() if f not in told
    }
    assert verified(tmp_path / "out").faults == ()


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler: CXX, or g++")
@BOTH
def test_compiled_events_are_the_same_but_for_rounding(
    planned: Planned, tmp_path: Path, name: str
) -> None:
    jobs = {c: planned(name, tmp_path / f"{c}", compiled=c) for c in (False, True)}
    plain, compiled = (run(job).load() for job in jobs.values())
    made_again = jobs[True].sampler.generate(jobs[True].shards[0])
    alike = torch.ones(250, dtype=torch.bool)
    for group, there in compiled.present.items():
        alike &= (there == plain.present[group]).all(dim=1)
    assert alike.double().mean() > 0.99  # a number of jets may lie at a half
    for column, values in compiled.columns.items():
        close = torch.isclose(
            values[alike].double(), plain.columns[column][alike].double(), rtol=1e-3, atol=1e-3
        )
        assert close.double().mean() > 0.999, column
        stored = made_again.stored[column]
        assert torch.equal(values[:100], stored.to(values.dtype)), column
    assert verified(tmp_path / "True").faults == ()
    assert verified(tmp_path / "False").faults == ()


@BOTH
def test_a_selected_sample_is_the_part_of_a_larger_one(
    planned: Planned, tmp_path: Path, name: str
) -> None:
    where = CASES[name].where
    selected = run(planned(name, tmp_path / "selected", where=where))
    whole = run(planned(name, tmp_path / "all", events=4000, shard_events=4000))
    events = whole.load()
    kept = passing(where, whole.manifest.joined(events))
    assert 0.05 < kept.double().mean() < 0.9
    expected, first = events[kept][:100], next(iter(selected.chunks()))
    for column, values in expected.columns.items():
        assert torch.equal(first.columns[column], values), column
    for group, there in expected.present.items():
        assert torch.equal(first.present[group], there)
    told = selected.manifest.provenance["efficiency"]
    assert told["value"] == pytest.approx(float(kept.double().mean()), abs=5 * told["uncertainty"])
    assert verified(tmp_path / "selected").faults == ()


def change(sample: Path, edit: Callable[[Columns], None], **units: str) -> None:
    """Store other numbers in a shard, and let the manifest and the record agree with it."""
    dataset = Dataset.open(str(sample))
    stored = dataset.manifest.stored
    table = pq.read_table(sample / SHARD)
    columns = dict(to_columns(table, stored, SHARD))
    edit(columns)
    own = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    fields = (
        f.model_copy(update={"unit": units.get(f.name.rpartition(".")[2], f.unit)})
        for f in stored.fields
    )
    schema = EventSchema(fields, stored.groups)
    (sample / SHARD).write_bytes(parquet(to_table(columns, schema, own)))
    relist(sample, SHARD)


def softer(sample: Path) -> None:
    change(sample, lambda columns: columns.update({"jet.pt": columns["jet.pt"] / 2}))


def turned(sample: Path) -> None:
    """The same jets, dealt to other events: no histogram of a jet's own number tells."""

    def deal(columns: Columns) -> None:
        columns["jet.count"] = columns["jet.count"][::-1].copy()

    change(sample, deal)


def lost_jets(sample: Path) -> None:
    def lose(columns: Columns) -> None:
        count = columns["jet.count"]
        first = np.cumsum(count) - count
        kept = np.ones(count.sum(), dtype=bool)
        kept[first[count > 0]] = False
        for field in ("pt", "eta", "phi", "flavour"):
            columns[f"jet.{field}"] = columns[f"jet.{field}"][kept]
        columns["jet.count"] = np.maximum(count - 1, 0)

    change(sample, lose)


def crowded(sample: Path) -> None:
    """One event takes jets of the next ones, until it has more than its group may."""

    def crowd(columns: Columns) -> None:
        count = columns["jet.count"]
        taken = int((np.cumsum(count) > 8).argmax()) + 1
        count = count.copy()
        count[0] = count[:taken].sum()
        count[1:taken] = 0
        columns["jet.count"] = count

    change(sample, crowd)


def another_unit(sample: Path) -> None:
    change(sample, lambda columns: None, pt="MeV")


def cells_beyond(sample: Path) -> None:
    table = pq.read_table(sample / SHARD)
    image = table["image"].combine_chunks()
    cell, value = image.flatten().flatten()
    moved = pa.StructArray.from_arrays([pa.array(cell.to_numpy() + 288), value], ["cell", "value"])
    column = pa.ListArray.from_arrays(image.offsets, moved)
    field = table.schema.field("image")
    at = table.column_names.index("image")
    pq.write_table(table.set_column(at, field, column.cast(field.type)), sample / SHARD)
    relist(sample, SHARD)


def brighter(sample: Path) -> None:
    change(sample, lambda columns: columns.update(image=columns["image"] * np.float32(1.5)))


def rolled(sample: Path) -> None:
    """The same cells elsewhere: totals do not tell."""
    change(sample, lambda columns: columns.update(image=np.roll(columns["image"], 3, axis=2)))


def dark(sample: Path) -> None:
    def darken(columns: Columns) -> None:
        columns["image"] = columns["image"].copy()
        columns["image"][0, 0, 0, 0] = np.nan

    change(sample, darken)


def swapped(sample: Path) -> None:
    """Two shards under each other's names."""
    other = sample / "shards/00000000.parquet"
    first, second = other.read_bytes(), (sample / SHARD).read_bytes()
    other.write_bytes(second)
    (sample / SHARD).write_bytes(first)


def another_shard(sample: Path) -> None:
    shutil.copy(sample / "shards/00000000.parquet", sample / SHARD)
    relist(sample, SHARD)


def half_tally(sample: Path) -> None:
    place = sample / TALLY
    place.write_bytes(place.read_bytes()[: place.stat().st_size // 2])


def broken_tally(sample: Path) -> None:
    half_tally(sample)
    relist(sample, TALLY)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        *(
            (name, damage, message)
            for name in CASES
            for damage, message in (
                (truncate, f"{SHARD}: truncated or altered"),
                (no_parquet, f"{SHARD}: no Parquet file"),
                (swapped, rf"{SHARD}: truncated or altered"),
                (another_shard, f"{SHARD}: made from seed .*, the manifest says"),
                (copied_events, "100 of 250 events compared are copies of others"),
                (another_tally, f"{TALLY}: the histogram"),
                (short_tally, f"{TALLY}: counts 50 events of 100"),
                (half_tally, f"{TALLY}: truncated or altered"),
                (broken_tally, f"{TALLY}: no tally"),
            )
        ),
        ("jets", softer, f"{TALLY}: the histogram of jet.pt is not that of the events"),
        ("jets", turned, f"{TALLY}: the histogram of ht is not that of the events"),
        ("jets", lost_jets, f"{TALLY}: the histogram of n_jets is not that of the events"),
        ("jets", crowded, f"{SHARD}: row 0 has .* entries of 'jet', more than the 8"),
        ("jets", another_unit, f"{SHARD}: column 'jet.pt' is float in MeV, the .* float in GeV"),
        ("layers", cells_beyond, f"{SHARD}: image 'image' of shape .* has cells 0 to 287, not"),
        ("layers", brighter, f"{TALLY}: the histogram of total is not that of the events"),
        ("layers", rolled, f"{TALLY}: the histogram of row is not that of the events"),
        ("layers", dark, f"{SHARD}: column 'image' has values that are not finite"),
    ],
)
def test_damage_is_found(
    sound: dict[str, Path],
    tmp_path: Path,
    name: str,
    damage: Callable[[Path], None],
    message: str,
) -> None:
    sample = tmp_path / "sample"
    shutil.copytree(sound[name], sample)
    damage(sample)
    faults = verified(sample).faults
    assert re.search(message, "\n".join(faults)), faults
