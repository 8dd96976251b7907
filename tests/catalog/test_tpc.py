"""Signals of the time projection chamber: windows, constant conditions, every kind of bad line."""

from pathlib import Path

import numpy as np
import pytest

from mleg_ray.catalog.prepare import constant_lines, finish, make_shard, plan_dataset
from mleg_ray.catalog.sources.tpc import CONDITIONS, TpcConfig
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError, DataError
from tests.catalog.specs import tpc_spec, write_tpc

REAL = Path(__file__).parents[3] / "shared" / "data"
FILE = "tpc/digits_v4plus_shortFixedPt.dat"
EVENTS = """params: -1.5 20 40.9 30.25 23 0.479
 27 33 4.0e+00  30 40 1.5e+00
params:  2.5 -10 123.5 32.75 24 0.25
 36 131 7
"""


def source_of(root: Path, text: str, *assignments: str):
    (root / "tpc").mkdir(exist_ok=True)
    (root / FILE).write_text(text)
    spec = tpc_spec(root, *assignments)
    return spec.source.open(spec.schema_, spec.conditions, spec.shard_events)


def test_the_window_moves_with_the_whole_part_of_the_track(tmp_path: Path) -> None:
    """Pads from 30 - 3 to 30 + 4, times from 40 - 7 to 40 + 8; the corners are first and last."""
    source = source_of(tmp_path, EVENTS)
    assert source.shard_rows() == [[2]]
    columns = source.shard(0)
    wanted = np.zeros((2, 8, 16))
    wanted[0, 0, 0], wanted[0, 3, 7], wanted[1, 7, 15] = 4, 1.5, 7
    np.testing.assert_array_equal(columns["image"], wanted)
    assert {name: columns[name].tolist() for name in CONDITIONS} == {
        "crossing_angle": [-1.5, 2.5],
        "dip_angle": [20, -10],
        "drift_length": [40.9, 123.5],
        "pad_coordinate": [30.25, 32.75],
        "pad_row": [23, 24],
        "pt": [0.479, 0.25],
    }
    assert source.constants() == {}


def test_another_window(tmp_path: Path) -> None:
    """Of the pads from 29 to 30 and the times from 40 to 42."""
    text = "params: 0 0 40.9 30.25 23 0.479\n 30 41 2\n"
    (tmp_path / "tpc").mkdir()
    (tmp_path / FILE).write_text(text)
    spec = tpc_spec(tmp_path)
    image = spec.fields[0].model_copy(update={"shape": (2, 3)})
    values = spec.model_dump() | {"fields": (image, *spec.fields[1:])}
    values["source"] |= {"pads": (-1, 1), "times": (0, 3), "root": str(tmp_path)}
    spec = DatasetSpec.model_validate(values)
    source = spec.source.open(spec.schema_, {}, 10)
    source.shard_rows()
    assert source.shard(0)["image"].tolist() == [[[0, 0, 0], [0, 2, 0]]]
    with pytest.raises(ConfigError, match="the dataset declares .*image .1. 8 x 16"):
        tpc_spec(tmp_path, "source.pads=[-1,1]", "source.times=[0,3]")


def test_events_without_signals_are_kept(tmp_path: Path) -> None:
    source = source_of(tmp_path, EVENTS + "params: 0 0 40.9 30.25 23 0.479\n\n")
    source.shard_rows()
    assert source.shard(0)["image"].sum(axis=(1, 2)).tolist() == [5.5, 7, 0]


