"""What a table is: made by hand, so that each finding has a known right answer; and real ones."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from mleg_ray.catalog.sources.readers import FileFormat, Lists
from mleg_ray.catalog.sources.tables import Slots
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.config import parse, parse_toml
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.evaluation.statistics.classifiers import MINIMUM_EVENTS
from mleg_ray.fitting.files import batch_size, entry, most_steps, recipe, splits
from mleg_ray.fitting.look import Choices, Look, look
from mleg_ray.fitting.nature import Numbers
from mleg_ray.fitting.particles import part_of
from mleg_ray.fitting.tables import Table, joined, read_all
from mleg_ray.run import RunConfig

N = 2000
RNG = np.random.default_rng(3)
MUON = 0.1056583755


def momenta(n: int = N, seed: int = 1, width: float = 20.0) -> dict[str, Numbers]:
    rng = np.random.default_rng(seed)
    return {part: rng.normal(0, width, n) for part in ("px", "py", "pz")}


def energy(p: Mapping[str, Numbers], mass: float | Numbers) -> Numbers:
    found: Numbers = np.sqrt(sum(x**2 for x in p.values()) + mass**2)
    return found


def table(columns: Mapping[str, Any], faults: Mapping[str, str] | None = None) -> Table:
    as_read = {k: x if isinstance(x, Lists) else np.asarray(x, float) for k, x in columns.items()}
    return Table(FileFormat(kind="parquet"), as_read, faults or {})


def seen(columns: Mapping[str, Any], **choices: Any) -> Look:
    return look(table(columns), Choices(**choices))


def fields(found: Look) -> dict[str, str]:
    return {column.field: column.role for column in found.columns}


def told(found: Look, *columns: str) -> str:
    return "\n".join(str(f) for f in found.findings if set(columns) <= set(f.columns))


def kinds(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    return [step["kind"] for step in steps]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("px1", ("1", "px")),
        ("mu1_px", ("mu1", "px")),
        ("Jet_E", ("jet", "energy")),
        ("E2", ("2", "energy")),
        ("E", ("particle", "energy")),
        ("pt_jet1", ("jet1", "pt")),
        ("electron.eta", ("electron", "eta")),
        ("charge", None),  # ends with an e
        ("theta", None),  # ends with eta
        ("iso", None),
        ("sum", None),
    ],
)
def test_names_tell_particles_and_parts(name: str, expected: tuple[str, str] | None) -> None:
    assert part_of(name) == expected


def test_a_four_momentum_on_its_shell() -> None:
    p = momenta()
    found = seen({"mu_px": p["px"], "mu_py": p["py"], "mu_pz": p["pz"], "mu_E": energy(p, MUON)})
    assert list(fields(found)) == ["mu.px", "mu.py", "mu.pz", "mu.energy"]
    assert found.groups == {"mu": {"mass": pytest.approx(MUON)}}
    assert kinds(found.steps)[:2] == ["mass-shell", "transverse"]
    assert "on the mass shell of 0.105658 GeV" in told(found, "mu_E")
    assert set(found.observables) == {"mu_pt", "mu_eta"}


def test_a_mass_that_differs_stays_a_number() -> None:
    p, mass = momenta(), RNG.gamma(4.0, 2.0, N)
    found = seen({**{f"jet_{k}": x for k, x in p.items()}, "jet_e": energy(p, mass)})
    assert kinds(found.steps)[:2] == ["transverse", "mass"]
    assert any(
        "jet.mass" in step.get("fields", ()) or "jet.log_mass" in step.get("fields", ())
        for step in found.steps
    )


def test_a_mass_shell_needs_no_names() -> None:
    p = momenta()
    found = seen({"0": energy(p, 0.0), "1": p["px"], "2": p["py"], "3": p["pz"]})
    assert {c.column: c.field for c in found.columns} == {
        "1": "particle.px",
        "2": "particle.py",
        "3": "particle.pz",
        "0": "particle.energy",
    }
    four = RNG.normal(size=(4, N))
    assert not seen(dict(zip("0123", four, strict=True))).groups


def test_the_edge_of_an_energy_becomes_one_of_the_momentum() -> None:
    p = momenta()
    length = np.sqrt(sum(x**2 for x in p.values()))
    p = {k: x / length * 50 * RNG.random(N) ** (1 / 3) for k, x in p.items()}
    found = seen({**p, "e": energy(p, 0.0)})
    assert found.steps[0] == {"kind": "spherical", "group": "particle"}


def test_momenta_in_mev_are_told_and_kept_in_gev() -> None:
    p = {k: 1000 * x for k, x in momenta().items()}
    found = seen({**p, "e": energy(p, 1000 * MUON)})
    assert {c.read_in for c in found.columns} == {"MeV"}
    assert {c.unit for c in found.columns} == {"GeV"}
    assert found.groups["particle"]["mass"] == pytest.approx(MUON, rel=1e-3)
    assert "read as MeV" in told(found, "px")


def test_what_follows_from_a_momentum_is_left_out() -> None:
    p = momenta()
    pt, phi = np.hypot(p["px"], p["py"]), np.arctan2(p["py"], p["px"])
    printed = np.array([float(f"{x:.6g}") for x in pt])
    found = seen({**p, "pt": printed, "phi": phi, "eta": np.arcsinh(p["pz"] / pt)})
    assert list(fields(found)) == ["particle.px", "particle.py", "particle.pz"]
    assert "follow from px, py, pz" in told(found, "pt", "eta", "phi")


def test_few_printed_digits_leave_a_mass_shell_and_a_mass_does_not() -> None:
    p = momenta()
    e = energy(p, 0.0)
    printed = {"e": e * np.where(np.arange(N) % 40 == 0, 1.001, 1.0), **p}
    assert seen(printed).groups == {"particle": {"mass": 0.0}}
    heavy = {"e": e * np.where(np.arange(N) % 40 == 0, 1.1, 1.0), **p}
    assert seen(heavy).groups == {"particle": {}}


def test_particles_stay_in_order() -> None:
    columns, above = {}, np.full(N, 200.0)
    for k in "123":
        above = above * RNG.uniform(0.5, 0.99, N)
        angles = np.pi * (2 * RNG.random(N) - 1)
        columns |= {f"pt{k}": above, f"eta{k}": RNG.normal(size=N), f"phi{k}": angles}
    found = seen(columns)
    assert {
        "kind": "ordered",
        "fields": ["particle1.pt", "particle2.pt", "particle3.pt"],
    } in found.steps
    assert "at least the p_T of the next" in told(found, "particle1", "particle3")
    swapped = columns | {"pt1": columns["pt2"], "pt2": columns["pt1"]}
    assert not any(step["kind"] == "ordered" for step in seen(swapped).steps)


def resonance() -> dict[str, Numbers]:
    """Return two massless particles back to back, with masses of about 80 to 100 GeV."""
    m, phi = 90 + 10 * (2 * RNG.random(N) - 1), np.pi * (2 * RNG.random(N) - 1)
    eta, eta2 = RNG.normal(size=(2, N))
    pt = m / 2 / np.cosh((eta - eta2) / 2)
    pt2 = pt * np.exp(0.05 * RNG.normal(size=N))
    far = np.mod(phi + 2 * np.pi, 2 * np.pi) - np.pi
    first = {"pt1": pt, "eta1": eta, "phi1": phi}
    return first | {"pt2": pt2, "eta2": eta2, "phi2": far}


def test_a_pair_of_narrow_mass_has_it_as_a_feature() -> None:
    columns = resonance()
    dphi = columns["phi1"] - columns["phi2"]
    square = np.cosh(columns["eta1"] - columns["eta2"]) - np.cos(dphi)
    columns["M"] = np.sqrt(2 * columns["pt1"] * columns["pt2"] * square)
    found = seen(columns)
    assert found.steps[0] == {"kind": "pair", "groups": ["particle1", "particle2"]}
    assert "the invariant mass of particle1 and particle2" in told(found, "M")
    assert "M" not in fields(found)
    made = [name for step in found.steps for name in step.get("fields", ())]
    assert "pair.mass" in made
    assert "pair.log_ratio_pt" in made
    assert not {"particle1.pt", "particle2.pt", "particle2.phi"} & set(made)


def test_constants_are_conditions() -> None:
    found = seen({"x": RNG.normal(size=N), "beam": np.full(N, 5.0)})
    assert found.constants == {"beam": 5.0}
    assert "5 in all events" in told(found, "beam")


def test_a_column_that_is_another_up_to_printing_is_left_out() -> None:
    x = RNG.normal(size=N)
    columns = {"x": x, "y": np.round(x, 6), "minus": -x, "mev": 1000 * x, "near": x + 0.01}
    found = seen(columns)
    assert list(fields(found)) == ["x", "near"]
    assert "the same as x;" in told(found, "y")
    assert "the same as x times -1" in told(found, "minus")
    assert "the same as x times 1000" in told(found, "mev")
    assert "y" in fields(seen(columns, kinds={"y": "number"}))


def test_weights_are_known_by_name_and_may_be_negative() -> None:
    weight = np.where(np.arange(N) % 5 == 0, -1.0, 1.0)
    found = seen({"x": RNG.normal(size=N), "EventWeight": weight})
    assert fields(found) == {"x": "event", "EventWeight": "weight"}
    # (3/5 N)² / N of 2000
    assert "from -1 to 1, 20.0% below zero; worth 720 events" in told(found, "EventWeight")
    assert seen({"x": RNG.normal(size=N), "w8": weight}, weight="w8").weighted
    assert not seen({"x": RNG.normal(size=N), "weighting": weight}).weighted
    with pytest.raises(DataError, match="the weights sum to -1200"):
        seen({"x": RNG.normal(size=N), "w": -weight})


def test_conditions_are_what_the_user_says() -> None:
    columns = {"x": RNG.normal(size=N), "e": RNG.random(N)}
    assert fields(seen(columns, given=("e",))) == {"e": "condition", "x": "event"}


def test_copies_are_found_by_the_events_names_or_by_all_numbers() -> None:
    x = RNG.normal(size=N)
    x[10:20] = x[:10]
    found = seen({"x": x, "y": np.round(np.abs(x))})
    assert found.unique == ("x", "y")
    assert found.events == N - 10
    assert "10 of 2,000 rows are copies of others" in told(found, "all columns")
    named = seen(
        {"x": RNG.normal(size=N), "run": np.ones(N) + np.arange(N) % 2, "event": np.arange(N) // 4}
    )
    assert named.unique == ("run", "event")
    assert named.events == N // 2


def test_equal_categories_are_no_copies() -> None:
    assert not seen({"a": np.tile([0.0, 1.0], N // 2), "b": np.repeat([0.0, 1.0], N // 2)}).unique


def test_what_is_no_number_is_left_out_and_told() -> None:
    found = look(
        table({"x": RNG.normal(size=N)}, {"type": "line 2, column 'type': 'G'"}), Choices()
    )
    assert "line 2, column 'type': 'G'; left out" in told(found, "type")


def jets(most: int = 3) -> dict[str, Any]:
    count = np.arange(N) % (most + 1)
    pt = 20 + RNG.exponential(30, count.sum())
    eta, phi = RNG.normal(size=count.sum()), np.pi * (2 * RNG.random(count.sum()) - 1)
    columns = {"Jet_Pt": pt, "Jet_Eta": eta, "Jet_Phi": phi}
    return {"NJet": count.astype(float)} | {k: Lists(count, x) for k, x in columns.items()}


def test_lists_of_one_length_are_a_group() -> None:
    found = seen({"met": RNG.exponential(20, N), **jets()})
    assert found.groups == {"Jet": {"most": 3, "ordered_by": "pt"}}
    assert {"Jet.pt", "Jet.eta", "Jet.phi"} <= set(fields(found))
    assert found.steps[0] == {"kind": "count", "group": "Jet"}
    assert {"kind": "dequantise", "fields": ["Jet.count"], "levels": 4} in found.steps
    assert "the same as Jet_Pt's number" in told(found, "NJet")


def in_slots(name: str = "jet{}_{}", padding: float = 0.0) -> dict[str, Numbers]:
    """Return up to three jets a row, in a column for each number of each."""
    rng = np.random.default_rng(4)
    there = np.arange(3) < (np.arange(N) % 4)[:, None]
    parts = {
        "pt": np.sort(20 + rng.exponential(30, (N, 3)))[:, ::-1],
        "eta": rng.normal(size=(N, 3)),
        "phi": np.pi * (2 * rng.random((N, 3)) - 1),
        "btag": rng.integers(0, 2, (N, 3)).astype(float),
    }
    return {
        name.format(slot + 1, part): np.where(there[:, slot], x[:, slot], padding)
        for slot in range(3)
        for part, x in parts.items()
    }


@pytest.mark.parametrize("name", ["jet{}_{}", "jet_{1}{0}", "jet_{1}_{0}", "{1}_jet{0}"])
@pytest.mark.parametrize("padding", [0.0, -999.0])
def test_padded_columns_are_objects(name: str, padding: float) -> None:
    read = table({"met": RNG.exponential(20, N), **in_slots(name, padding)})
    found = look(read, Choices())
    assert found.groups == {"jet": {"most": 3, "ordered_by": "pt"}}
    assert set(fields(found)) == {"met", "jet.pt", "jet.eta", "jet.phi", "jet.btag"}
    assert {"kind": "dequantise", "fields": ["jet.count"], "levels": 4} in found.steps
    assert f"padded with {padding:g}; objects of a group 'jet'" in told(found, "jet#_pt")
    assert not any("atoms" in step["kind"] for step in found.steps)
    spec, _ = built(found, read)
    columns = [name.format(slot, "btag") for slot in (1, 2, 3)]
    told_of = spec.source.model_dump()["columns"]["jet.btag"]["column"]
    assert (list(told_of["slots"]), told_of["padding"]) == (columns, padding)


def test_columns_that_are_no_objects_stay_apart() -> None:
    alone = in_slots()
    assert set(fields(seen(alone, kinds={"jet1_btag": "values"}))) >= {"jet1.pt", "jet1_btag"}
    flags = {f"pass{k}": (RNG.random(N) < 0.5).astype(float) for k in (1, 2)}
    flags["pass2"] *= flags["pass1"]  # where the first is 0, the second is
    assert set(fields(seen({"x": RNG.normal(size=N), **flags}))) == {"x", "pass1", "pass2"}
    late = {**alone, "jet1_pt": alone["jet3_pt"], "jet3_pt": alone["jet1_pt"]}
    assert "jet.pt" not in fields(seen(late))  # the last slot is filled first
    whole = {f"x{k}": RNG.normal(size=N) for k in (1, 2, 3)}
    assert set(fields(seen(whole))) == set(whole)


def test_padded_numbers_may_be_those_of_objects_too() -> None:
    """Half of the third jets have no mass, as absent ones: their p_T tells that they are there."""
    columns = in_slots() | {f"jet{k}_m": x for k, x in enumerate(massive(), 1)}
    found = seen(columns)
    [count] = [s for s in found.findings if "of 0 to 3 objects" in s.seen]
    assert "1.50 in the mean" in count.seen
    assert {"jet.pt", "jet.mass"} <= set(fields(found))


def massive() -> list[Numbers]:
    """Return the masses of the jets of `in_slots`."""
    rng = np.random.default_rng(5)
    there = np.arange(3) < (np.arange(N) % 4)[:, None]
    masses = np.where(there, rng.gamma(4.0, 2.0, (N, 3)), 0.0)
    masses[: N // 2, 2] = 0.0
    return list(masses.T)


def test_a_part_of_another_padding_stays_apart() -> None:
    columns = in_slots()
    columns["jet2_btag"] = RNG.integers(0, 2, N).astype(float)
    found = fields(seen(columns))
    assert {"jet.pt", "jet.eta", "jet.phi", "jet1_btag", "jet2_btag", "jet3_btag"} == set(found)


def test_events_without_objects_are_no_copies() -> None:
    columns = in_slots()
    assert seen(columns).events == N  # of which a fourth has no jet, and zeros alone
    copied = {name: np.concatenate([x, x[2:3]]) for name, x in columns.items()}
    assert "rows are copies of others" in told(seen(copied), "all columns")


def test_a_table_of_two_numbers_a_name_is_one_family() -> None:
    columns = {}
    for row in (1, 2):
        for name, x in in_slots(f"cell{row}_{{}}{{}}").items():
            columns[name] = x
    found = seen(columns)
    read = [
        key
        for c in found.columns
        for key in (c.column.slots if isinstance(c.column, Slots) else [c.column])
    ]
    assert len(set(read)) == len(read)
    built(found, table(columns))


def test_two_families_of_one_name_are_two_groups() -> None:
    """Parts of three jets and one of two: none is lost."""
    areas = {name.replace("pt", "area"): x for name, x in in_slots().items() if "pt" in name}
    del areas["jet3_area"]
    found = fields(seen(in_slots() | areas))
    assert {"jet.pt", "jet.eta", "jet.phi", "jet.btag", "jet_2.area"} == set(found)


def test_numbers_of_two_places_are_claimed_once() -> None:
    columns = in_slots("jet_{}_{}")
    for jet in (1, 2, 3):
        for tau in (1, 2, 3):
            pt = columns[f"jet_{jet}_pt"]
            columns[f"jet_{jet}_tau_{tau}"] = np.where(pt > 0, RNG.random(N), 0.0)
    assert {"jet.tau_1", "jet.tau_2", "jet.tau_3"} <= set(fields(seen(columns)))


def test_places_that_mean_something_stay_apart() -> None:
    """A shower's layers: zeros at the end, and the largest in the middle."""
    last = RNG.integers(1, 5, N)
    layers = {f"e_layer{k}": np.where(k < last, (1 + k) * RNG.random(N), 0.0) for k in range(5)}
    assert set(fields(seen({"x": RNG.normal(size=N), **layers}))) >= {"e_layer0", "e_layer3"}


