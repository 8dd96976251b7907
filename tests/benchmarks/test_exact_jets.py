"""Toy jets: the sample, the density and the closed forms are one distribution."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import ive
from scipy.stats import kstest

from benchmarks.common import exact_jets
from mleg_ray.events import Events
from mleg_ray.physics import objects, toy_jets
from tests.physics.deviations import LIKELY, p_value

EVENTS = 100_000


@pytest.fixture(scope="module")
def events() -> Events:
    return toy_jets.sample(np.random.default_rng(11), EVENTS)


@pytest.fixture(params=[True, False], ids=["weighted", "as drawn"])
def weighted(request) -> bool:
    return request.param


def weights(events: Events, weighted: bool) -> np.ndarray:
    return events.weight.numpy() if weighted else np.ones(len(events))


def column(events: Events, name: str) -> np.ndarray:
    return events.columns[name].double().numpy()


def test_jets_are_in_order_within_their_ranges_and_absent_ones_are_zero(events):
    there = events.present["jet"]
    pt = events.columns["jet.pt"]
    assert pt.shape == there.shape == (EVENTS, 8)
    assert (pt[:, :-1] >= pt[:, 1:]).all()
    assert (pt[there] >= 25).all()
    assert (events.columns["jet.eta"].abs() <= 2.5).all()
    assert events.columns["jet.flavour"].dtype == torch.int8
    assert all((c[~there] == 0).all() for n, c in events.columns.items() if n.startswith("jet."))
    assert set(events.weight.tolist()) == {-1.0, 1.0}


def test_numbers_are_those_of_a_poisson_distribution_cut_off():
    table = exact_jets.number_table(weighted=False)
    np.testing.assert_allclose(table[1:] / table[:-1], 3.0 / np.arange(1, 9))
    assert table.sum() == pytest.approx(1)


def test_number_table(events, weighted):
    number = events.present["jet"].sum(dim=1).numpy()
    is_k = number[:, None] == np.arange(8)
    table = exact_jets.number_table(weighted=weighted)
    assert p_value(weights(events, weighted)[:, None] * (is_k - table[:8])) > LIKELY


def test_mean_weight(events):
    assert p_value((events.weight.numpy() - exact_jets.mean_weight())[:, None]) > LIKELY
    # By quadrature, given two jets: the table's entry is P(2) m² / E[w].
    tau = 45.0
    m, _ = quad(lambda x: math.exp(-x / tau) / tau * (1 - 0.2 * math.exp(-x / 30)), 0, np.inf)
    drawn, counted = exact_jets.number_table(weighted=False), exact_jets.number_table(weighted=True)
    assert counted[2] == pytest.approx(drawn[2] * m**2 / exact_jets.mean_weight(), rel=1e-10)


def test_spectrum_of_all_jets(events, weighted):
    """Twenty bins, each event's jets together, for they share the number and the weight."""
    edges = np.geomspace(25, 300, 20)
    there = events.present["jet"].numpy()
    below = column(events, "jet.pt")[:, :, None] < edges[1:]
    cdf = exact_jets.pt_cdf(edges[1:], weighted=weighted)
    each = (there[:, :, None] * (below - cdf)).sum(axis=1)
    assert p_value(weights(events, weighted)[:, None] * each) > LIKELY


def test_spectra_by_quadrature():
    """The numbers Σ P(k) k m^(k-1) F and Σ P(k) F^k below 60 GeV, over those of all pt."""

    def integral(number: int, end: float) -> float:
        tau = 35 + 5 * number

        def counted(x: float) -> float:
            return math.exp(-x / tau) / tau * (1 - 0.2 * math.exp(-x / 30))

        return quad(counted, 0, end)[0]

    jets = {35.0: 0.0, np.inf: 0.0}
    events = dict.fromkeys(jets, 0.0)
    for number, drawn in enumerate(exact_jets.number_table(weighted=False)[1:], start=1):
        for end in jets:
            below = integral(number, end)
            jets[end] += drawn * number * integral(number, np.inf) ** (number - 1) * below
            events[end] += drawn * below**number
    at = np.array([60.0])
    assert exact_jets.pt_cdf(at)[0] == pytest.approx(jets[35.0] / jets[np.inf], rel=1e-9)
    leading = exact_jets.leading_pt_cdf(at)[0]
    assert leading == pytest.approx(events[35.0] / events[np.inf], rel=1e-9)


def test_spectrum_of_the_leading_jet(events, weighted):
    edges = np.geomspace(30, 400, 15)
    some = events.present["jet"][:, 0].numpy()
    below = column(events, "jet.pt")[some, :1] < edges
    each = below - exact_jets.leading_pt_cdf(edges, weighted=weighted)
    assert p_value(weights(events, weighted)[some, None] * each) > LIKELY


