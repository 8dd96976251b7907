import numpy as np
import pytest

from mleg_ray.definitions import Constraint, Definitions
from mleg_ray.errors import DataError
from mleg_ray.evaluation.samples.datasets import compared_axes, from_dataset, judged_by
from mleg_ray.evaluation.samples.sample import Axis, comparable, from_arrays
from mleg_ray.events import Field
from tests.dis_events import ELECTRON, FIELDS

POSITIVE = Definitions(constraints={"c": Constraint(expression="a > 0")})


def test_a_dataset_brings_its_fields_and_labelled_observables(make_dataset):
    sample = from_dataset(make_dataset("truth"), "test", seed=1)
    assert list(sample.axes) == [*ELECTRON, "pt", "q2", "x_bj"]
    assert sample.axes["q2"] == Axis(unit="GeV2", label="Q^2", log=True, derived=True)
    assert len(sample) == sample.origin.events == 2000
    numbers = sample.numbers
    assert np.allclose(numbers["pt"], np.hypot(numbers["electron.px"], numbers["electron.py"]))


def test_observables_of_one_label_are_told_by_their_names():
    """Both muons' p_T, by the function's own label, would be one symbol for two pictures."""
    expressions = {
        "mu1_pt": {"expression": "kinematics.transverse_momentum(mu1.px, mu1.py)"},
        "mu2_pt": {"expression": "kinematics.transverse_momentum(mu2.px, mu2.py)"},
        "met": {"expression": "kinematics.transverse_momentum(met.px, met.py)", "label": "E_T"},
    }
    momenta = {
        f"{name}.{part}": [3.0, 4.0] for name in ("mu1", "mu2", "met") for part in ("px", "py")
    }
    axes = from_arrays(momenta, definitions={"observables": expressions}).axes
    assert [axes[name].label for name in expressions] == ["", "", "E_T"]
    assert all(axes[name].derived for name in expressions)


def test_conditions_that_vary_are_compared_too(make_dataset):
    dataset = make_dataset("fixed")
    assert "beam_energy" in compared_axes(dataset.manifest, {})
    assert "beam_energy" not in compared_axes(dataset.manifest, {"beam_energy": 50.0})


def test_a_draw_is_random_seeded_and_counts_all_events(make_dataset):
    dataset = make_dataset("sample", sampled=True)
    heard: list[int] = []
    draw = from_dataset(dataset, seed=1, max_events=100, progress=heard.append)
    again = from_dataset(dataset, seed=1, max_events=100)
    other = from_dataset(dataset, seed=2, max_events=100)
    assert heard == [1000, 2000, 3000, 4000]
    assert (len(draw), draw.origin.compared, draw.origin.events) == (100, 100, 4000)
    assert draw.unphysical.total.events == 4000
    px, same, others = (sample.numbers["electron.px"] for sample in (draw, again, other))
    assert np.array_equal(px, same)
    assert not np.array_equal(px, others)
    everything = from_dataset(dataset, seed=1).numbers["electron.px"]
    assert np.isin(px, everything).all()


def test_a_sample_is_judged_by_the_truths_rules(make_dataset):
    truth, generated = make_dataset("truth"), make_dataset("sample", sampled=True)
    rules = {"cut": Constraint(expression="pt >= 2")}
    truth.manifest = truth.manifest.model_copy(update={"constraints": rules})
    tally = from_dataset(judged_by(truth, generated), seed=0).unphysical
    assert 0 < tally.violating["cut"].events < 4000


def changed(field: str, **update: object) -> tuple[Field, ...]:
    return tuple(f.model_copy(update=update) if f.name == field else f for f in FIELDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"fields": changed("electron.pz", unit="MeV")},
            r"field 'electron.pz' is event field in MeV.*field in GeV",
        ),
        (
            {"fields": changed("electron.energy", name="electron.e")},
            r"field 'electron.energy' is absent",
        ),
        (
            {"fields": (*FIELDS, Field(name="beam", role="condition"))},
            r"'beam' .*absent in the truth",
        ),
        ({"conditions": {"beam_energy": 40.0}}, r"condition 'beam_energy' is 40.0, but 50.0"),
        ({"conditions": {}}, r"condition 'beam_energy' is not fixed, but 50.0"),
    ],
)
def test_samples_of_something_else_are_refused(make_dataset, change, message):
    truth, generated = make_dataset("truth"), make_dataset("sample", sampled=True)
    generated.manifest = generated.manifest.model_copy(update=change)
    with pytest.raises(DataError, match=message):
        judged_by(truth, generated)


def test_precision_and_weights_may_differ(make_dataset):
    truth, generated = make_dataset("truth"), make_dataset("sample", sampled=True)
    fields = (*changed("electron.px", dtype="float64"), Field(name="w", role="weight"))
    generated.manifest = generated.manifest.model_copy(update={"fields": fields})
    judged_by(truth, generated)


class TestColumns:
    def test_columns_may_be_lists_or_a_data_frames_columns(self):
        sample = from_arrays({"a": [3, 1, 2], "b": np.float32([1, 2, 3])})
        assert sample.numbers["a"].tolist() == [1, 2, 3]
        assert sample.numbers["b"].tolist() == [2, 3, 1]
        assert sample.origin.compared == 3

    @pytest.mark.parametrize(
        ("columns", "weights", "message"),
        [
            ({"a": [1, 2], "b": [1]}, None, r"column 'b' has shape \(1,\), not \(2,\)"),
            ({"a": [1, 2]}, [1], r"'weights' has shape"),
            ({"a": [1, 2]}, [1, np.inf], r"weight not finite, first in row 1"),
            ({"b": [1, 2]}, None, r"no column 'a'; there are b"),
        ],
    )
    def test_bad_columns_are_named(self, columns, weights, message):
        with pytest.raises(DataError, match=message):
            from_arrays(columns, weights, axes={"a": Axis()})

    @pytest.mark.parametrize(
        ("other", "message"),
        [
            (from_arrays({"b": [1.0]}), "'a' is a column of arrays only"),
            (from_arrays({"a": [1.0]}, axes={"a": Axis(unit="GeV")}), "'a' is in 1 in the truth"),
            (
                from_arrays({"a": [1.0]}, definitions=POSITIVE),
                "constraint 'c' was counted in one",
            ),
        ],
    )
    def test_what_differs_is_named(self, other, message):
        with pytest.raises(DataError, match=message):
            comparable(from_arrays({"a": [1.0]}), other)