def test_what_tells_objects_is_not_left_out_alone() -> None:
    with pytest.raises(ConfigError, match="--leave-out jet#_pt: without it nothing tells which"):
        seen(
            {k: x for k, x in in_slots().items() if "pt" in k or "btag" in k},
            leave_out=("jet#_pt",),
        )


def test_a_copy_of_one_slot_is_left_out() -> None:
    columns = in_slots()
    found = seen(columns | {"leading": columns["jet1_pt"]})
    assert "the same as jet1_pt" in told(found, "leading")


def test_parts_of_objects_are_chosen_by_their_name() -> None:
    assert "jet.btag" not in fields(seen(in_slots(), leave_out=("jet#_btag",)))
    steps = seen(in_slots(), kinds={"jet#_btag": "count"}).steps
    assert any("jet.btag" in step.get("fields", ()) for step in steps)
    with pytest.raises(ConfigError, match="no column 'jet#_mass'.* there are .*jet#_btag"):
        seen(in_slots(), leave_out=("jet#_mass",))


def test_choices_are_checked() -> None:
    columns = {"x": RNG.normal(size=N), "y": RNG.normal(size=N)}
    with pytest.raises(ConfigError, match="no column 'z'; there are x, y"):
        seen(columns, given=("z",))
    with pytest.raises(ConfigError, match="column 'y': say one thing of it"):
        seen(columns, given=("y",), leave_out=("y",))
    with pytest.raises(ConfigError, match="--as x=float: say one of number, values"):
        seen(columns, kinds={"x": "float"})
    with pytest.raises(DataError, match="nothing|no column is left"):
        seen(columns, leave_out=("x", "y"))
    with pytest.raises(DataError, match="10 events are too few"):
        seen({"x": np.arange(10)})


