"""Toys, electrons spread evenly, and events folded with declared detectors."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError
from mleg_ray.events import four_momentum
from mleg_ray.physics import dis
from mleg_ray.physics.detector import momentum_resolution

SMALL = ("source.of.events=600", "shard_events=60", "name=small")


def columns(spec: DatasetSpec) -> dict[str, np.ndarray]:
    """Return the events of the first shard."""
    return dict(spec.source.open(spec.schema_, spec.conditions, spec.shard_events).shard(0))


@pytest.mark.parametrize("name", ["normal", "uniform", "gamma", "normal-2d", "uniform-2d"])
def test_toys_are_what_they_say(name: str) -> None:
    spec = DatasetSpec.load(
        f"folding-toy-{name}", ("source.of.events=20_000", "shard_events=20_000")
    )
    table = columns(spec)
    expected = {
        "normal": stats.norm,
        "uniform": stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
        "gamma": stats.gamma(4, loc=-2, scale=0.5),  # mean -2 + 4/2, variance 4/4
    }[name.removesuffix("-2d")]
    assert (expected.mean(), expected.var()) == pytest.approx((0, 1))
    numbers = ("x", "y") if name.endswith("2d") else ("x",)
    assert len(spec.schema_.truth) == len(numbers)
    independent = []
    for number in numbers:
        true = table[f"vertex.{number}"]
        assert stats.kstest(true, expected.cdf).pvalue > 0.01
        error = (table[f"particle.{number}"] - true) / 0.05
        assert stats.kstest(error, stats.norm.cdf).pvalue > 0.01
        independent += [true, error]
    assert np.abs(np.corrcoef(independent) - np.eye(2 * len(numbers))).max() < 0.03


def test_flat_electrons_fill_their_phase_space_evenly() -> None:
    assignments = ("source.of.events=20_000", "shard_events=20_000", "source.of.y_min=0.0")
    table = columns(DatasetSpec.load("folding-electrons-flat", assignments))
    px, py, pz, energy = (
        torch.from_numpy(table[f"vertex.{name}"]) for name in ("px", "py", "pz", "energy")
    )
    beam = torch.full_like(px, 50.0)
    log_q2 = dis.q2(px, py, pz, beam).log().numpy()
    assert stats.kstest(log_q2, stats.uniform(0, math.log(9000)).cdf).pvalue > 0.01
    y, x = dis.inelasticity(px, py, pz, beam), dis.x_bj(px, py, pz, beam, beam)
    lowest = np.exp(log_q2) / 1e4
    assert stats.kstest((y.numpy() - lowest) / (1 - lowest), "uniform").pvalue > 0.01
    assert x.max() <= 1 + 1e-9
    torch.testing.assert_close(energy, (px**2 + py**2 + pz**2).sqrt())


def test_tracker_smears_as_it_says() -> None:
    widths = "source.detector={ kind = 'tracker', sagitta = 1e-3, scattering = 0.02 }"
    assignments = ("source.of.events=20_000", "shard_events=20_000", widths)
    table = columns(DatasetSpec.load("folding-electrons-flat", assignments))
    true = torch.from_numpy(table["vertex.energy"])
    sigma = momentum_resolution(true, 1e-3, 0.02).numpy()
    assert (sigma**2).mean() == pytest.approx(((1e-3 * true.numpy()) ** 2 + 0.02**2).mean())
    pull = (table["electron.energy"] / table["vertex.energy"] - 1) / sigma
    assert stats.kstest(pull, "norm").pvalue > 0.01
    measured, true = (
        np.arctan2(table[f"{of}.py"], table[f"{of}.px"]) for of in ("electron", "vertex")
    )
    turned = measured - true
    turned = (turned + math.pi) % (2 * math.pi) - math.pi
    assert stats.kstest(turned / 1e-3, "norm").pvalue > 0.01


def test_an_experiment_does_not_know_the_vertex() -> None:
    pytest.importorskip("pythia8mc")
    spec = DatasetSpec.load("dis-ep-50-measured", SMALL)
    assert [field.name for field in spec.stored.fields] == list(four_momentum("electron"))
    table = columns(spec)
    y = 1 - (table["electron.energy"] + table["electron.pz"]) / 100
    assert (y > 0.01).all()
    assert (y < 0.06).any()  # the cut at 0.05 is on the true y


def test_a_cut_on_y_that_nothing_passes_is_refused() -> None:
    pytest.importorskip("pythia8mc")
    spec = DatasetSpec.load("dis-ep-50-y", ("source.events=100", "source.y_min=0.99999"))
    with pytest.raises(Exception, match="hardly an event has y >= 0.99999"):
        columns(spec)


@pytest.mark.parametrize(
    ("dataset", "assignment", "message"),
    [
        (
            "folding-toy-normal",
            "source.detector.widths={ 'particle.y' = 0.1 }",
            "source.detector.widths: name each of particle.x",
        ),
        (
            "folding-toy-normal",
            "source.detector={ kind = 'tracker' }",
            "measures electron.px, electron.py, electron.pz, electron.energy in GeV",
        ),
        ("folding-toy-normal", "source.of.distribution=cauchy", "source.*distribution"),
        ("folding-toy-normal", "source.of={ kind = 'folded' }", "source"),
        (
            "folding-toy-normal",
            "fields.1.name=vertex.y",
            "toml: groups.vertex.truth_of: .*'vertex.y'.*'particle.y' an event field",
        ),
        (
            "folding-toy-normal",
            "fields.1.unit=GeV",
            r"'vertex.x' \[GeV\].*'particle.x' an event field of the same unit",
        ),
        (
            "folding-electrons-flat",
            "source.of.q2_max=20_000.0",
            "source.of.q2_max: .*out of reach at",
        ),
        ("folding-electrons-flat", "source.of.q2_max=0.5", "source.of: q2_min must be below"),
        ("folding-electrons-flat", "source.of.y_min=1.5", "y_min"),
        ("folding-electrons-flat", "source.detector.theta=-1.0", "theta"),
    ],
)
def test_what_does_not_fit_is_refused(dataset: str, assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DatasetSpec.load(dataset, (assignment,))
