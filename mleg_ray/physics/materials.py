"""Materials of which detectors are made: composition, constants and published tables.

Densities, mean excitation energies and parameters of the density effect are those of R. M.
Sternheimer, M. J. Berger, S. M. Seltzer, At. Data Nucl. Data Tables 30 (1984) 261. The three tables
that no formula replaces are

- the radiative stopping power of electrons, of S. M. Seltzer and M. J. Berger, At. Data Nucl. Data
  Tables 35 (1986) 345, from which ESTAR of NIST has its own;
- the transport cross sections of electrons and positrons, of ICRU report 77 (2007);
- the photoelectric cross section, of L. Sabbatucci and F. Salvat, Radiat. Phys. Chem. 121 (2016)
  122,

all to three or four digits, as the material listing of PENELOPE-2018 prints them (F. Salvat,
NEA/MBDAV/R(2019)1).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

AVOGADRO = 6.02214076e23  # 1/mol

# MeV, of the tables of electrons and positrons.
ENERGIES = np.array([0.3, 0.5, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000])


@dataclass(frozen=True)
class Element:
    """An element: atomic number, atomic mass (g/mol), and its photoelectric effect.

    `photoelectric` are energies (MeV) and cross sections (barn), an edge being two energies close
    together; `binding` is the K shell's energy, MeV.
    """

    Z: int
    A: float
    binding: float
    photoelectric: tuple[tuple[float, float], ...]


HYDROGEN = Element(
    1, 1.008, 1.36e-5, ((0.03, 1.034e-4), (0.05, 1.777e-5), (0.1, 1.654e-6), (1.0, 1.971e-9))
)
CARBON = Element(
    *(6, 12.011, 2.84e-4),
    (
        (0.03, 1.097),
        (0.05, 0.2004),
        (0.1, 0.01986),
        (0.2, 0.002045),
        (0.5, 1.316e-4),
        (1, 2.565e-5),
    ),
)
LEAD_ATOM = Element(
    *(82, 207.2, 0.0880),
    (
        *((0.03, 9725.0), (0.04, 4502.0), (0.06, 1497.0), (0.0879, 524.4), (0.0881, 2461.0)),
        *((0.1, 1782.0), (0.15, 616.9), (0.2, 288.1), (0.3, 99.79), (0.5, 28.15), (1.0, 6.167)),
        *((2.0, 1.708), (5.0, 0.4192), (10.0, 0.1707), (20.0, 0.07433)),
    ),
)


@dataclass(frozen=True)
class Material:
    """A material: density (g/cm³), atoms of each element in a molecule, and constants.

    `excitation` is the mean excitation energy (eV); `sternheimer` are C, x0, x1, a, m and δ0 of the
    density effect. At `ENERGIES`, `radiative` is the radiative stopping power of electrons (MeV
    cm²/g) and `transport` the first transport cross section, ∫ (1 - cos θ) dσ (barn), of electrons
    and of positrons off the nuclei of a molecule.
    """

    density: float
    atoms: tuple[tuple[Element, int], ...]
    excitation: float
    sternheimer: tuple[float, float, float, float, float, float]
    radiative: tuple[float, ...]
    transport: tuple[tuple[float, ...], tuple[float, ...]]

    @property
    def molar_mass(self) -> float:
        """The mass of a mole of molecules, g."""
        return sum(number * element.A for element, number in self.atoms)

    @property
    def molecules(self) -> float:
        """Molecules in 1 cm³."""
        return self.density * AVOGADRO / self.molar_mass

    @property
    def charges(self) -> int:
        """The electrons of a molecule."""
        return sum(number * element.Z for element, number in self.atoms)

    @property
    def electrons(self) -> float:
        """Electrons in 1 cm³."""
        return self.molecules * self.charges


MATERIALS = {
    "lead": Material(
        11.35,
        ((LEAD_ATOM, 1),),
        823.0,
        (6.2018, 0.3776, 3.8073, 0.09359, 3.1608, 0.14),
        (
            *(0.06443, 0.08193, 0.1285, 0.2311, 0.3411, 0.5743, 1.202),
            *(2.553, 3.967, 6.881, 14.38, 29.68, 76.07, 153.9),
        ),
        (
            (
                *(29410, 13810, 4948, 1707, 887.7, 375.7, 110.0),
                *(30.15, 13.77, 5.033, 1.265, 0.3038, 0.04823, 0.01203),
            ),
            (
                *(19120, 8887, 3201, 1138, 605.8, 265.4, 82.12),
                *(24.2, 11.63, 4.528, 1.206, 0.2936, 0.0476, 0.01195),
            ),
        ),
    ),
    "polystyrene": Material(
        1.06,
        ((CARBON, 1), (HYDROGEN, 1)),
        68.7,
        (3.2999, 0.1647, 2.5031, 0.16454, 3.2224, 0.0),
        (
            *(0.004263, 0.005666, 0.0101, 0.02128, 0.03433, 0.06368, 0.1467),
            *(0.3311, 0.5265, 0.9336, 1.994, 4.183, 10.87, 22.14),
        ),
        (
            (
                *(172.7, 77.32, 26.75, 9.119, 4.747, 2.024, 0.6056),
                *(0.1733, 0.08199, 0.03143, 0.008275, 0.002119, 3.41e-4, 8.533e-5),
            ),
            (
                *(168.6, 75.4, 26.07, 8.902, 4.64, 1.981, 0.594),
                *(0.1704, 0.08076, 0.03105, 0.008223, 0.002105, 3.399e-4, 8.519e-5),
            ),
        ),
    ),
}