def built(found: Look, read: Table) -> tuple[DatasetSpec, RunConfig]:
    """Return what the files that are written of a table say; the recipe must fit the entry."""
    written = entry("mine", found, read, ["/data/a.parquet"])
    spec = parse(DatasetSpec, parse_toml(written.encode(), "entry"), "entry")
    text = recipe("mine", "mine", found, steps=100, seconds=60.0)
    run = parse(RunConfig, parse_toml(text.encode(), "recipe")["run"], "recipe")
    run.build_model(run.features.build(spec.schema_, spec.conditions))
    return spec, run


def test_entry_and_recipe_are_complete_and_fit() -> None:
    columns = {
        **resonance(),
        "q": np.where(RNG.random(N) < 0.4, -1.0, 1.0),
        "iso": np.where(RNG.random(N) < 0.6, 0.0, RNG.exponential(size=N)),
        "n": RNG.poisson(9.0, N),
        "adc": np.round(10_000 * RNG.normal(size=N)),
        "turn deg phi": 360 * RNG.random(N) - 180,
        "run": 3e8 + np.arange(N) // 100,
        "five": np.full(N, 5.0),
        "w": np.where(RNG.random(N) < 0.2, -1.0, 1.0),
        **jets(),
    }
    columns["turn deg phi"][:2] = -180, 180
    read = table(columns)
    found = look(read, Choices())
    spec, run = built(found, read)
    assert spec.conditions == {"five": 5.0}
    assert spec.schema_.weight == "w"
    assert spec.schema_.labels == ("run",)
    assert spec.source.model_dump()["columns"]["turn_deg_phi"] == {
        "column": "turn deg phi",
        "unit": "deg",
    }
    assert spec.constraints["iso_least"].expression == "iso >= 0"
    assert set(run.selection.observables) >= {"q", "iso", "n", "Jet.count", "particle1.pt"}


