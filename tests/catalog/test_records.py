"""Events as lists of particles: three formats read, by values of lines written here."""

import bz2
import contextlib
import gzip
import io
import lzma
import math
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyhepmc
import pytest
import torch

from mleg_ray.catalog.codec import checked, to_events
from mleg_ray.catalog.convert import FORMATS
from mleg_ray.catalog.formats.particles import Records, blocks
from mleg_ray.catalog.prepare import finish, make_shard, plan_dataset
from mleg_ray.catalog.sources import records
from mleg_ray.catalog.sources.records import RecordsConfig
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.definitions import violates
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import EventSchema, Field, Group
from tests.catalog.specs import SHAPED, record_spec, shaped_columns, shaped_dataset

KINEMATICS = {"pt": "GeV", "eta": "1", "phi": "rad", "energy": "GeV", "mass": "GeV"}


def group_fields(group):
    return [Field(name=f"{group}.{part}", unit=unit) for part, unit in KINEMATICS.items()]


SCHEMA = EventSchema(
    [
        Field(name="met.pt", unit="GeV"),
        Field(name="met.phi", unit="rad"),
        *group_fields("jet"),
        *group_fields("bjet"),
        *group_fields("lepton"),
        Field(name="lepton.pdg_id", dtype="int8"),
        Field(name="weight", role="weight", dtype="float64"),
    ],
    {
        "met": Group(),
        "jet": Group(most=2, ordered_by="pt", pdg_id=21),
        "bjet": Group(most=2, ordered_by="pt", pdg_id=5),
        "lepton": Group(most=2, ordered_by="pt"),
    },
)


def config(root, **changes):
    values = {
        "files": [{"path": "*.csv"}],
        "particles": {"lepton": [11, -11, 13, -13]},
        "root": str(root),
    }
    return RecordsConfig.model_validate(values | changes)


def opened(folder, text, shard_events=10, schema=SCHEMA, name="t.csv", **changes):
    content = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(content)
    chosen = config(folder, files=[{"path": name}], **changes)
    chosen.check(schema, {})
    return chosen.open(schema, {}, shard_events)


# The reference line of the challenge: E² - (pT cosh η)² of the b-jet is
# 288.384² - (245.272 cosh 0.543959)² = 288.384² - 282.4626² = 3380.2 GeV², so m = 58.140 GeV.
# That of the jet is 392.047² - (165.199 cosh 1.50827)² = 392.047² - 391.5381² = 398.8 GeV², so
# m = 19.970 GeV.
LINE = (
    "70002;4top;2.9748e-08;234878;0.50707;b,288384,245272,-0.543959,-1.9042;"
    "j,392047,165199,1.50827,1.99874;e+,125602,95779.5,0.769969,-0.288634;\n"
)


def test_a_line_of_dark_machines(tmp_path):
    """Energies are in MeV; the positron's rounding error is no mass."""
    source = opened(tmp_path, LINE)
    assert source.shard_rows() == [(1,)]
    columns = source.shard(0)
    assert columns["weight"].tolist() == [2.9748e-08]
    assert columns["met.pt"] == pytest.approx([234.878])
    assert columns["met.phi"] == pytest.approx([0.50707])
    assert columns["bjet.count"].tolist() == columns["jet.count"].tolist() == [1]
    assert columns["bjet.energy"] == pytest.approx([288.384])
    assert columns["bjet.pt"] == pytest.approx([245.272])
    assert columns["bjet.mass"] == pytest.approx([58.140], abs=0.001)
    assert columns["jet.mass"] == pytest.approx([19.970], abs=0.001)
    assert columns["lepton.pdg_id"].tolist() == [-11]
    assert columns["lepton.mass"].tolist() == [0.0]
    assert columns["lepton.phi"] == pytest.approx([-0.288634])


def test_an_entry_of_the_catalog_reads_the_challenges_files(tmp_path):
    """No constraint is broken: the positron's energy is p_T cosh η, and not what is printed."""
    (tmp_path / "ttbar_10fb.csv").write_text(LINE)
    spec = DatasetSpec.load("ttbar-dark-machines", (f"source.root={tmp_path}",))
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    assert source.shard_rows() == [(1,)]
    columns, _ = checked(source.shard(0), spec.stored, "here")
    events = spec.joined(to_events(columns, spec.schema_, spec.conditions))
    assert [name for name, rule in spec.constraints.items() if violates(rule, events).any()] == []
    assert events.columns["positron.energy"][0, 0] == pytest.approx(
        95.7795 * math.cosh(0.769969), rel=1e-6
    )


