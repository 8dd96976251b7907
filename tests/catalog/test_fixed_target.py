"""Electrons off a proton at rest: their spectrum, the acceptance and what leaks out of it."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy import stats

from mleg_ray.catalog.sources.fixed_target import Acceptance
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.definitions import violates
from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, members
from mleg_ray.physics.fixed_target import (
    CONTINUUM,
    RESONANCES,
    photoabsorption,
    photon_flux,
)

EVENTS = 40_000
WHOLE = ("source={ kind = 'fixed-target-electrons', events = 40_000, q2_min = 0.5, seed = 7 }",)


def events(assignments: tuple[str, ...]) -> tuple[DatasetSpec, Events]:
    """Return the specification and the events of one large shard, with their observables."""
    spec = DatasetSpec.load("electrons-clas", (*assignments, f"shard_events={EVENTS}"))
    drawn = spec.source.open(spec.schema_, spec.conditions, spec.shard_events).shard(0)
    columns = {name: torch.from_numpy(values) for name, values in drawn.items()}
    return spec, spec.joined(spec.schema_.events(columns, spec.conditions))


@pytest.fixture(scope="module")
def whole() -> Mapping[str, torch.Tensor]:
    """Return electrons without detector or acceptance."""
    return events(WHOLE)[1].columns


def test_spectrum_is_the_flux_times_the_cross_section(whole: Mapping[str, torch.Tensor]) -> None:
    """Both marginals against a sum over a lattice, which knows nothing of the drawing."""
    q2 = 0.5 * torch.linspace(0, 1, 2000, dtype=torch.float64).mul(math.log(18.6)).exp()[:, None]
    w = torch.linspace(1.0, 3.4, 2401, dtype=torch.float64)
    density = photon_flux(q2, w, 5.5) * photoabsorption(q2, w, RESONANCES, CONTINUUM) * q2
    for name, axis, marginal in (("w", w, density.sum(0)), ("q2", q2[:, 0], density.sum(1))):
        below = (marginal.cumsum(0) - marginal / 2) / marginal.sum()
        x, cdf = axis.numpy(), below.numpy()
        drawn = whole[name].numpy()
        assert stats.kstest(drawn, lambda v, x=x, cdf=cdf: np.interp(v, x, cdf)).pvalue > 0.01
    assert stats.kstest(whole["phi"] / (2 * math.pi) + 0.5, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(whole["phi"].cos(), whole["w"])[0, 1]) < 0.02
    assert (whole["mass_shell_residual"] < 1e-9).all()


def test_what_is_accepted_is_the_accepted_part_of_the_spectrum(
    whole: Mapping[str, torch.Tensor],
) -> None:
    assignments = (f"{WHOLE[0][:-1]}, acceptance = {{}} }}",)
    spec, seen = events(assignments)
    broken = {name: violates(rule, seen) for name, rule in spec.selection.items()}
    assert not any(mask.any() for mask in broken.values())  # the entry's numbers are the source's
    kept = Acceptance().accepts(*(whole[name] for name in members("electron", "px", "py", "pz")))
    assert 0.3 < kept.double().mean() < 0.6
    for name in ("electron.px", "electron.pz", "q2", "w", "coil_distance"):
        assert stats.ks_2samp(seen.columns[name], whole[name][kept]).pvalue > 0.01


def test_measured_electrons_leak_into_the_holes_by_the_resolution() -> None:
    """Of events even in φ, whose edge is λ away from the other's, σ/√2π λ pass either edge."""
    spec, seen = events((f"source.of.events={EVENTS}",))
    theta = seen.columns["theta"]
    half = (0.06 / theta.sin()).clamp(max=1).asin()
    live = math.pi / 3 - 2 * half
    moved = 0.06 * theta.cos() / (theta.sin().square() * half.cos())
    width = 1e-3 * (1 + moved.square()).sqrt()  # the angle's own error, and the coil's edge's
    inside = live > 20 * width
    expected = (2 * width / (math.sqrt(2 * math.pi) * live))[inside].sum().item()
    leaked = violates(spec.selection["clear_of_coils"], seen)
    assert leaked[inside].sum().item() == pytest.approx(expected, abs=4 * math.sqrt(expected))
    assert all(violates(rule, seen).double().mean() < 0.01 for rule in spec.selection.values())
    assert not any(violates(rule, seen).any() for rule in spec.constraints.values())


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "source.of.q2_min=9.5",
            "source.of.q2_min: 9.5 GeV² is out of reach; with a beam of 5.5 GeV.*below 9.259",
        ),
        ("conditions.beam_energy=0.1", r"conditions.beam_energy must be above 0.1447 GeV.*got 0.1"),
        ("conditions.beam_energy=0.9", "source.of.acceptance: hardly an electron passes"),
        ("source.of.acceptance.coil_width=2.0", "source.of.acceptance: hardly an electron passes"),
        ("source.of.q2_min=8.0", "source.of.acceptance: hardly an electron passes"),
        ("source.of.acceptance.theta_max=0.1", "of.acceptance: theta_min must be below"),
        ("source.of.acceptance.sectors=1", "source.*sectors"),
        ("source.of.resonances=[{ mass = 1.2, width = 0.1 }]", "resonances.*height"),
        ("source.of.continuum=0.0", "continuum"),
        ("fields.0.unit=MeV", "electron.px, electron.py, electron.pz, electron.energy in GeV"),
    ],
)
def test_what_does_not_fit_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DatasetSpec.load("electrons-clas", (assignment,))
