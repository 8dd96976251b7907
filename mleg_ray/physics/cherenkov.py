"""Rings of Cherenkov light, and what they tell of a particle: log likelihoods of its species.

A stand-in for the two gas detectors of LHCb (The LHCb RICH Collaboration, Performance of the LHCb
RICH detector at the LHC, Eur. Phys. J. C 73 (2013) 2431, arXiv:1211.6759). The indices are those of
C4F10 and CF4; photons, resolutions and background are declared, of the size of that detector's. A
track's photons are seen as their angles θ from it, without mirrors or pixels, and without its
neighbours' rings, for which an even background stands. Arrays are of tracks (n,), momenta in GeV,
angles in rad.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mleg_ray.physics.dis import PROTON_MASS
from mleg_ray.physics.particles import ELECTRON_MASS, KAON_MASS, MUON_MASS
from mleg_ray.physics.photoproduction import PION_MASS

Array = NDArray[np.float64]

MASSES = {  # GeV
    "electron": ELECTRON_MASS,
    "muon": MUON_MASS,
    "pion": PION_MASS,
    "kaon": KAON_MASS,
    "proton": PROTON_MASS,
}
BELOW = "below"  # the hypothesis of a particle below threshold, that gives no light
HYPOTHESES = ("kaon", "proton", "electron", "muon", BELOW)  # each beside the pion
BACKGROUND = 0.2  # photons within a radiator's window, per track of the event
# What the likelihood does not know of: the σ, rad, of a track's direction, by which all of its
# photons are displaced; the share of tracks whose light is lost, per track of the event; and the σ
# of what a hypothesis' log likelihood ratio owes to all that is not simulated.
DIRECTION, LOST, BLUR = 0.4e-3, 2e-4, 0.3


@dataclass(frozen=True)
class Radiator:
    """A gas of refractive `index` that sees tracks above the pseudorapidity `eta_min`.

    A particle at the speed of light gives `photons` on average, at angles that are measured with
    the `resolution` σ each; photons are looked for up to the angle `window`.
    """

    index: float
    photons: float
    resolution: float
    window: float
    eta_min: float

    def angle(self, p: Array, mass: float) -> Array:
        """Return the Cherenkov angle (n,), cos θ = 1 / (n β), or 0 below threshold."""
        inverse = np.sqrt(1 + (mass / p) ** 2) / self.index
        return np.asarray(np.arccos(np.minimum(inverse, 1.0)))

    def light(self, angle: Array) -> Array:
        """Return the mean number of photons (n,) at an angle, in proportion to sin² θ."""
        return np.asarray(self.photons * np.sin(angle) ** 2 / (1 - self.index**-2))


RADIATORS = (
    Radiator(index=1.0014, photons=20.0, resolution=1.6e-3, window=0.080, eta_min=-math.inf),
    Radiator(index=1.0005, photons=16.0, resolution=0.7e-3, window=0.048, eta_min=2.8),  # 120 mrad
)


def log_likelihood_ratios(
    rng: np.random.Generator, species: str, p: Array, eta: Array, tracks: Array
) -> dict[str, Array]:
    """Draw the photons of tracks of a species, and return ln L(h) - ln L(pion), (n,) each.

    `tracks` (n,) is how many there are in the event of each. With λ_h photons expected at the angle
    θ_h, and b of background evenly in the window Θ,

        ln L(h) = -λ_h + Σ ln(λ_h N(θ; θ_h, σ²) + b/Θ)

    over the photons of both radiators: their extended likelihood, without what all h share. Tracks
    are less well told apart than it says, by `DIRECTION`, `LOST` and `BLUR`; without the last one
    species below their thresholds would have equal ratios.
    """
    ratios = {h: BLUR * rng.standard_normal(len(p)) for h in HYPOTHESES}
    lit = rng.random(len(p)) >= LOST * tracks
    for radiator in RADIATORS:
        seen = (eta > radiator.eta_min).astype(np.float64)
        background = BACKGROUND * tracks * seen
        angle = radiator.angle(p, MASSES[species])
        own, others = rng.poisson(lit * seen * radiator.light(angle)), rng.poisson(background)
        displaced = angle + DIRECTION * rng.standard_normal(len(p))
        track = np.concatenate([np.repeat(np.arange(len(p)), count) for count in (own, others)])
        photons = np.concatenate(
            [
                np.repeat(displaced, own) + radiator.resolution * rng.standard_normal(own.sum()),
                rng.uniform(0, radiator.window, others.sum()),
            ]
        )
        found = {}
        for hypothesis in ("pion", *HYPOTHESES):
            if hypothesis == BELOW:
                expected = ring = np.zeros(len(p))
            else:
                ring = radiator.angle(p, MASSES[hypothesis])
                expected = seen * radiator.light(ring)
            away = (photons - ring[track]) / radiator.resolution
            peak = np.exp(-(away**2) / 2) / (radiator.resolution * math.sqrt(2 * math.pi))
            density = expected[track] * peak + background[track] / radiator.window
            found[hypothesis] = np.bincount(track, np.log(density), len(p)) - expected
        for hypothesis in HYPOTHESES:
            ratios[hypothesis] += found[hypothesis] - found["pion"]
    return ratios
