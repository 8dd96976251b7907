"""The contract of every registered source."""

import numpy as np
import pytest

from mleg_ray.catalog.codec import checked, rows_of
from mleg_ray.catalog.sources import SOURCES
from mleg_ray.catalog.sources.base import cut, divide
from mleg_ray.catalog.spec import DatasetSpec
from tests.catalog.specs import (
    calochallenge_spec,
    pp_spec,
    pythia_spec,
    record_spec,
    shaped_spec,
    table_spec,
    tpc_spec,
    write_calochallenge,
    write_tape,
    write_tpc,
)


class SourceContract:
    """Same index, same events, in any order; rows as promised; what the schema says, finite.

    A source that `converts` makes numbers in the schema's units, others in those of their own.
    """

    kind: str
    converts = False

    @pytest.fixture
    def spec(self, tmp_path):
        raise NotImplementedError

    @pytest.fixture
    def source(self, spec):
        return self.open(spec)

    @staticmethod
    def open(spec: DatasetSpec):
        return spec.source.open(spec.schema_, spec.conditions, spec.shard_events)

    def test_kind_is_registered(self, spec):
        assert isinstance(spec.source, SOURCES[self.kind])

    def test_rows_are_as_promised_and_cover_all_events(self, spec, source):
        rows = [n for stratum in source.shard_rows() for n in stratum]
        assert max(rows) <= spec.shard_events
        for index in (0, len(rows) - 1):
            columns = source.shard(index)
            stored, dropped = checked(columns, spec.stored, self.kind)
            assert rows_of(stored, spec.stored) == rows[index]
            assert not any(dropped.values())

    def test_same_index_gives_same_events_in_any_order_and_process(self, spec, source):
        last = sum(map(len, source.shard_rows())) - 1
        first = {index: source.shard(index) for index in (0, 1, last)}
        again = self.open(spec)
        again.shard_rows()
        for index in (last, 0, 1):
            for name, values in again.shard(index).items():
                np.testing.assert_array_equal(values, first[index][name])

    def test_shards_differ(self, spec, source):
        name = next(f.name for f in spec.fields if f.role == "event" and "float" in f.dtype)
        totals = [source.shard(k)[name] for k in (0, 1)]
        totals = [values.reshape(len(values), -1).sum(axis=1) for values in totals]
        assert not np.intersect1d(*totals).size

    def test_provenance_is_the_same_for_the_same_events(self, spec, source):
        assert source.provenance() == self.open(spec).provenance()

    def test_units_are_the_schemas_or_others_are_refused(self, spec, source):
        values = spec.model_dump(mode="json") | {"source": spec.source}
        # Observables, and what is said of them, are in GeV.
        values |= {"observables": {}, "constraints": {}, "selection": {}, "planes": ()}
        for field in values["fields"]:
            field["unit"] = field["unit"].replace("GeV", "MeV")
        values["conditions"] = {name: 1e3 * value for name, value in spec.conditions.items()}
        source.shard_rows()
        if not self.converts and "GeV" in (field.unit for field in spec.fields):
            with pytest.raises(ValueError, match="GeV.*dataset.*MeV"):
                DatasetSpec.model_validate(values)
            return
        in_mev = self.open(DatasetSpec.model_validate(values))
        in_mev.shard_rows()
        made, made_in_mev = source.shard(1), in_mev.shard(1)
        for field in spec.fields:
            if field.role == "event":
                factor = 1e3 if field.unit == "GeV" else 1
                np.testing.assert_allclose(made_in_mev[field.name], factor * made[field.name])


class TestPythia(SourceContract):
    kind = "pythia-dis"
    converts = True

    @pytest.fixture
    def spec(self, tmp_path):
        pytest.importorskip("pythia8mc")
        return pythia_spec()


class TestPythiaAtSeveralEnergies(SourceContract):
    kind = "pythia-dis"
    converts = True

    @pytest.fixture
    def spec(self, tmp_path):
        pytest.importorskip("pythia8mc")
        settings = ("source.events=300", "shard_events=30", "source.beam_energies=[10.0,50.0]")
        return DatasetSpec.load("dis-ep-energies", settings)


class TestPythiaPP(SourceContract):
    kind = "pythia-pp"
    converts = True

    @pytest.fixture
    def spec(self, tmp_path):
        pytest.importorskip("pythia8mc")
        pytest.importorskip("fastjet")
        return pp_spec(tmp_path)


class TestImport(SourceContract):
    kind = "import"
    converts = True

    @pytest.fixture
    def spec(self, tmp_path):
        write_tape(tmp_path)
        return table_spec(tmp_path)


class TestRecords(SourceContract):
    kind = "records"
    converts = True

    @pytest.fixture
    def spec(self, tmp_path):
        return record_spec(tmp_path)


