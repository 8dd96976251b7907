"""γ p → p π⁺ π⁻: exact kinematics, and each channel's distributions by closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest

from mleg_ray.catalog.sources.photoproduction import DELTA, RHO, THRESHOLD
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.definitions import violates
from mleg_ray.errors import ConfigError
from mleg_ray.physics.decays import breakup_momentum
from mleg_ray.physics.dis import PROTON_MASS
from mleg_ray.physics.photoproduction import FIELDS, PION_MASS

M, m = PROTON_MASS, PION_MASS
ENERGY, EVENTS = 3.0, 60_000
W = math.sqrt(M**2 + 2 * M * ENERGY)
LIKELY = 1e-3  # what a test of the right distribution may say once in a thousand seeds


@pytest.fixture(scope="module")
def spec() -> DatasetSpec:
    settings = (f"source.events={EVENTS}", f"shard_events={EVENTS}", "source.photon_energies=[3.0]")
    return DatasetSpec.load("gamma-p-to-p-pi-pi", settings)


@pytest.fixture(scope="module")
def table(spec) -> dict[str, np.ndarray]:
    """Fields, observables and labels of one large shard."""
    columns = spec.source.open(spec.schema_, spec.conditions, spec.shard_events).shard(0)
    tensors = {name: torch.from_numpy(values) for name, values in columns.items()}
    events = spec.joined(spec.schema_.events(tensors, spec.conditions))
    return {name: values.numpy() for name, values in events.columns.items()}


def of(table: dict[str, np.ndarray], channel: int) -> dict[str, np.ndarray]:
    rows = table["channel"] == channel
    return {name: values[rows] for name, values in table.items()}


def breit_wigner_cdf(mass: np.ndarray, at: tuple[float, float], low: float, high: float):
    peak, width = at
    low, mass, high = (
        np.arctan((x**2 - peak**2) / (peak * width)) for x in (low, np.asarray(mass), high)
    )
    return (mass - low) / (high - low)


def test_four_momentum_is_conserved_and_particles_are_on_shell(table):
    initial = np.array([0, 0, ENERGY, ENERGY + M])
    p = np.stack([table[name] for name in FIELDS], axis=1).reshape(-1, 3, 4)
    assert np.abs(p.sum(axis=1) - initial).max() < 1e-9 * (ENERGY + M)
    energy = np.sqrt((p[..., :3] ** 2).sum(axis=2) + np.array([M, m, m]) ** 2)
    np.testing.assert_allclose(p[..., 3], energy, rtol=1e-9)


def test_no_event_breaks_a_constraint_also_in_single_precision(spec, table):
    stored = {name: torch.from_numpy(table[name].astype(np.float32)).double() for name in FIELDS}
    stored["photon_energy"] = torch.from_numpy(table["photon_energy"])
    events = spec.joined(spec.schema_.events(stored, spec.conditions))
    for constraint in spec.constraints.values():
        assert not violates(constraint, events).any(), constraint


def test_pair_masses_sum_to_w(table):
    """m12² + m13² + m23² = W² + m1² + m2² + m3²."""
    squares = sum(table[name] ** 2 for name in ("m_p_pip", "m_p_pim", "m_pip_pim"))
    np.testing.assert_allclose(squares, W**2 + M**2 + 2 * m**2, rtol=1e-9)


def test_t_is_that_of_the_pair(table):
    """(q - p₊ - p₋)², with q the photon's momentum, is that of the proton too."""
    px, py, pz, energy = (
        table[f"pip.{k}"] + table[f"pim.{k}"] for k in ("px", "py", "pz", "energy")
    )
    t = (ENERGY - energy) ** 2 - px**2 - py**2 - (ENERGY - pz) ** 2
    np.testing.assert_allclose(table["t"], t, atol=1e-12)


def test_shares_are_those_declared(spec, table):
    for channel, share in enumerate(spec.source.shares.values):
        found = (table["channel"] == channel).mean()
        assert found == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / EVENTS))


def test_delta_is_a_breit_wigner_that_decays_isotropically(table):
    delta = of(table, 0)
    limits = (M + m, W - m)
    assert kstest(delta["m_p_pip"], lambda x: breit_wigner_cdf(x, DELTA, *limits)).pvalue > LIKELY
    # The π⁻ against the Δ⁺⁺ is isotropic in the centre of mass.
    assert kstest(delta["cos_pim"], "uniform", (-1, 2)).pvalue > LIKELY