def test_batches_and_epochs_follow_the_events() -> None:
    assert splits(10**6) == {"train": 0.7, "validation": 0.1, "test": 0.2}
    for events in (1250, 1900, 2421, 2500):  # small tables, of whose test events classifiers judge
        shares = splits(events)
        assert MINIMUM_EVENTS <= shares["test"] * events < MINIMUM_EVENTS + events / 20 + 1
        assert sum(shares.values()) == pytest.approx(1)
    assert splits(300)["test"] == 0.4  # at most
    assert batch_size(2000) == 128  # at least
    assert batch_size(20_000) == 256  # 350 for forty batches of 14,000 events
    assert batch_size(10**6) == 1024  # at most
    assert most_steps(20_000) == 5468  # 100 times 14,000 events by 256


def test_files_of_one_kind_are_one_table() -> None:
    first, second = table({"x": [1.0], "y": [2.0]}), table({"x": [3.0], "y": [4.0]})
    both = joined([first, second], ["a", "b"])
    assert both.columns["x"].tolist() == [1.0, 3.0]  # type: ignore[union-attr]
    with pytest.raises(DataError, match="b: has other columns than a: y, z"):
        joined([first, table({"x": [3.0], "z": [4.0]})], ["a", "b"])


def test_text_tables_tell_their_form(tmp_path: Path) -> None:
    texts = {
        "a.csv": ("x,y\n1,2\n3,4\n", ["x", "y"]),
        "b.csv": ("x;y\n1;2\n3;4\n", ["x", "y"]),
        "c.txt": ("# some events, made by hand\n 1.5 2 ( 3)\n 4 5 ( 6)\n", ["0", "1", "2"]),
        "n.txt": ("# made by hand\n# px py\n1 2\n3 4\n", ["px", "py"]),
        "d.csv": ("x,name\n1,muon\n3,pion\n", ["x"]),
    }
    for file, (text, names) in texts.items():
        (tmp_path / file).write_text(text)
        read = read_all(str(tmp_path / file))
        assert list(read.columns) == names, file
        assert len(read.columns[names[0]]) == 2
    assert list(read_all(str(tmp_path / "d.csv")).faults) == ["name"]