PEAK = """
import sys
from pathlib import Path
from mleg_ray.catalog.spec import DatasetSpec
spec = DatasetSpec.load("ttbar-dark-machines", (f"source.root={sys.argv[1]}",))
source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
[rows] = source.shard_rows()
assert len(source.shard(len(rows) - 1)["met.pt"]) == rows[-1]
[peak] = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
print(sum(rows), int(peak.split()[1]) >> 10)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process's peak memory is read from /proc")
def test_a_large_text_file_needs_no_more_memory_than_a_small_one(tmp_path):
    """Four times as many events take 8 bytes more for each, so 10 GB of text less than 1 GB.

    They are 70 million lines like these, whose hashes are 560 MB, and what the small file takes.
    """
    peaks = []
    for lines in (200_000, 800_000):  # 28 and 112 MB
        text = "".join(f"{i};{LINE.split(';', 1)[1]}" for i in range(1000)) * (lines // 1000)
        (tmp_path / "ttbar_10fb.csv").write_text(text)
        command = [sys.executable, "-c", PEAK, str(tmp_path)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        events, peak = map(int, told.split())
        assert events == lines
        peaks.append(peak)
    assert peaks[0] < 600
    assert peaks[1] - peaks[0] < 8 * 600_000 / 2**20 + 20


def test_the_real_line(reference_data, tmp_path):
    text = (reference_data / "dark-machines" / "one_event.csv").read_text()
    assert opened(tmp_path, text).shard(0)["jet.mass"] == pytest.approx([19.970], abs=0.001)


LABELLED = EventSchema(
    [*SCHEMA.fields, Field(name="process", role="label", dtype="int8")], SCHEMA.groups
)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("njets", 0),
        ("z_jets", 3),
        ("ttbar", 4),
        ("ZZ", 14),
        ("4top", 24),
        ("gluino_01", 26),
        ("Zp_05", 41),
    ],
)
def test_a_process_is_numbered_by_the_place_of_its_name(tmp_path, name, number):
    """There are 26 of the standard model, 0 to 25, and 16 others; stop_02 is the 35th."""
    text = LINE.replace("4top", name) + LINE.replace("4top", "stop_02")
    assert opened(tmp_path, text, schema=LABELLED).shard(0)["process"].tolist() == [number, 34]


def test_a_process_of_another_name_is_a_fault_where_it_is_a_field(tmp_path):
    text = LINE + LINE.replace("4top", "mine")
    assert opened(tmp_path, text).shard_rows() == [(2,)]
    message = "1 of 2 events are at fault: 1 with unknown process .* line 2: 'mine' is none of njet"
    with pytest.raises(DataError, match=message):
        opened(tmp_path, text, schema=LABELLED).shard_rows()
    source = opened(tmp_path, text, schema=LABELLED, faults="leave-out")
    assert source.shard(0)["process"].tolist() == [24]


def line(*objects, number=1, met=50000):
    return ";".join([f"{number};x;0.5;{met};0.1", *objects, "\n"])


def electron(energy=30000, pt=30000, eta=0.0):
    return f"e-,{energy},{pt},{eta},0"


def test_older_symbols_and_forms(tmp_path):
    """`mu-` is m-, `a` is g; without a comma behind g; leptons without an energy are massless."""
    schema = EventSchema(
        [*group_fields("photon"), *group_fields("muon")],
        {
            "photon": Group(most=3, ordered_by="pt", pdg_id=22),
            "muon": Group(most=2, ordered_by="pt", pdg_id=13),
        },
    )
    text = line("a,40000,40000,0,1", "g20000,20000,0,2", "mu-,30000,1.5,0.5")
    columns = opened(tmp_path, text, schema=schema, particles={}).shard(0)
    assert columns["photon.pt"].tolist() == [40.0, 20.0]
    assert columns["muon.pt"].tolist() == [30.0]
    # 30 cosh 1.5 = 30 · (4.481689 + 0.223130) / 2 = 70.5723 GeV
    assert columns["muon.energy"] == pytest.approx([70.5723], rel=1e-6)
    assert columns["muon.mass"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("objects", "kind", "told"),
    [
        (["q,1,1,0,0"], "unknown object symbol", "'q' is none of b, j, e-, e[+], m-, m[+], g"),
        (["j,30000,20000,0"], "jet without an energy", "'j,30000,20000,0' has no energy"),
        (["j,30000,20000"], "malformed line", "is not a symbol, E, pT, eta and phi"),
        (["j,30000,20000,0,0,1"], "malformed line", "is not a symbol, E, pT, eta and phi"),
        (["j,30000,abc,0,0"], "malformed line", "could not convert string to float: 'abc'"),
        (
            ["e-,-30000,30000,0,0"],
            "negative energy",
            "E = -30, p = 30 GeV, pt = 30",
        ),
        (["e-,29990,30000,0,0"], "energy below the mass shell", "E = 29.99, p = 30 GeV"),
        (["e-,30000,30000,nan,0"], "not a finite number", "E = 30, p = nan GeV"),
        (["e-,30000,30000,999,0"], "not a finite number", "p = inf GeV"),
        (["e-,30000,999,0"], "malformed line", "is not a symbol, E, pT, eta and phi"),
        (["e-,30000,30000,0,nan"], "not a finite number", "phi = nan of particle 11"),
        (["e-,30000,-30000,0,0"], "negative transverse momentum", "pt = -30, "),
        (
            ["e-,30000,30000,0,190"],
            "azimuth beyond a full turn",
            "phi = 190 rad; are these",
        ),
    ],
)
def test_events_at_fault_are_counted_and_refused_or_left_out(tmp_path, objects, kind, told, capsys):
    """Line 3 is good and 2 and 4 are not; an empty line is nothing."""
    good = [line(electron(), number=number) for number in (1, 3)]
    text = good[0] + line(*objects) + good[1] + line(*objects) + "\n"
    message = f"t.csv: 2 of 4 events are at fault: 2 with {kind} .the first: line 2: .*{told}"
    with pytest.raises(DataError, match=f"{message}.*source.faults = 'leave-out'"):
        opened(tmp_path, text).shard_rows()
    source = opened(tmp_path, text, faults="leave-out")
    assert source.shard_rows() == [(2,)]
    assert "they are left out" in capsys.readouterr().err
    assert source.shard(0)["lepton.count"].tolist() == [1, 1]
    [told_of] = source.provenance()["files"]
    assert (told_of["faults"], told_of["copies"]) == ({kind: 2}, 1)  # of the good ones


def test_numbers_of_an_event_at_fault(tmp_path):
    """Missing momentum is a length, and has an azimuth of at most one turn."""
    with pytest.raises(DataError, match="negative transverse momentum .* line 1: MET = -1000"):
        opened(tmp_path, line(electron(), met=-1000)).shard_rows()
    text = line(electron()).replace(";0.1;", ";-6.3;")
    with pytest.raises(DataError, match="azimuth beyond a full turn .* line 1: phi = -6.3 rad"):
        opened(tmp_path, text).shard_rows()


def test_azimuths_of_other_writers_are_brought_to_those_of_ours(tmp_path):
    """Between 0 and 2π: 4 is 4 - 2π = -2.283185, and 6.2832, 2π with five digits, is 1.5e-5."""
    text = line("e-,30000,30000,0,4", "e-,20000,20000,0,6.2832")
    columns = opened(tmp_path, text.replace(";0.1;", ";-3.5;")).shard(0)
    assert columns["lepton.phi"] == pytest.approx([-2.283185, 1.469e-5], abs=1e-6)
    assert columns["met.phi"] == pytest.approx([2.783185], abs=1e-6)


def test_six_digits_make_no_event_unphysical(tmp_path):
    """E may be below p = 30 GeV by 2e-5 of it, 0.6 MeV: 29999.5 is accepted, 29999.3 is not."""
    assert opened(tmp_path, line(electron(energy=29999.5))).shard_rows() == [(1,)]
    with pytest.raises(DataError, match="energy below the mass shell"):
        opened(tmp_path, line(electron(energy=29999.3))).shard_rows()


def test_a_mass_below_what_rounding_leaves_is_zero():
    """Of E = 100 GeV it is 0.3 GeV: m = 0.2 is noise and 0.4 a mass, of a jet but not of a muon."""
    mass = np.array([0.2, 0.4, 0.4])
    momentum = np.sqrt(100.0**2 - mass**2)
    particles = Records(
        {},
        np.array([3]),
        np.array([1, 1, 13]),
        {
            "energy": np.full(3, 100.0),
            "pt": momentum,
            "eta": np.zeros(3),
            "phi": np.zeros(3),
        },
        {},
    )
    assert particles.part("mass") == pytest.approx([0, 0.4, 0], rel=1e-6)
    assert particles.part("energy").tolist() == [100, 100, 100]
    found = replace(particles, rounded=True).part("energy")
    np.testing.assert_array_equal(found, [momentum[0], 100, momentum[2]])


@pytest.mark.parametrize(("energy", "unit"), [(30, None), (30000, "GeV")])
def test_implausible_units_are_told_in_both_readings(tmp_path, energy, unit):
    other = "GeV" if unit is None else "MeV"
    message = (
        f"the median pT of the first 3 objects is {energy}: {energy / 1000:g} GeV if it is in MeV, "
        f"{energy} GeV if in GeV, and it is read in {unit or 'MeV'}; say source.unit = '{other}'"
    )
    text = line(*[electron(energy, energy)] * 3, met=energy)
    with pytest.raises(DataError, match=message):
        opened(tmp_path, text, unit=unit).shard_rows()
    columns = opened(tmp_path, text, unit=other).shard(0)
    assert columns["lepton.pt"].tolist() == [30.0] * 3
    assert columns["met.pt"].tolist() == [30.0]


def test_objects_beyond_the_most_are_dropped_or_refused(tmp_path):
    text = line(*[electron(pt, pt) for pt in (20000, 40000, 30000)])
    assert opened(tmp_path, text).shard_rows() == [(1,)]
    message = "1 objects of 'lepton' are beyond the 2 .*groups.lepton.most"
    with pytest.raises(DataError, match=message):
        opened(tmp_path, text, beyond_most="refuse").shard_rows()


def test_copies_are_counted_whatever_their_number(tmp_path, capsys):
    """Four lines of two events: two are copies."""
    text = "".join(line(electron(pt, pt), number=i) for i, pt in enumerate((3e4, 3e4, 4e4, 3e4)))
    source = opened(tmp_path, text)
    source.shard_rows()
    assert "2 of 4 events are copies of others" in capsys.readouterr().err
    assert source.provenance()["files"][0]["copies"] == 2


def test_a_dataset_of_records_says_what_was_left_out(tmp_path):
    """200 good lines, and one at fault, in 10 shards, made by a copy of the source."""
    spec = record_spec(tmp_path)
    (tmp_path / "t.csv").write_text("broken\n" + (tmp_path / "t.csv").read_text())
    source = spec.source.model_copy(update={"faults": "leave-out"})
    groups = spec.groups | {"jet": spec.groups["jet"].model_copy(update={"most": 2})}
    spec = spec.model_copy(update={"source": source, "groups": groups})
    plan = pickle.loads(pickle.dumps(plan_dataset(spec, str(tmp_path / "storage"))))
    dataset = finish(plan, {i: make_shard(plan, i) for i in reversed(range(10))})
    assert dataset.rows() == 200
    provenance = dataset.manifest.provenance
    assert provenance["source"]["files"][0]["faults"] == {"malformed line": 1}
    # Every fourth of 200 events has three jets, one too many.
    assert provenance["dropped"] == {"jet": 50}
    counts = [events.counts["jet.count"] for events in dataset.chunks()]
    assert torch.cat(counts).long().bincount().tolist() == [50, 50, 100]


def test_particles_that_no_group_takes_are_recorded(tmp_path):
    source = opened(tmp_path, line(electron(), "g,30000,30000,0,0", "g,40000,40000,0,0"))
    assert source.provenance()["files"][0]["not_taken"] == {"22": 2}


def test_shards_are_stretches_of_a_file_read_in_any_order(tmp_path, monkeypatch):
    """25 good lines, every sixth at fault, in shards of 10, read 64 bytes at a time."""
    monkeypatch.setattr(records, "blocks", lambda stream, begins: blocks(stream, begins, 64))
    lines = [
        "broken\n" if i % 6 == 0 else line(electron(), number=i, met=1000 * i) for i in range(30)
    ]
    source = opened(tmp_path, "".join(lines), faults="leave-out")
    assert source.shard_rows() == [(10, 10, 5)]
    expected = [i for i in range(30) if i % 6]
    for index in (2, 0, 1):
        found = source.shard(index)["met.pt"]
        assert found == pytest.approx(expected[10 * index : 10 * index + 10])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no events"),
        ("\n \n", "no events"),
        (line(electron()) + line(electron()).replace("0.5", "-0.5"), ""),
        (line(electron()).replace("0.5", "0"), "all 1 events have the weight 0"),
    ],
)
def test_files_without_events_or_weights(tmp_path, text, message):
    if not message:
        unweighted = SCHEMA.without({"weight"})
        with pytest.raises(DataError, match="events have different weights, and no field has"):
            opened(tmp_path, text, schema=unweighted).shard_rows()
        return
    with pytest.raises(DataError, match=f"t.csv: {message}"):
        opened(tmp_path, text).shard_rows()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"files": [{"path": "t.txt"}]}, "t.txt ends with none of .csv, .lhe"),
        ({"particles": {}}, "'lepton.pt' is nothing that [*].csv has: these are weight, met.pt"),
        ({"particles": {"tau": [15]}}, "'lepton.pt' is nothing"),
        ({"weight": "1001"}, "weight: events of [*].csv have one weight, without a name"),
        ({"format": "lhe"}, "'met.pt' is nothing that"),
        ({"files": [{"path": "t.lhe"}], "unit": "GeV"}, "unit: .* a unit that its format fixes"),
        ({"files": [{"path": "*.csv", "constants": {"x": 1}}]}, "no field 'x'"),
        ({"files": [{"path": "*.csv", "constants": {"jet.pt": 1}}]}, "no single number"),
    ],
)
def test_bad_configuration(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        config(tmp_path, **changes).check(SCHEMA, {})


MUONS = EventSchema(
    [
        *(Field(name=f"muon.{part}", unit="GeV") for part in ("px", "py", "pz", "energy", "mass")),
        Field(name="scale", unit="GeV"),
        Field(name="weight", role="weight"),
    ],
    {"muon": Group(pdg_id=13)},
)
LES_HOUCHES = """<LesHouchesEvents version="3.0">
<init>
2212 2212 6500 6500 0 0 0 0 4 1
1 0 1 1
</init>
{events}</LesHouchesEvents>
"""
EVENT = """<event npLO=' -1 ' npNLO=' 1 '>
3 7 {weight} 91.2 -1 -1
2 -1 0 0 501 0 0 0 50 50 0 0 9
13 1 1 2 0 0 3 4 12 13.0004 0.10566 0 9
-13 1 1 2 0 0 -3 -4 {pz} 13 0 0 9
# a comment
<rwgt>
<wgt id='1001'> {other} </wgt>
</rwgt>
</event>
"""


def les_houches(*weights, pz=0, other=2.5):
    events = "".join(EVENT.format(weight=w, pz=pz, other=other) for w in weights)
    return LES_HOUCHES.format(events=events)


PACKINGS = {"t.lhe.gz": gzip.compress, "t.lhe.bz2": bz2.compress, "t.lhe.xz": lzma.compress}
PACKINGS["t.lhe.zst"] = lambda text: pa.Codec("zstd").compress(text, asbytes=True)


@pytest.mark.parametrize("name", PACKINGS)
def test_packed_events_that_are_truncated(tmp_path, name):
    content = PACKINGS[name](les_houches(*[1.0] * 500).encode())
    with pytest.raises(DataError, match=f"{name}: a truncated or damaged packed file"):
        opened(tmp_path, content[:-20], 2, MUONS, name, particles={}).shard_rows()


@pytest.mark.parametrize("weight", ["1e-46", "1e42"])
def test_weights_that_a_type_does_not_hold(tmp_path, weight):
    source = opened(tmp_path, les_houches(weight, weight).encode(), 2, MUONS, "t.lhe", particles={})
    message = "'weight': .* in row 0 .* would be .* in float32 .*declare dtype = 'float64'"
    with pytest.raises(DataError, match=message):
        source.shard_rows()


@pytest.mark.parametrize("packed", ["", *PACKINGS])
@pytest.mark.parametrize("name", ["t.lhe", "t.lhe.gz"])
def test_les_houches_events(tmp_path, name, packed):
    """A file may be packed or not, whatever its name says."""
    text = les_houches(1.5, -1.5, -1.5).encode()
    content = PACKINGS[packed](text) if packed else text
    source = opened(tmp_path, content, 2, MUONS, name, particles={})
    assert source.shard_rows() == [(2, 1)]
    assert source.shard(1)["weight"].tolist() == [-1.5]
    columns = source.shard(0)
    assert columns["weight"].tolist() == [1.5, -1.5]
    assert columns["scale"].tolist() == [91.2] * 2
    found = [columns[f"muon.{part}"][0] for part in ("px", "py", "pz", "energy", "mass")]
    assert found == [3, 4, 12, 13.0004, 0.10566]
    named = opened(tmp_path, content, 3, MUONS, name, particles={}, weight="1001")
    assert named.shard(0)["weight"].tolist() == [2.5] * 3


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        (
            les_houches(1.0, 1.0),
            {"weight": "7"},
            "2 with event without the weight .the first: line 6: there is no weight '7'",
        ),
        (les_houches(0, 0), {}, "all 2 events have the weight 0"),
        (les_houches(1.0, pz=40), {}, "energy below the mass shell .* line 6: E = 13, p = 40.3113"),
        (les_houches(1.0)[:-40], {}, "malformed event .* there is no </event>; .*truncated"),
        (les_houches(1.0).replace("13.0004", ""), {}, "particle 2 of 3 has 12 numbers, not 13"),
        (les_houches(1.0).replace("-13 1", f"{10**11} 1"), {}, "100000000000 is no PDG number"),
        (les_houches(1.0).replace("3 7 1.0", "inf 7 1.0"), {}, "invalid literal .*inf"),
        (les_houches(1.0).replace("3 7 1.0", "2 7 1.0"), {}, "said to have 2 particles, .* more"),
        (les_houches(1.0).replace("3 7 1.0", "-1 7 1.0"), {}, "said to have -1 particles, .* more"),
        (les_houches(1.0).replace("0.10566", "-0.1"), {}, "1 with negative mass .*mass = -0.1"),
        (
            les_houches(1.0).replace("0.10566", "0.2"),  # √(13² + 0.2²) = 13.00154 > 13.0004
            {},
            "energy below the mass shell .* E = 13.0004, p = 13 GeV, .*mass = 0.2 of particle 13",
        ),
        (gzip.compress(les_houches(1.0).encode())[:-30], {}, "truncated or damaged packed file"),
        (gzip.compress(les_houches(1.0).encode())[:-1], {}, "truncated or damaged packed file"),
        (
            gzip.compress(les_houches(1.0).encode())[:-8] + bytes(8),  # another checksum
            {},
            "truncated or damaged packed file: CRC check failed",
        ),
    ],
)
def test_les_houches_events_at_fault(tmp_path, text, changes, message):
    with pytest.raises(DataError, match=f"t.lhe: .*{message}"):
        opened(tmp_path, text, 2, MUONS, "t.lhe", particles={}, **changes).shard_rows()


def test_a_particle_that_is_not_there_once(tmp_path):
    text = les_houches(1.0).replace("-13 1 1", "13 1 1")
    with pytest.raises(DataError, match="'muon' is there once in each event, and 1 of 1 have .* 2"):
        opened(tmp_path, text, 2, MUONS, "t.lhe", particles={}).shard_rows()


def test_real_les_houches_events(reference_data, tmp_path):
    """10,000 events of Z to leptons, each with a pair near m_Z, many of negative weight.

    A gluon of one has a negative energy: E = -0.267 GeV.
    """
    schema = EventSchema(
        [
            *(Field(name=f"lepton.{part}", unit="GeV") for part in ("px", "py", "pz", "energy")),
            Field(name="lepton.pdg_id", dtype="int8"),
            Field(name="weight", role="weight"),
        ],
        {"lepton": Group(most=2, ordered_by="energy")},
    )
    particles = {"lepton": [11, -11, 13, -13, 15, -15]}
    files = [{"path": "lhe/pylhe-testfile-madgraph-2.2.1-Z-fxfx.lhe.gz"}]
    with pytest.raises(DataError, match="1 of 10,000 events are at fault: 1 with negative energy"):
        config(reference_data, files=files, particles=particles).open(schema, {}, 5).shard_rows()
    chosen = config(reference_data, files=files, particles=particles, faults="leave-out")
    source = chosen.open(schema, {}, 10_000)
    assert source.shard_rows() == [(9_999,)]
    columns = source.shard(0)
    assert (columns["weight"] < 0).sum() == 1852
    assert set(columns["lepton.count"]) == {2}
    px, py, pz, e = (
        columns[f"lepton.{part}"].reshape(-1, 2).sum(axis=1)
        for part in ("px", "py", "pz", "energy")
    )
    mass = np.sqrt(e**2 - px**2 - py**2 - pz**2)
    assert np.median(mass) == pytest.approx(91.2, abs=0.5)


def hepmc(weights, unit="GEV", scale=1.0, version="hepmc3"):
    """Two protons make a muon of momentum (3, 4, 12), and a photon that another has swallowed."""
    run = pyhepmc.GenRunInfo()
    run.weight_names = ["nominal", "up"]
    stream = io.BytesIO()
    with pyhepmc.open(stream, "w", format=version) as file:
        for number, weight in enumerate(weights):
            event = pyhepmc.GenEvent(getattr(pyhepmc.Units, unit), pyhepmc.Units.MM)
            event.run_info, event.event_number = run, number
            vertex = pyhepmc.GenVertex()
            for pz in (6500, -6500):
                beam = [0, 0, scale * pz, scale * 6500]
                vertex.add_particle_in(pyhepmc.GenParticle(beam, 2212, 4))
            momentum = [scale * value for value in (3, 4, 12, 13.0004)]
            vertex.add_particle_out(pyhepmc.GenParticle(momentum, 13, 1))
            vertex.add_particle_out(pyhepmc.GenParticle([1, 0, 0, 1], 22, 2))
            event.add_vertex(vertex)
            event.weights = [weight, 2 * weight]
            file.write(event)
    return stream.getvalue()


PROTONS = EventSchema(
    [
        *(Field(name=f"muon.{part}", unit="GeV") for part in ("px", "energy", "mass")),
        *(Field(name=f"beam{k}.pz", unit="GeV") for k in (1, 2)),
        Field(name="weight", role="weight"),
    ],
    {"muon": Group(pdg_id=13, mass=0.0), "beam1": Group(), "beam2": Group()},
)


@pytest.mark.parametrize(
    ("unit", "scale", "version"),
    [("GEV", 1.0, "hepmc3"), ("MEV", 1000.0, "hepmc3"), ("MEV", 1000.0, "hepmc2")],
)
def test_hepmc(tmp_path, unit, scale, version):
    """Photons of status 2 are not of the final state, and no group would take them."""
    content = hepmc([1.5, -1.5, 1.5], unit, scale, version)
    source = opened(tmp_path, content, 2, PROTONS, "t.hepmc3", particles={})
    assert source.shard_rows() == [(2, 1)]
    columns = source.shard(0)
    assert columns["weight"].tolist() == [1.5, -1.5]
    assert columns["muon.px"] == pytest.approx([3, 3])
    assert columns["muon.energy"] == pytest.approx([13.0004] * 2)
    assert columns["beam1.pz"] == pytest.approx([6500] * 2)
    assert columns["beam2.pz"] == pytest.approx([-6500] * 2)
    [told] = source.provenance()["files"]
    assert (told["not_taken"], told["copies"]) == ({}, 1)
    up = opened(tmp_path, content, 3, PROTONS, "t.hepmc3", particles={}, weight="up")
    assert up.shard(0)["weight"].tolist() == [3, -3, 3]
    with pytest.raises(DataError, match="3 with event without the weight .*no weight 'down'"):
        opened(tmp_path, content, 3, PROTONS, "t.hepmc3", particles={}, weight="down").shard_rows()


@pytest.mark.parametrize(
    ("taken", "none"),
    [("1,5", 5), ("5", 5), ("1,1000000", 1000000), ("0,1", 0), ("-1,2", -1)],
)
def test_a_vertex_that_takes_in_what_is_no_particle(tmp_path, taken, none):
    """There are four: HepMC reads beyond its memory for a fifth."""
    content = hepmc([1.0]).replace(b"[1,2]", f"[{taken}]".encode())
    with pytest.raises(DataError, match=f"a vertex takes in particle {none} of 4"):
        opened(tmp_path, content, 2, PROTONS, "t.hepmc3", particles={}).shard_rows()


@pytest.mark.parametrize("owner", [2**31, -(2**31)])
def test_attributes_of_no_object_are_no_fault(tmp_path, owner):
    """HepMC alone would end the program without a word."""
    content = hepmc([2.5]).replace(b"\nP 1", f"\nA {owner} x 1\nP 1".encode())
    source = opened(tmp_path, content, 2, PROTONS, "t.hepmc3", particles={})
    assert source.shard_rows() == [(1,)]
    assert source.shard(0)["weight"].tolist() == [2.5]


@pytest.mark.parametrize("version", ["hepmc3", "hepmc2"])
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"U GEV", b"U TEV", "energies are in TEV, not GEV or MEV"),
        (b" 13 3", b" 4294967309 3", "4294967309 is no PDG number"),  # 2³² + 13
        (b" 13 3", b" -2147483648 3", "-2147483648 is no PDG number"),
    ],
)
def test_what_hepmc_would_misread(tmp_path, version, old, new, message):
    content = hepmc([1.0], version=version)
    assert old in content
    with pytest.raises(DataError, match=message):
        opened(
            tmp_path, content.replace(old, new), 2, PROTONS, "t.hepmc3", particles={}
        ).shard_rows()
    nucleus = hepmc([1.0], version=version).replace(b" 13 3", b" 1000822080 3")
    lead = {"muon": [1000822080]}
    source = opened(tmp_path, nucleus, 2, PROTONS, "t.hepmc3", particles=lead)
    assert source.shard_rows() == [(1,)]


def test_damaged_hepmc_is_told(tmp_path):
    content = hepmc([1.0, 1.0]).replace(b"P 3 -1 13 3", b"P x -1 13 3", 1)
    with pytest.raises(DataError, match="t.hepmc3: 1 of 2 events are at fault: 1 with malformed"):
        opened(tmp_path, content, 2, PROTONS, "t.hepmc3", particles={}).shard_rows()


@pytest.mark.parametrize(
    ("name", "content", "schema"),
    [
        ("t.csv", 3 * LINE.encode(), SCHEMA),
        ("t.lhe", les_houches(1, 1, 1).encode(), MUONS),
        ("t.hepmc3", hepmc([1, 1, 1]), PROTONS),
    ],
)
def test_altered_bytes_are_told_in_one_line(tmp_path, name, content, schema):
    """100 files with one to eight other bytes each."""
    rng = np.random.default_rng(1)
    particles = {"lepton": [11, -11, 13, -13]} if schema is SCHEMA else {}
    for _ in range(100):
        altered = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 9)):
            altered[place] = rng.integers(0, 256)
        source = opened(tmp_path, bytes(altered), 5, schema, name, particles=particles)
        with contextlib.suppress(DataError):  # or read: not every byte means something
            source.shard_rows()


def test_events_without_particles(tmp_path):
    source = opened(tmp_path, line() + line())
    assert source.shard_rows() == [(2,)]
    assert source.shard(0)["jet.count"].tolist() == [0, 0]


def test_momenta_of_either_form():
    """(px, py, pz) = (3, 4, 12): pT = 5, φ = atan2(4, 3), η = asinh(12/5)."""
    parts = {"px": 3.0, "py": 4.0, "pz": 12.0, "energy": 13.0}
    cartesian = Records({}, np.ones(1, int), np.ones(1, int), as_arrays(parts), {})
    polar = {"pt": 5.0, "phi": math.atan2(4, 3), "eta": math.asinh(2.4)}
    for name, value in polar.items():
        assert cartesian.part(name) == pytest.approx([value])
    again = Records({}, np.ones(1, int), np.ones(1, int), as_arrays(polar | {"energy": 13.0}), {})
    for name, value in parts.items():
        assert again.part(name) == pytest.approx([value])


def as_arrays(parts):
    return {name: np.array([value]) for name, value in parts.items()}


@pytest.mark.parametrize("muon", [True, False])
@pytest.mark.parametrize("kind", ["dark-machines", "lhe", "hepmc"])
def test_what_is_written_can_be_read(tmp_path, kind, muon):
    """Jets, an antimuon and weights of events come back, to the digits that are printed.

    Of φ there are six, which move px by up to 5e-6 pT. Without the muon some have no particle.
    """
    manifest = shaped_dataset(tmp_path / "dataset").manifest
    chosen, names = ["jet"], ["weight"]
    if muon:
        chosen, names = ["jet", "muon"], ["muon.px", "muon.pz", "weight"]
    groups = {name: SHAPED.groups[name] for name in chosen}
    columns = shaped_columns(50) | {"energy": np.full(50, 50.0)}
    form = FORMATS[kind]
    name = f"t{form.suffix}"
    unnamed = {"muon": manifest.groups["muon"].model_copy(update={"pdg_id": None})}
    told = {"groups": manifest.groups | (unnamed if not muon else {})}
    form.write(tmp_path / name, columns, manifest.model_copy(update=told))
    jets = [f for f in SHAPED.fields if f.group == "jet" and f.name != "jet.tracks"]
    schema = EventSchema([*jets, *(f for f in SHAPED.fields if f.name in names)], groups)
    content = (tmp_path / name).read_bytes()
    source = opened(tmp_path, content, 50, schema, name, particles={}, format=kind)
    assert source.shard_rows() == [(50,)]
    again = source.shard(0)
    assert again["jet.count"].tolist() == columns["jet.count"].tolist()
    for field in schema.fields:
        assert again[field.name] == pytest.approx(columns[field.name], rel=1e-5, abs=1e-3)