class TestFolded(SourceContract):
    kind = "folded"

    @pytest.fixture
    def spec(self, tmp_path):
        return DatasetSpec.load(
            "folding-electrons-flat", ("source.of.events=600", "shard_events=60")
        )


class TestFlat(SourceContract):
    kind = "flat-dis"

    @pytest.fixture
    def spec(self, tmp_path):
        source = "{ kind = 'flat-dis', events = 600, q2_min = 2.0, q2_max = 9000.0, seed = 1 }"
        return DatasetSpec.load("dis-ep-50", (f"source={source}", "shard_events=60"))


class TestPhotoproduction(SourceContract):
    kind = "gamma-p-to-p-pi-pi"

    @pytest.fixture
    def spec(self, tmp_path):
        return DatasetSpec.load("gamma-p-to-p-pi-pi", ("source.events=600", "shard_events=60"))


class TestFixedTarget(SourceContract):
    kind = "fixed-target-electrons"

    @pytest.fixture
    def spec(self, tmp_path):
        source = "{ kind = 'fixed-target-electrons', events = 600, q2_min = 0.5, seed = 1 }"
        return DatasetSpec.load("electrons-clas", (f"source={source}", "shard_events=60"))


class TestToy(SourceContract):
    kind = "toy"

    @pytest.fixture
    def spec(self, tmp_path):
        entry = tmp_path / "toy.toml"
        entry.write_text(
            'extends = "folding-toy-normal"\nname = "toy"\nfields = [{ name = "particle.x" }]\n'
            "groups = { particle = {} }\nshard_events = 60\n[observables]\n[source]\n"
            'kind = "toy"\ndistribution = "uniform"\nevents = 600\nseed = 1\n'
        )
        return DatasetSpec.load(str(entry))


class TestToyJets(SourceContract):
    kind = "toy-jets"

    @pytest.fixture
    def spec(self, tmp_path):
        return DatasetSpec.load("toy-jets", ("source.events=600", "shard_events=60"))


class TestToyImages(SourceContract):
    kind = "toy-images"

    @pytest.fixture(params=["toy-images", "toy-layers"])
    def spec(self, request):
        return DatasetSpec.load(request.param, ("source.events=600", "shard_events=60"))


class TestDensity(SourceContract):
    kind = "density"

    @pytest.fixture(params=["toy-beta", "toy-conditional-gaussian", "toy-swiss-roll"])
    def spec(self, request):
        return DatasetSpec.load(request.param, ("source.events=600", "shard_events=60"))


class TestSPlot(SourceContract):
    kind = "splot"

    @pytest.fixture(params=["toy-splot", "rich-kaons"])
    def spec(self, request):
        return DatasetSpec.load(request.param, ("source.events=600", "shard_events=60"))


class TestElectronGun(SourceContract):
    kind = "electron-gun"

    @pytest.fixture
    def spec(self, tmp_path):
        entry = tmp_path / "gun.toml"
        entry.write_text(
            'extends = "electron-pt-smearing"\nname = "gun"\nshard_events = 60\nplanes = []\n'
            'fields = [{ name = "electron.pt", unit = "GeV" }, { name = "electron.eta", '
            'role = "condition" }, { name = "electron.phi", unit = "rad", role = "condition" }]\n'
            "groups = { electron = {} }\n[observables]\n[source]\nkind = 'electron-gun'\n"
            "energies = [0.01, 100.0]\neta_max = 2.5\nevents = 600\nseed = 1\n"
        )
        return DatasetSpec.load(str(entry))


class TestShowers(SourceContract):
    kind = "showers"

    @pytest.fixture(params=["showers-100-800-1000", "showers-oblique"])
    def spec(self, request):
        return DatasetSpec.load(request.param, ("source.events=60", "shard_events=10"))


class TestObjectsAndImages(SourceContract):
    kind = "import"
    converts = True

    @pytest.fixture
    def spec(self, tmp_path):
        return shaped_spec(tmp_path)


class TestCaloChallenge(SourceContract):
    kind = "calochallenge"
    converts = True

    @pytest.fixture
    def spec(self, tmp_path):
        write_calochallenge(tmp_path, events=40)
        return calochallenge_spec(tmp_path)


class TestTpc(SourceContract):
    kind = "tpc"

    @pytest.fixture
    def spec(self, tmp_path):
        write_tpc(tmp_path, events=40)
        return tpc_spec(tmp_path)


def test_every_registered_source_has_a_contract_test():
    assert {cls.kind for cls in SourceContract.__subclasses__()} == set(SOURCES)


def test_cut_makes_the_fewest_shards_as_equal_as_can_be():
    assert cut(95_765, 5000) == [4789] * 5 + [4788] * 15
    assert cut(3, 5) == [3]
    assert divide(10, 4) == [3, 3, 2, 2]
