"""Profiles and resolutions of samples with known ones."""

import numpy as np
import pytest

from mleg_ray.definitions import Definitions, Observable
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.metrics.base import Comparison
from mleg_ray.evaluation.metrics.profiles import linearity, resolution_terms
from mleg_ray.evaluation.samples.sample import Axis, EventSample, from_arrays
from mleg_ray.evaluation.statistics.estimate import NotComputable
from mleg_ray.evaluation.statistics.profiles import Profile

ENERGY = np.array([50.0, 100, 200, 400, 800])


def exact(mean: np.ndarray, width: np.ndarray) -> Profile:
    n = np.full(len(mean), 1000.0)
    return Profile(mean, width / np.sqrt(n), width, width / np.sqrt(2 * n), n)


def test_terms_of_an_exact_resolution():
    """Squares add up: a²/E + b²/E² + c²."""
    relative = np.sqrt(4 / ENERGY + 9 / ENERGY**2 + 0.01)
    found = resolution_terms(ENERGY, exact(np.full(5, 0.8), 0.8 * relative))
    assert found == pytest.approx([2, 3, 0.1])
    assert resolution_terms(ENERGY, exact(np.ones(5), 2 / np.sqrt(ENERGY))) == pytest.approx(
        [2, 0, 0], abs=1e-5
    )


def test_linearity_of_a_power():
    assert linearity(ENERGY, exact(0.3 * ENERGY**-0.25, np.ones(5))) == pytest.approx(0.75)
    assert linearity(ENERGY, exact(np.full(5, 0.3), np.ones(5))) == pytest.approx(1)


def test_precise_energies_count_more():
    mean = np.where(ENERGY == 800, 2.0, 1.0)
    width = np.where(ENERGY == 800, 1e6, 1.0)
    assert linearity(ENERGY, exact(mean, width)) == pytest.approx(1, abs=1e-6)
    relative = np.where(ENERGY == 800, 5.0, 2 / np.sqrt(ENERGY))
    loose = exact(np.ones(5), relative)
    loose.width_error[-1] = 1e9
    assert resolution_terms(ENERGY, loose) == pytest.approx([2, 0, 0], abs=1e-4)


DEFINITIONS = Definitions(
    observables={"response": Observable(expression="detector.response(total, energy)")}
)
AXES = {
    "energy": Axis(unit="MeV", condition=True),
    "total": Axis(unit="MeV"),
    "response": Axis(derived=True),
}


def calorimeter(
    n: int, seed: int, a: float = 2.0, c: float = 0.05, power: float = 1
) -> EventSample:
    """<E_tot> = 0.8 E^power and σ/E = a/√E ⊕ c, at energies of 50 to 1,000."""
    rng = np.random.default_rng(seed)
    energy = np.exp(rng.uniform(np.log(50), np.log(1000), n))
    relative = np.hypot(a / np.sqrt(energy), c)
    total = 0.8 * energy**power * (1 + relative * rng.normal(size=n))
    return from_arrays({"energy": energy, "total": total}, axes=AXES, definitions=DEFINITIONS)


def figures(name: str, truth: EventSample, generated: EventSample) -> dict:
    return METRICS[name].figures(Comparison(truth, generated), np.random.default_rng(0))


def test_resolutions_are_compared_with_the_truths():
    truth = calorimeter(40_000, 1)
    same = figures("resolution", truth, calorimeter(20_000, 2))
    assert [(f.direction, f.verdict) for f in same.values()] == 4 * [("equal", "at the floor")]
    assert same["response, linearity"].floor == pytest.approx(1, abs=0.01)
    assert same["response, stochastic term"].floor == pytest.approx(2, abs=0.2)
    assert figures("resolution", truth, calorimeter(20_000, 2, power=0.95))[
        "response, linearity"
    ].value == pytest.approx(0.95, abs=0.01)
    worse = figures("resolution", truth, calorimeter(20_000, 2, c=0.3))
    assert worse["response, constant term"].value == pytest.approx(0.3, abs=0.03)
    assert worse["response, constant term"].verdict == "large"


def test_profiles_find_what_depends_on_a_condition():
    truth = calorimeter(40_000, 1)
    same = figures("profile_chi2", truth, calorimeter(20_000, 2))
    assert list(same) == ["total, energy", "response, energy"]
    for figure in same.values():
        assert figure.verdict == "at the floor"
        assert figure.floor == pytest.approx(1, abs=0.4)
    other = figures("profile_chi2", truth, calorimeter(20_000, 2, power=0.97))["response, energy"]
    assert other.verdict == "large"
    assert other.value * 20 == pytest.approx(other.uncertainty**2 * 100 + 10, rel=0.03)
    mean = other.curves["mean, truth"]
    assert len(mean.x) == len(mean.y) == len(mean.error) == 10
    assert mean.y == pytest.approx(np.full(10, 0.8), abs=0.02)
    assert mean.x[0] == pytest.approx(58, abs=2)  # of 50 to 67.5, log-uniform


def test_without_conditions_or_responses_there_is_nothing():
    plain = from_arrays({"x": np.random.default_rng(0).normal(size=500)})
    assert figures("profile_chi2", plain, plain) == {}
    assert figures("resolution", plain, plain) == {}


def test_one_energy_has_no_resolution():
    sample = calorimeter(1000, 1)
    columns = {"energy": np.tile([100.0, 800.0], 500), "total": sample.columns["total"].values}
    two = from_arrays(columns, axes=AXES, definitions=DEFINITIONS)
    found = figures("resolution", two, two)
    assert all(isinstance(figure, NotComputable) for figure in found.values())
    assert "three energies are needed" in found["response, linearity"].reason