def test_rho_is_a_breit_wigner_produced_as_an_exponential_of_t(spec, table):
    rho = of(table, 1)
    limits = (2 * m, W - M)
    assert kstest(rho["m_pip_pim"], lambda x: breit_wigner_cdf(x, RHO, *limits)).pvalue > LIKELY
    assert kstest(rho["cos_helicity"], "uniform", (-1, 2)).pvalue > LIKELY
    k = (W**2 - M**2) / (2 * W)
    after = breakup_momentum(torch.tensor(W), torch.from_numpy(rho["m_pip_pim"]), M).numpy()
    t0 = 2 * (M**2 - math.hypot(k, M) * np.hypot(after, M))
    low, high = t0 - 2 * k * after, t0 + 2 * k * after
    b = spec.source.slope
    share = np.expm1(b * (rho["t"] - low)) / np.expm1(b * (high - low))
    assert kstest(share, "uniform").pvalue > LIKELY


def test_phase_space_is_a_flat_dalitz_plot(table):
    """Bins of squared masses that lie whole within the boundary hold equal numbers."""
    events = of(table, 2)
    x_edges = np.linspace((M + m) ** 2, (W - m) ** 2, 16)
    y_edges = np.linspace((2 * m) ** 2, (W - M) ** 2, 16)
    counts, *_ = np.histogram2d(
        events["m_p_pip"] ** 2, events["m_pip_pim"] ** 2, (x_edges, y_edges)
    )
    # Where m(π⁺π⁻) is at rest, π⁺ has half of it and the proton the energy (W² - M² - s) / 2√s.
    inside = np.zeros((16, 16), dtype=bool)
    for j, s in enumerate(y_edges[1:-1], start=1):
        energies = math.sqrt(s) / 2, (W**2 - M**2 - s) / (2 * math.sqrt(s))
        momenta = math.sqrt(energies[0] ** 2 - m**2), math.sqrt(energies[1] ** 2 - M**2)
        middle = M**2 + m**2 + 2 * energies[0] * energies[1]
        inside[:, j] = np.abs(x_edges - middle) < 2 * momenta[0] * momenta[1]
    whole = inside[1:, 1:] & inside[1:, :-1] & inside[:-1, 1:] & inside[:-1, :-1]
    observed = counts[whole]
    assert len(observed) > 60
    mean = observed.mean()
    assert mean > 80
    statistic = float(((observed - mean) ** 2 / mean).sum())
    assert LIKELY < chi2.sf(statistic, len(observed) - 1) < 1 - LIKELY


def test_there_is_no_preferred_azimuth(table):
    phi = np.arctan2(table["p.py"], table["p.px"])
    assert kstest(phi, "uniform", (-math.pi, 2 * math.pi)).pvalue > LIKELY


def test_strata_are_the_photon_energies():
    spec = DatasetSpec.load("gamma-p-to-p-pi-pi", ("source.events=300", "shard_events=50"))
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    assert [len(rows) for rows in source.shard_rows()] == [2, 2, 2]
    assert [set(source.shard(k)["photon_energy"]) for k in range(6)] == [
        {2.0}, {2.0}, {3.0}, {3.0}, {4.0}, {4.0},
    ]  # fmt: skip


def test_threshold_is_w_of_three_particles_at_rest():
    assert math.sqrt(M**2 + 2 * M * THRESHOLD) == pytest.approx(M + 2 * m)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (
            ("source.photon_energies=[2.0, 0.3]",),
            "source.photon_energies: a photon of 0.3 GeV makes no p π⁺ π⁻; choose",
        ),
        (("source.photon_energies=[2.0, 1e9]",), r"source.photon_energies: .*choose 10000 GeV at"),
        (("source.photon_energies=[]",), "give the photon's energy once"),
        (("conditions.photon_energy=3.0",), "give the photon's energy once"),
        (("source.shares.rho=0.5",), "must sum to 1"),
        (("fields.0.unit=MeV",), r"makes .*p.px \[GeV\].*declares .*p.px \[MeV\]"),
        (("fields.13.name=kind",), "declares.*kind"),
    ],
)
def test_what_does_not_fit_is_refused(assignments, message):
    with pytest.raises(ConfigError, match=message):
        DatasetSpec.load("gamma-p-to-p-pi-pi", assignments)
