"""Cherenkov rings: thresholds and angles by hand; the mean of a likelihood ratio, which is 1."""

import math

import numpy as np
import pytest

from mleg_ray.physics import cherenkov
from mleg_ray.physics.cherenkov import MASSES, RADIATORS, log_likelihood_ratios

GAS, HIGH = RADIATORS


@pytest.mark.parametrize(
    ("species", "threshold"),
    # m/√(n² - 1) with n = 1.0014
    [("pion", 0.13957039 / 0.0529338), ("kaon", 0.493677 / 0.0529338)],
)
def test_light_begins_at_the_threshold(species, threshold) -> None:
    below, above = GAS.angle(threshold * np.array([0.9999, 1.0001]), MASSES[species])
    assert below == 0
    assert 0 < above < 1e-3
    assert GAS.light(np.array([0.0])) == 0


def test_angle_and_light_by_hand() -> None:
    """Of a kaon of 20 GeV: β = 0.99969549, cos θ = 1/(1.0014 β)."""
    angle = GAS.angle(np.array([20.0]), MASSES["kaon"])
    assert math.cos(angle[0]) == pytest.approx(1 / (1.0014 * 0.999695492877), rel=1e-9)
    # sin² over that of a particle at the speed of light, which gives 20 photons
    share = (1 - 1 / (1.0014 * 0.999695492877) ** 2) / (1 - 1 / 1.0014**2)
    assert GAS.light(angle) == pytest.approx(20 * share, rel=1e-6)
    fast = HIGH.angle(np.array([1e9]), MASSES["kaon"])
    assert HIGH.light(fast) == pytest.approx(16)


class Told:
    """Numbers that are not random: one photon of the track's own, at its angle, and another."""

    def __init__(self, other: float) -> None:
        self.other = other

    def standard_normal(self, n: int) -> np.ndarray:
        return np.zeros(n)

    def random(self, n: int) -> np.ndarray:
        return np.ones(n)

    def poisson(self, mean: np.ndarray) -> np.ndarray:
        return np.minimum(np.ceil(mean), 1).astype(int)

    def uniform(self, low: float, high: float, n: int) -> np.ndarray:
        return np.full(n, self.other)


def test_ratios_by_hand() -> None:
    """A pion of 15 GeV at η = 2 is seen by the first radiator alone, among 50 tracks."""
    p, other = 15.0, 0.040
    found = log_likelihood_ratios(Told(other), "pion", *np.array([[p], [2.0], [50.0]]))

    def of(mass: float) -> tuple[float, float]:
        cosine = math.sqrt(1 + (mass / p) ** 2) / 1.0014
        return math.acos(cosine), 20 * (1 - cosine**2) / (1 - 1.0014**-2)

    def log_likelihood(angle: float, light: float) -> float:
        normal = [
            math.exp(-(((seen - angle) / 1.6e-3) ** 2) / 2) / (1.6e-3 * math.sqrt(2 * math.pi))
            for seen in (of(MASSES["pion"])[0], other)
        ]
        return -light + sum(math.log(light * each + 0.2 * 50 / 0.080) for each in normal)

    pion = log_likelihood(*of(MASSES["pion"]))
    for species in ("kaon", "electron", "muon"):
        expected = log_likelihood(*of(MASSES[species])) - pion
        assert found[species] == pytest.approx([expected])
    dark = log_likelihood(0.0, 0.0) - pion
    assert found["below"] == pytest.approx([dark])
    assert found["proton"] == pytest.approx([dark])  # whose threshold is 17.7 GeV


@pytest.mark.parametrize(
    ("hypothesis", "p", "eta"), [("muon", 60.0, 3.0), ("muon", 40.0, 2.0), ("below", 2.75, 2.0)]
)
def test_the_mean_of_a_likelihood_ratio_is_one(hypothesis, p, eta, monkeypatch) -> None:
    """E_pion[L(h)/L(pion)] = ∫ L(h) = 1, if what is drawn has the likelihood that is computed."""
    for unknown in ("DIRECTION", "LOST", "BLUR"):
        monkeypatch.setattr(cherenkov, unknown, 0.0)
    n = 10_000
    columns = np.array([p, eta, 100.0])[:, None].repeat(n, axis=1)
    ratio = np.exp(log_likelihood_ratios(np.random.default_rng(2), "pion", *columns)[hypothesis])
    error = ratio.std() / math.sqrt(n)
    assert 0.0005 < error < 0.05
    assert ratio.mean() == pytest.approx(1, abs=4 * error)


def test_a_blur_is_added_to_each_ratio() -> None:
    """Below the pion's threshold nobody gives light, so that nothing else is left."""
    n = 4000
    columns = np.array([0.1, 2.0, 100.0])[:, None].repeat(n, axis=1)
    found = log_likelihood_ratios(np.random.default_rng(3), "kaon", *columns)
    blurred = np.stack([found[h] for h in ("kaon", "proton", "below")])
    assert blurred.std(axis=1) == pytest.approx([0.3] * 3, rel=0.05)
    assert np.corrcoef(blurred) == pytest.approx(np.eye(3), abs=0.06)


def test_light_is_lost_in_full_events_and_displaced_as_a_whole(monkeypatch) -> None:
    """Of 5,000 tracks none gives light: without background ln L(below) - ln L(pion) is λ_π."""
    monkeypatch.setattr(cherenkov, "BLUR", 0.0)
    columns = np.array([[5.0], [2.0], [5000.0]])
    monkeypatch.setattr(cherenkov, "BACKGROUND", 1e-12)
    [lost] = log_likelihood_ratios(np.random.default_rng(4), "pion", *columns)["below"]
    light = GAS.light(GAS.angle(np.array([5.0]), MASSES["pion"])).item()
    assert lost == pytest.approx(light)
    n = 4000
    columns = np.array([50.0, 2.0, 1.0])[:, None].repeat(n, axis=1)
    ratio = log_likelihood_ratios(np.random.default_rng(5), "pion", *columns)["electron"]
    away = GAS.angle(columns[0], MASSES["electron"])[0] - GAS.angle(columns[0], MASSES["pion"])[0]
    k = GAS.light(GAS.angle(columns[0], MASSES["pion"]))[0]
    # Of photons at the pion's angle plus d: Σ (d away - away²/2)/σ², and d = 0.4 mrad z.
    variance = (k * (away / 1.6e-3) ** 2) + k * (k + 1) * (away * 0.4e-3 / 1.6e-3**2) ** 2
    assert ratio.std() == pytest.approx(math.sqrt(variance), rel=0.1)


@pytest.mark.parametrize(("eta", "seen"), [(2.7, RADIATORS[:1]), (2.9, RADIATORS)])
def test_the_second_gas_sees_what_is_within_120_mrad(eta, seen, monkeypatch) -> None:
    """Of a track whose light is lost ln L(below) - ln L(pion) is λ_π of the gases that see it."""
    monkeypatch.setattr(cherenkov, "BLUR", 0.0)
    monkeypatch.setattr(cherenkov, "BACKGROUND", 1e-12)
    columns = np.array([[40.0], [eta], [5000.0]])
    [lost] = log_likelihood_ratios(np.random.default_rng(4), "pion", *columns)["below"]
    light = [gas.light(gas.angle(np.array([40.0]), MASSES["pion"])).item() for gas in seen]
    assert lost == pytest.approx(sum(light))
