"""Catalog entries: every shipped one loads, entries extend others, splits are by whole shard."""

import collections
import io

import pytest
from rich.console import Console

from mleg_ray.catalog.listing import describe, entries_table, list_entries
from mleg_ray.catalog.spec import DatasetSpec, Splits
from mleg_ray.errors import ConfigError


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    """A user's own data_catalog in the working directory."""
    (tmp_path / "data_catalog").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data_catalog"


def test_the_shipped_entries():
    events = {entry.name: entry.events for entry in list_entries()}
    assert events["dis-ep-10"] == events["dis-ep-50"] == "100,000"
    assert events["dis-ep-energies"] == "2,500,000"
    assert events["dis-ep-50-tape2"] == "in files"
    console = Console(width=160, file=io.StringIO())
    console.print(entries_table())
    assert all(name in console.file.getvalue() for name in events)


def test_a_broken_entry_hides_no_other(catalog):
    (catalog / "broken.toml").write_text("name = 3")
    entries = {entry.name: entry for entry in list_entries()}
    assert "dis-ep-50" in entries
    assert entries["broken"].description.startswith(f"error: {catalog / 'broken.toml'}: ")


@pytest.mark.parametrize("entry", list_entries(), ids=lambda entry: entry.name)
def test_every_entry_can_be_shown(entry):
    spec = DatasetSpec.load(entry.name)
    console = Console(width=160, file=io.StringIO())
    console.print(describe(spec))
    text = console.file.getvalue()
    assert spec.citation[:60] in text
    assert all(field.name in text for field in spec.fields)


def shown(spec):
    """Lines of what is shown of a specification, blanks as one."""
    console = Console(width=160, file=io.StringIO())
    console.print(describe(spec))
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_groups_shapes_and_storage_are_shown():
    jets = shown(DatasetSpec.load("toy-jets"))
    assert "jet.flavour 1 event int8 1: heavy, 0: light" in jets
    assert "jet up to 8, by pt" in jets
    assert "met one" in jets
    assert "group in each event" in jets  # and no column in which nothing stands
    electrons = shown(DatasetSpec.load("folding-electrons-flat"))
    assert "electron one PDG 11, 0 GeV" in electrons
    assert "vertex one electron" in electrons
    layers = DatasetSpec.load("toy-layers")
    [image] = [line for line in shown(layers) if line.startswith("image ")]
    assert image.startswith("image GeV event float32, 2 x 12 x 12, sparse")


def test_extends_takes_what_the_file_does_not_say():
    base, entry = DatasetSpec.load("dis-ep-50"), DatasetSpec.load("dis-ep-20")
    assert entry.conditions == {"beam_energy": 20.0}
    assert entry.source == base.source
    assert entry.digest() != base.digest()


def test_extends_replaces_tables_whole(catalog):
    (catalog / "mine.toml").write_text('extends = "dis-ep-50"\nname = "mine"\n[constraints]\n')
    assert DatasetSpec.load("mine").constraints == {}


def test_extends_inherits_the_source_key_by_key(catalog):
    (catalog / "mine.toml").write_text(
        'extends = "stop-grid"\nname = "mine"\n[source]\nseed = 3\n[source.objects]\njet.pt = 30\n'
    )
    base, mine = DatasetSpec.load("stop-grid").source, DatasetSpec.load("mine").source
    assert (mine.seed, mine.objects["jet"].pt, mine.objects["jet"].eta) == (3, 30, 2.8)
    assert mine.processes == base.processes
    assert [*DatasetSpec.load("stop-300-100").source.processes] == ["stop"]  # `extends = false`


def test_assignments_come_after_extends(catalog):
    (catalog / "mine.toml").write_text('extends = "dis-ep-50"\nname = "mine"\n')
    assert DatasetSpec.load("mine", ("source.events=7",)).source.planned_events() == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "other"', "extends itself: mine -> other"),
        ('extends = "dis-ep-51"', "no dis-ep-51.toml.*did you mean"),
        ("extends = 3", "name one other file"),
        ('extends = "dis-ep-50"\nsource = 3', "mine.toml: source: a table is needed"),
        ('extends = "dis-ep-50"\nnames = 1', "unknown key 'names'.*did you mean 'name'"),
        ('extends = "dis-ep-50"\nname = "../up"', "name"),
        ("x = ", "not valid TOML"),
        ('extends = "dis-ep-50"\n[source]\nkind = "pythia"', "unknown source kind 'pythia'"),
        (
            'extends = "dis-ep-50"\n[constraints]\na = { expression = "q3 > 0" }',
            "'q3' is neither a finite number nor",
        ),
    ],
)
def test_bad_entries(catalog, text, message):
    (catalog / "mine.toml").write_text(text)
    (catalog / "other.toml").write_text('extends = "mine"')
    with pytest.raises(ConfigError, match=message):
        DatasetSpec.load("mine")