def test_a_blank_line_at_the_end_is_no_event(tmp_path: Path) -> None:
    assert source_of(tmp_path, EVENTS + "\n").shard_rows() == [[2]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("23 0.479", "23"), "line 1 is not 'params:' with crossing_angle, .*, pt: 'params: -1.5"),
        (("params: -1.5", "-1.5"), "line 1 is not 'params:'"),
        (("params:  2.5", "params:  nan"), "line 3: nan is not a finite number"),
        (("4.0e+00", "4.0e+00,"), "line 2: could not convert string to float: '4.0e.00,'"),
        ((" 7\n", "\n"), "line 4 has 2 numbers, which are no triplets .* truncated"),
        ((" 36 131 7\n", ""), "3 lines, and each event has two; the file is truncated"),
        (("27 33 4", "27.5 33 4"), "line 2: pads and times are whole numbers"),
        (("4.0e+00", "-4"), "line 2: .* amplitudes not below zero"),
        (("27 33", "30 40"), "line 2 has a pad and time twice"),
        (
            ("36 131 7", "37 131 7 38 140 1"),
            (
                r"2 signals of 1 events lie outside of the pads from -3 to 4 around the track, the "
                r"first in line 4; source.pads = \[-3, 7\] has them all"
            ),
        ),
        (
            ("27 33", "27 32"),
            r"1 signals .* outside of the times from -7 to 8 .* source.times = \[-8, 9\] has",
        ),
    ],
)
def test_bad_lines(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in EVENTS
    with pytest.raises(DataError, match=f"{FILE}: {message}"):
        source_of(tmp_path, EVENTS.replace(*change)).shard_rows()


def test_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no events"):
        source_of(tmp_path, "").shard_rows()


def test_what_the_source_refuses() -> None:
    with pytest.raises(ValueError, match=r"pads: a window \[first, end\) needs first < end"):
        TpcConfig.model_validate({"files": [{"path": "x"}], "pads": [5, 5]})
    with pytest.raises(ConfigError, match="reads all conditions; leave them out"):
        DatasetSpec.load("tpc", ("conditions.pt=0.5",))


def test_conditions_that_hardly_differ_are_fixed_and_told(tmp_path: Path) -> None:
    """Row 23 in all events, pT 0.475 to 0.48 GeV: by 1%, of which 2% are allowed."""
    write_tpc(tmp_path, events=40)
    place = tmp_path / FILE
    lines = place.read_text().replace("23 0.477", "23 0.475", 1).replace("23 0.477", "23 0.480", 1)
    place.write_text(lines)
    plan = plan_dataset(tpc_spec(tmp_path), str(tmp_path / "storage"))
    with plan.folder.work():
        records = {shard.index: make_shard(plan, shard.index) for shard in plan.shards}
    dataset = finish(plan, records)
    assert dataset.manifest.conditions == {"pad_row": 23.0, "pt": pytest.approx(0.4775)}
    varying = ("crossing_angle", "dip_angle", "drift_length", "pad_coordinate")
    assert dataset.schema.varying(dataset.manifest.conditions) == varying
    assert dataset.manifest.stored.conditions == varying
    assert (dataset.load().columns["pt"] == dataset.manifest.conditions["pt"]).all()
    for line, told in zip(
        constant_lines(dataset),
        ("pad_row is constant, 23 in all events", "pt is constant, 0.475 to 0.48 in all events"),
        strict=True,
    ):
        assert (
            line == f"condition {told}: models learn nothing of it, and it is stored once for all"
        )
    assert plan_dataset(tpc_spec(tmp_path), str(tmp_path / "storage")).constants == plan.constants
    wider = tpc_spec(tmp_path, "source.constant_within=0.01").source
    source = wider.open(tpc_spec(tmp_path).schema_, {}, 10)
    source.shard_rows()
    assert source.constants() == {"pad_row": (23, 23)}


@pytest.mark.skipif(not (REAL / FILE).exists(), reason="the authors' file is not here")
def test_the_real_file() -> None:
    """18.4 signals an event, 14.4% of the pixels; their sum 650 in the mean, at most 31 194."""
    spec = DatasetSpec.load("tpc", (f"source.root={REAL}", "shard_events=5000"))
    source = spec.source.open(spec.schema_, {}, 5000)
    assert source.shard_rows() == [[5000]]
    images = source.shard(0)["image"]
    sums = images.sum(axis=(1, 2))
    assert sums.mean() == pytest.approx(650.03, abs=0.01)
    assert (sums.max(), images.max()) == pytest.approx((31193.6, 11650.0), abs=0.1)
    assert (images > 0).mean() == pytest.approx(0.1437, abs=1e-4)
    assert source.constants() == {"pad_row": (23, 23), "pt": (0.475, 0.48)}