def test_real_tables(reference_data: Path) -> None:
    read = read_all(str(reference_data / "cms-open-data" / "Zmumu_Run2011A.csv"))
    found = look(read, Choices())
    assert {n for n, role in fields(found).items() if role == "label"} == {"Run", "Event"}
    assert kinds(found.steps)[0] == "pair"
    built(found, read)
    twice = read_all(str(reference_data / "cms-open-data" / "Zmumu_Run2011A_masses.csv"))
    found = look(twice, Choices())
    assert "follow from px1, py1, pz1, E1" in told(found, "pt1", "eta1", "phi1")
    assert "the invariant mass of particle1 and particle2" in told(found, "M")
    built(found, twice)
    tape = read_all(str(reference_data / "fat-gan" / "tape2.txt"))
    found = look(tape, Choices())
    assert found.steps[0] == {"kind": "spherical", "group": "particle"}
    built(found, tape)
    pytest.importorskip("uproot", reason="ROOT needs the extra 'hep'")
    read = read_all(str(reference_data / "root" / "uproot-Zmumu.root"))
    found = look(read, Choices())
    assert found.events == 500  # of 2,304 rows
    assert found.unique == ("Run", "Event")


def test_packed_text_lines_of_json_and_arrow_are_tables_too(tmp_path: Path) -> None:
    """Two columns of three numbers, whatever the file is written in."""
    columns = {"a": [1.0, 2, 3], "b": [4.5, 5, 6]}
    rows = list(zip(*columns.values(), strict=True))
    text = "a,b\n" + "".join(f"{a},{b}\n" for a, b in rows)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    lines = "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
    (tmp_path / "t.jsonl").write_text(lines)
    pyarrow.feather.write_feather(pa.table(columns), tmp_path / "t.feather")
    pq.write_table(pa.table(columns), tmp_path / "t.pq")
    for name in ("t.csv.gz", "t.jsonl", "t.feather", "t.pq"):
        found = read_all(str(tmp_path / name))
        assert {
            key: np.asarray(values).tolist() for key, values in found.columns.items()
        } == columns
    (tmp_path / "t.pkl").write_bytes(b"content")
    with pytest.raises(DataError, match="t.pkl: would run whatever program it holds"):
        read_all(str(tmp_path / "t.pkl"))