@pytest.mark.parametrize(
    ("entry", "assignment", "message"),
    [
        ("toy-jets", "groups.jet.most=0", "groups.jet.most: .*greater than 0"),
        ("toy-jets", "groups.jet.ordered_by=''", "groups.jet: ordered_by: a group of up to `most`"),
        ("toy-jets", "groups.jet.ordered_by=mass", "groups.jet.ordered_by: .*those are pt, eta"),
        ("toy-jets", "groups.photon={}", "groups.photon: no field 'photon.…' .*leave it out"),
        ("toy-jets", "fields.0.name=muon.pt", r"fields: 'muon.pt' .*add \[groups.muon\]"),
        ("toy-jets", "fields.0.name=jet.count", "fields.0: name: 'jet.count' .*choose another"),
        ("toy-jets", "fields.0.dtype=int64", "fields.0.dtype: Input should be 'float32', "),
        ("toy-jets", "fields.0.storage=sparse", "fields.0: storage: only an image"),
        ("toy-images", "fields.1.shape=[2, 2]", "fields.1: shape: an image has role 'event'"),
        ("toy-images", "fields.0.shape=[16, 0]", "fields.0.shape.1: .*greater than 0"),
    ],
)
def test_bad_groups_and_images_name_file_and_key(entry, assignment, message):
    with pytest.raises(ConfigError, match=f"{entry}.toml: {message}"):
        DatasetSpec.load(entry, (assignment,))


def test_an_observable_that_is_written_out_is_the_same():
    """So that a dataset is the same whether its entry repeats what functions say or not."""
    spelled = (
        "observables.q2={expression='dis.q2(electron, beam_energy)', unit='GeV2', label='Q^2', "
        "log=true}"
    )
    base = DatasetSpec.load("dis-ep-50")
    assert DatasetSpec.load("dis-ep-50", (spelled,)).digest() == base.digest()
    assert base.observables["q2"].model_dump() == {
        "expression": "dis.q2(electron, beam_energy)",
        "unit": "GeV2",
        "label": "Q^2",
        "log": True,
    }
    other = DatasetSpec.load("dis-ep-50", ("observables.pt.log=false",))
    assert other.observables["pt"].label == "p_T"
    assert other.digest() != base.digest()


@pytest.mark.parametrize(
    ("entry", "assignment", "message"),
    [
        (
            "toy-jets",
            "observables.delta_phi.unit=deg",
            r"delta_phi.unit: 'objects.azimuth_from\(.*\)' is in rad; leave .* out \(got 'deg'\)",
        ),
        (
            "dis-ep-50",
            "observables.q2.unit='1'",
            r"q2.unit: 'dis.q2\(electron, beam_energy\)' is in GeV2; leave .* out \(got '1'\)",
        ),
        (
            "dis-ep-50-tape2",
            "fields.1.unit=MeV",
            "pt: in GeV of fields in GeV and radians, and 'electron.py' is in MeV; declare",
        ),
        (
            "electrons-clas",
            "observables.pt.expression='dis.q4(electron, beam_energy)'",
            r"no such function \(did you mean 'dis.q2'\?\)",
        ),
    ],
)
def test_units_of_observables_are_those_of_their_functions(entry, assignment, message):
    with pytest.raises(ConfigError, match=f"{entry}.toml: .*{message}"):
        DatasetSpec.load(entry, (assignment,))


def test_angles_are_those_of_momenta_in_any_unit():
    alone = ("observables={}", "constraints={}", "planes=[]", "fields.1.unit=MeV")
    angle = "observables.phi.expression='kinematics.azimuth(electron)'"
    spec = DatasetSpec.load("dis-ep-50-tape2", (*alone, angle))
    assert spec.observables["phi"].unit == "rad"


def test_every_head_of_the_shards_is_split_as_asked():
    splits = Splits(train=0.45, validation=0.05, test=0.5)
    assert collections.Counter(splits.assign(20)) == {"train": 9, "validation": 1, "test": 10}
    assert set(Splits(train=0.6, validation=0.1, test=0.3).assign(5)) == {
        "train",
        "validation",
        "test",
    }


def test_splits_sum_to_one():
    with pytest.raises(ValueError, match="must sum to 1"):
        Splits(train=0.5, validation=0.1, test=0.3)