def test_spectra_run_from_zero_to_one(weighted):
    ends = np.array([0.0, 25.0, 1e5])
    for cdf in (exact_jets.pt_cdf, exact_jets.leading_pt_cdf):
        np.testing.assert_allclose(cdf(ends, weighted=weighted), [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(exact_jets.eta_cdf(np.array([-3, -2.5, 0, 2.5])), [0, 0, 0.5, 1])


def test_directions(events):
    there = events.present["jet"].numpy()
    assert kstest(column(events, "jet.eta")[there], exact_jets.eta_cdf).pvalue > LIKELY
    for phi in (column(events, "jet.phi")[there], column(events, "met.phi")):
        assert kstest(phi, "uniform", (-math.pi, 2 * math.pi)).pvalue > LIKELY


def test_flavour(events, weighted):
    assert toy_jets.heavy_probability(np.array(80.0)) == pytest.approx(0.25)
    assert toy_jets.heavy_probability(np.array(110.0)) == pytest.approx(0.5 / (1 + math.exp(-1)))
    there, heavy = events.present["jet"].numpy(), column(events, "jet.flavour")
    each = (heavy - there * exact_jets.heavy_share(weighted=weighted)).sum(axis=1)
    soft = there * (column(events, "jet.pt") < 60)
    given_pt = (soft * (heavy - toy_jets.heavy_probability(column(events, "jet.pt")))).sum(axis=1)
    deviations = weights(events, weighted)[:, None] * np.stack([each, given_pt], axis=1)
    assert p_value(deviations) > LIKELY


def test_moments_of_ht_and_met(events, weighted):
    exact = exact_jets.moments(weighted=weighted)
    ht = objects.total(events.columns["jet.pt"]).numpy() - exact.ht
    met = column(events, "met.pt") - exact.met
    covariance = exact.correlation * exact.ht_deviation * exact.met_deviation
    numbers = [
        ht,
        met,
        ht**2 - exact.ht_deviation**2,
        met**2 - exact.met_deviation**2,
        ht * met - covariance,
    ]
    assert p_value(weights(events, weighted)[:, None] * np.stack(numbers, axis=1)) > LIKELY


def test_moments_are_the_numbers_that_the_guide_quotes():
    counted, drawn = exact_jets.moments(weighted=True), exact_jets.moments(weighted=False)
    assert counted == pytest.approx((228.471965, 184.457228, 32.334515, 22.932600, 0.66105591))
    assert drawn == pytest.approx((237.072322, 185.522997, 32.820672, 23.118276, 0.65654515))
    assert exact_jets.mean_weight() == pytest.approx(0.80629309)


def test_missing_pt_of_few_jets_is_that_of_rice_s_distribution(monkeypatch):
    """E[MET | pt] = σ √(π/2) [(1 + x) I0(x/2) + x I1(x/2)] exp(-x/2), x = (κ pt)² / 2σ².

    Given one jet; without any, it is that of pt = 0.
    """
    monkeypatch.setattr(exact_jets, "DRAWN", np.array([0.4, 0.6] + 7 * [0.0]))

    def rice(pt: float) -> float:
        variance = 100 + 0.6 * pt
        x = (0.2 * pt) ** 2 / (2 * variance)
        return math.sqrt(variance * math.pi / 2) * ((1 + x) * ive(0, x / 2) + x * ive(1, x / 2))

    def integral(f: Callable[[float], float]) -> float:
        """Over f_1 c."""

        def integrand(pt: float) -> float:
            return f(pt) * math.exp(-(pt - 25) / 40) / 40 * (1 - 0.2 * math.exp(-(pt - 25) / 30))

        return 0.4 * f(0) + 0.6 * quad(integrand, 25, 2000, epsabs=1e-12, limit=200)[0]

    norm = integral(lambda pt: 1.0)
    exact = exact_jets.moments()
    assert exact.met == pytest.approx(integral(rice) / norm, rel=1e-9)
    assert exact.ht == pytest.approx(integral(lambda pt: pt) / norm, rel=1e-9)
    product = exact.ht * exact.met + exact.correlation * exact.ht_deviation * exact.met_deviation
    assert product == pytest.approx(integral(lambda pt: pt * rice(pt)) / norm, rel=1e-9)


def one_jet(pt, eta, met, phi, flavour) -> Events:
    """Events (n,) of one jet at φ = 0."""

    def padded(values):
        result = torch.zeros(len(values), 8, dtype=torch.float64)
        result[:, 0] = torch.from_numpy(values)
        return result

    columns = {
        "jet.pt": padded(pt),
        "jet.eta": padded(eta),
        "jet.phi": padded(np.zeros_like(pt)),
        "jet.flavour": padded(np.full_like(pt, flavour)).to(torch.int8),
        "met.pt": torch.from_numpy(met),
        "met.phi": torch.from_numpy(phi),
    }
    there = padded(np.ones_like(pt)).bool()
    return Events(columns, {"jet": there}, torch.ones(len(pt)).double())


def test_density_of_one_jet_is_normalised(weighted):
    """Quadrature over pt, η and the missing pt and φ; the jet's own φ is a factor 2π."""
    x, along_pt = np.polynomial.laguerre.laggauss(16)
    t, along = np.polynomial.legendre.leggauss(8)
    r, outwards = np.polynomial.legendre.leggauss(48)
    angles = np.linspace(-math.pi, math.pi, 32, endpoint=False)
    grid = [25 + 40 * x, 2.5 * t, 150 * (r + 1), angles]
    steps = [40 * along_pt * np.exp(x), 2.5 * along, 150 * outwards, np.full(32, 2 * math.pi / 32)]
    nodes = [axis.ravel() for axis in np.meshgrid(*grid, indexing="ij")]
    volume = math.prod(axis.ravel() for axis in np.meshgrid(*steps, indexing="ij"))
    total = 0.0
    for flavour in (0, 1):
        density = exact_jets.log_density(one_jet(*nodes, flavour), weighted=weighted).exp().numpy()
        total += 2 * math.pi * float((density * volume).sum())
    assert total == pytest.approx(exact_jets.number_table(weighted=weighted)[1], rel=1e-5)


def other_events(n: int) -> tuple[Events, np.ndarray]:
    """Events of a wider distribution, and their log density."""
    rng = np.random.default_rng(12)
    number = rng.integers(0, 9, n)
    there = np.arange(8) < number[:, None]
    pt = -np.sort(-np.where(there, 25 + 60 * rng.standard_exponential((n, 8)), 0.0), axis=1)
    eta = np.where(there, rng.uniform(-2.5, 2.5, (n, 8)), 0)
    phi = np.where(there, rng.uniform(-math.pi, math.pi, (n, 8)), 0)
    flavour = (rng.random((n, 8)) < 0.4) & there
    x, y = 25 * rng.standard_normal((2, n))
    each = -(pt - 25) / 60 - math.log(60 * 5 * 2 * math.pi)
    each += np.where(flavour, math.log(0.4), math.log(0.6))
    radius = np.hypot(x, y)
    log_density = (there * each).sum(axis=1) + np.log(radius / (2 * math.pi * 25**2) / 9)
    log_density -= radius**2 / (2 * 25**2)
    log_density += np.array([math.lgamma(k + 1) for k in range(9)])[number]
    x -= 0.2 * (pt * np.cos(phi)).sum(axis=1)
    y -= 0.2 * (pt * np.sin(phi)).sum(axis=1)
    log_density += np.log(np.hypot(x, y) / radius)  # the Jacobian is that of the shifted vector
    columns = {
        "jet.pt": pt,
        "jet.eta": eta,
        "jet.phi": phi,
        "jet.flavour": flavour.astype(np.int8),
        "met.pt": np.hypot(x, y),
        "met.phi": np.arctan2(y, x),
    }
    tensors = {name: torch.from_numpy(values) for name, values in columns.items()}
    present = {"jet": torch.from_numpy(there)}
    return Events(tensors, present, torch.ones(n).double()), log_density


def test_density_reweights_other_events_to_the_sample(events, weighted):
    """E_q[f p/q] = E_p[f] for the numbers of jets and for what each factor of p acts upon."""
    others, log_q = other_events(EVENTS)
    ratio = np.exp(exact_jets.log_density(others, weighted=weighted).numpy() - log_q)
    exact = exact_jets.moments(weighted=weighted)

    def numbers(sample: Events) -> np.ndarray:
        jet = {name: sample.columns[f"jet.{name}"] for name in ("pt", "eta", "phi", "flavour")}
        met, phi = sample.columns["met.pt"], sample.columns["met.phi"]
        angle = objects.azimuth_from(jet["pt"], jet["phi"], phi[:, None])
        listed = [
            objects.total(jet["pt"]) / exact.ht,
            met / exact.met,
            met * angle.cos() / exact.met,
            met * objects.total(jet["pt"]) / exact.met / exact.ht,
            objects.total(jet["flavour"]),
            objects.total(jet["flavour"] * jet["pt"]) / exact.ht,
            objects.total(jet["eta"].square()),
        ]
        number = sample.present["jet"].sum(dim=1)
        return np.stack([*(x.numpy() for x in listed), *(number == k for k in range(6))], axis=1)

    ours = weights(events, weighted)
    norm = exact_jets.mean_weight() if weighted else 1.0
    deviations = ours[:, None] * numbers(events) / norm - ratio[:, None] * numbers(others)
    assert p_value(deviations) > LIKELY
    assert ratio.mean() == pytest.approx(1, abs=5 * ratio.std() / math.sqrt(len(ratio)))


def test_what_cannot_be_has_no_density(events):
    few = events[:2000]
    few = few[(few.present["jet"].sum(dim=1) > 1)]
    assert exact_jets.log_density(few).isfinite().all()
    reversed_pt = {"jet.pt": few.columns["jet.pt"].flip(1)}
    soft = {"jet.pt": few.columns["jet.pt"].clamp(max=20)}
    forward = {"jet.eta": few.columns["jet.eta"] + 5.1}
    for change in (reversed_pt, soft, forward):
        changed = few.replacing(change, change)
        assert (exact_jets.log_density(changed) == -math.inf).all()
