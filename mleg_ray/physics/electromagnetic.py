"""Cross sections and stopping powers of electrons, positrons and photons in matter.

Energies are kinetic and in MeV, lengths in cm, cross sections in cm² of an atom or an electron.
m is the electron's mass, τ = T/m, γ = τ + 1, β the velocity. Functions take arrays that broadcast.

Sources: W. Heitler, The Quantum Theory of Radiation, 3rd ed. (1954); J. C. Butcher and H. Messel,
Nucl. Phys. 20 (1960) 15; Y.-S. Tsai, Rev. Mod. Phys. 46 (1974) 815; ICRU report 37 (1984); J. H.
Hubbell, H. A. Gimm, I. Øverbø, J. Phys. Chem. Ref. Data 9 (1980) 1023, as the Physics Reference
Manual of Geant4 fits them.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mleg_ray.physics.materials import ENERGIES, Element, Material

Array = NDArray[np.float64]

MASS = 0.51099895  # MeV, of the electron
RADIUS = 2.8179403262e-13  # cm, the classical electron radius
ALPHA = 7.2973525693e-3
BARN = 1e-24  # cm²
LEAST = 1e-3  # of screening functions less 4 ln Z/3
LOWEST_FIT = 1.5  # MeV: below it, the fit of pair production goes to its threshold as a parabola


# ---- photons ----


def klein_nishina(energy: Array) -> Array:
    """Return the cross section of Compton scattering off a free electron at rest.

    With κ = k/m (Klein and Nishina; Heitler, eq. 22.46):

        σ = 2π r² { (1 + κ)/κ² [2(1 + κ)/(1 + 2κ) - ln(1 + 2κ)/κ] + ln(1 + 2κ)/2κ
            - (1 + 3κ)/(1 + 2κ)² }
    """
    k = energy / MASS
    log = np.log1p(2 * k)
    first = (1 + k) / k**2 * (2 * (1 + k) / (1 + 2 * k) - log / k)
    return np.asarray(
        2 * math.pi * RADIUS**2 * (first + log / (2 * k) - (1 + 3 * k) / (1 + 2 * k) ** 2)
    )


def compton_spectrum(energy: Array, share: Array) -> Array:
    """Return dσ/dε up to a constant, ε = k'/k the share of energy that the photon keeps.

    It is ε + 1/ε - sin²θ, with 1 - cos θ = (1/ε - 1)/κ, between 1/(1 + 2κ) and 1.
    """
    t = (1 / share - 1) * MASS / energy
    return np.asarray(share + 1 / share - t * (2 - t))


def photoelectric(element: Element, energy: Array) -> Array:
    """Return the photoelectric cross section; beyond the table it falls as 1/k."""
    known, values = np.array(element.photoelectric).T
    inside = np.exp(np.interp(np.log(energy), np.log(known), np.log(values)))
    return np.asarray(BARN * inside * np.minimum(1, known[-1] / energy))


PAIR_FIT = (
    (8.7842e2, -1.9625e3, 1.2949e3, -2.0028e2, 1.2575e1, -2.8333e-1),
    (-1.0342e1, 1.7692e1, -8.2381, 1.3063, -9.0815e-2, 2.3586e-3),
    (-4.5263e2, 1.1161e3, -8.6749e2, 2.1773e2, -2.0467e1, 6.5372e-1),
)


def pair_production(element: Element, energy: Array) -> Array:
    """Return the cross section of γ -> e+ e- in the fields of nucleus and electrons.

    Hubbell, Gimm and Øverbø give numbers, which the manual of Geant4 fits to within 5% as
    Z (Z + 1) [F1 + F2 Z + F3/Z] µb, the F polynomials of ln(k/m).
    """
    x = np.log(np.maximum(energy, LOWEST_FIT) / MASS)
    first, second, third = (np.polynomial.polynomial.polyval(x, c) for c in PAIR_FIT)
    Z = element.Z
    fit = Z * (Z + 1) * (first + second * Z + third / Z) * 1e-6 * BARN
    rise = np.clip((energy - 2 * MASS) / (LOWEST_FIT - 2 * MASS), 0, 1) ** 2
    return np.asarray(np.maximum(fit, 0) * rise)


def pair_spectrum(Z: float, energy: Array, share: Array) -> Array:
    """Return dσ/dx up to a constant, x = E₊/k the positron's share of the photon's energy.

    Bethe and Heitler with screening (Butcher and Messel; Tsai, eq. 3.5 and 3.9), without the
    Coulomb correction, which hardly bends it:
    [x² + (1 - x)²] (φ1 - 4 ln Z/3) + ⅔ x (1 - x) (φ2 - 4 ln Z/3).
    """
    first, second = _screened(Z, MASS / (energy * share * (1 - share)))
    return np.asarray((share**2 + (1 - share) ** 2) * first + share * (1 - share) * second / 1.5)


def coulomb_correction(Z: float) -> float:
    """Return f(Z) of H. Davies, H. A. Bethe, L. C. Maximon, Phys. Rev. 93 (1954) 788."""
    a = (ALPHA * Z) ** 2
    return a * (1 / (1 + a) + 0.20206 - 0.0369 * a + 0.0083 * a**2 - 0.002 * a**3)


def _screened(Z: float, momentum: Array) -> tuple[Array, Array]:
    """Return φ1 and φ2 less 4 ln Z/3, at the least recoil `momentum` in units of m/2.

    They fall below zero near the threshold of pair production, where the spectrum becomes even.
    """
    d = 136 * Z ** (-1 / 3) * momentum
    beyond = 21.12 - 4.184 * np.log(d + 0.952)
    first = np.where(d <= 1, 20.867 - 3.242 * d + 0.625 * d**2, beyond)
    second = np.where(d <= 1, 20.209 - 1.930 * d - 0.086 * d**2, beyond)
    less = 4 / 3 * math.log(Z)
    return np.maximum(first - less, LEAST), np.maximum(second - less, LEAST)


def radiation_length(material: Material) -> float:
    """Return X0 by Tsai, eq. 3.66: 1/X0 = 4α r² N {Z² [ln(184.15/Z^⅓) - f] + Z ln(1194/Z^⅔)}.

    Light elements have logarithms of their own: 5.31 and 6.144 for hydrogen (Tsai, table B.2).
    """
    total = 0.0
    for element, number in material.atoms:
        Z = element.Z
        elastic, inelastic = math.log(184.15 * Z ** (-1 / 3)), math.log(1194 * Z ** (-2 / 3))
        if Z == 1:
            elastic, inelastic = 5.31, 6.144
        total += number * (Z**2 * (elastic - coulomb_correction(Z)) + Z * inelastic)
    return 1 / (4 * ALPHA * RADIUS**2 * material.molecules * total)


# ---- electrons and positrons ----


def collision_loss(material: Material, energy: Array, charge: int) -> Array:
    """Return the mean energy lost to electrons, MeV/cm, of all transfers (ICRU 37, eq. 2.11).

    2π r² m n/β² {ln[τ² (τ + 2) / 2 (I/m)²] + F - δ}, with F of electrons (Møller) up to T/2, and of
    positrons (Bhabha) up to T.
    """
    t = energy / MASS
    g2 = (t + 1) ** 2
    b2 = 1 - 1 / g2
    if charge < 0:
        f = 1 - b2 + (t**2 / 8 - (2 * t + 1) * math.log(2)) / g2
    else:
        y = t + 2
        f = 2 * math.log(2) - b2 / 12 * (23 + 14 / y + 10 / y**2 + 4 / y**3)
    excitation = material.excitation * 1e-6 / MASS
    bracket = np.log(t**2 * (t + 2) / (2 * excitation**2)) + f - density_effect(material, energy)
    return np.asarray(electron_scale(material) / b2 * bracket)


def density_effect(material: Material, energy: Array) -> Array:
    """Return δ of Sternheimer, Berger and Seltzer."""
    c, x0, x1, a, m, d0 = material.sternheimer
    t = energy / MASS
    x = np.log10(np.sqrt(t * (t + 2)))
    beyond = 2 * math.log(10) * x - c
    between = beyond + a * np.maximum(x1 - x, 0) ** m
    return np.where(x >= x0, between, d0 * 10 ** (2 * (x - x0)))


def moller(energy: Array, transfer: Array) -> Array:
    """Return dσ/dW up to 2π r² m/β² of e- e- -> e- e-, W <= T/2 the energy of the slower."""
    g = energy / MASS + 1
    rest = energy - transfer
    mixed = (2 * g - 1) / g**2
    return np.asarray(
        (1 + (transfer / rest) ** 2 - mixed * transfer / rest) / transfer**2
        + ((g - 1) / g / energy) ** 2
    )


def bhabha(energy: Array, transfer: Array) -> Array:
    """Return dσ/dW up to 2π r² m/β² of e+ e- -> e+ e-, W <= T the energy of the electron."""
    g = energy / MASS + 1
    y, e = 1 / (g + 1), transfer / energy
    half = 1 - 2 * y
    b1, b2 = 2 - y**2, half * (3 + y**2)
    b3, b4 = half**2 + half**3, half**3
    beta2 = 1 - 1 / g**2
    series = 1 - beta2 * (b1 * e - b2 * e**2 + b3 * e**3 - b4 * e**4)
    return np.asarray(series / transfer**2)


def electron_scale(material: Material) -> float:
    """Return 2π r² m n, MeV/cm: the scale of energy that is lost to electrons."""
    return 2 * math.pi * RADIUS**2 * MASS * material.electrons


def radiative_loss(material: Material, energy: Array, charge: int) -> Array:
    """Return the mean energy lost to bremsstrahlung, MeV/cm.

    Positrons lose less by the factor that F. Salvat gives (PENELOPE-2018, NEA/MBDAV/R(2019)1,
    eq. 3.152) for the results of L. Kim et al., Phys. Rev. A 33 (1986) 3002.
    """
    loss = material.density * _tabulated(material.radiative, lambda t: t + MASS, energy)
    return loss if charge < 0 else loss * _positron_share(material, energy)


def _positron_share(material: Material, energy: Array) -> Array:
    Z = sum(n * e.Z**2 for e, n in material.atoms) / material.charges
    t = np.log1p(1e6 / Z**2 * energy / MASS)
    powers = (0, -1.2359e-1, 6.1274e-2, -3.1516e-2, 7.7446e-3, -1.0595e-3, 7.0568e-5, -1.8080e-6)
    return np.asarray(-np.expm1(np.polynomial.polynomial.polyval(t, powers)))


def bremsstrahlung_spectrum(Z: float, energy: Array, photon: Array) -> Array:
    """Return k dσ/dk up to a constant, of photons of energy k of an electron of kinetic energy T.

    Bethe and Heitler with screening, as in `pair_spectrum`, E the total energy and y = k/E:
    [1 + (1 - y)²] (φ1 - 4 ln Z/3) - ⅔ (1 - y) (φ2 - 4 ln Z/3).
    """
    total = energy + MASS
    y = photon / total
    first, second = _screened(Z, MASS * photon / (total * (total - photon)))
    return np.asarray((1 + (1 - y) ** 2) * first - (1 - y) * second / 1.5)


def annihilation(energy: Array) -> Array:
    """Return the cross section of e+ e- -> γγ in flight, of an electron at rest (Heitler, 27.6)."""
    g = energy / MASS + 1
    root = np.sqrt(g**2 - 1)
    bracket = (g**2 + 4 * g + 1) / root**2 * np.log(g + root) - (g + 3) / root
    return np.asarray(math.pi * RADIUS**2 / (g + 1) * bracket)


def annihilation_spectrum(energy: Array, share: Array) -> Array:
    """Return dσ/dε up to a constant, ε the share of the energy T + 2m of one of both photons."""
    g = energy / MASS + 1

    def of_one(e: Array) -> Array:
        return np.asarray(-((g + 1) ** 2) + (g**2 + 4 * g + 1) / e - 1 / e**2)

    return np.maximum(of_one(share) + of_one(1 - share), 0)


def transport_rate(material: Material, energy: Array, charge: int) -> Array:
    """Return 1/λ, 1/cm: the mean of 1 - cos θ by elastic scattering, in a cm.

    Electrons of atoms deflect as a nucleus of charge 1 each: they add Z to Z².
    """
    section = _tabulated(
        material.transport[charge > 0], lambda t: ((t + MASS) / (t * (t + 2 * MASS))) ** 2, energy
    )
    nuclei = sum(number * element.Z**2 for element, number in material.atoms)
    return material.molecules * BARN * section * (1 + material.charges / nuclei)


def _tabulated(values: tuple[float, ...], shape: Callable[[Array], Array], energy: Array) -> Array:
    """Return what is known at `ENERGIES`, interpolated and continued as its high-energy shape."""
    ratio = np.log(np.array(values) / shape(ENERGIES))
    return np.asarray(np.exp(np.interp(np.log(energy), np.log(ENERGIES), ratio)) * shape(energy))
