"""Spectra of supersymmetry in the SUSY Les Houches Accord (P. Skands et al., hep-ph/0311123)."""

import math
from pathlib import Path
from typing import Self

from pydantic import PositiveFloat, model_validator

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError, DataError

STOP, NEUTRALINO = 1000006, 1000022  # Particle Data Group numbers of the lightest ones
TOP_MASS, W_MASS, BOTTOM_MASS = 172.5, 80.4, 4.8  # GeV
HEAVY = 10_000  # GeV: out of reach
# All other superpartners: squarks, sleptons, sneutrinos, gluino, charginos and neutralinos.
OTHERS = (
    *range(1000001, 1000006),
    *range(2000001, 2000007),
    *range(1000011, 1000017),
    *(2000011, 2000013, 2000015, 1000021, 1000023, 1000024, 1000025, 1000035, 1000037),
)


class Stop(Config):
    """Masses (GeV) of the lighter top squark and of the lightest neutralino, which is stable.

    The squark decays to a top quark and the neutralino, below that mass to b W and the neutralino.
    All other superpartners are out of reach.
    """

    m_stop: PositiveFloat
    m_chi: PositiveFloat

    @model_validator(mode="after")
    def _decays(self) -> Self:
        if self.m_stop - self.m_chi <= W_MASS + BOTTOM_MASS:
            raise ConfigError(
                f"m_stop: {self.m_stop:g} GeV is too light to decay to b W and a neutralino of "
                f"{self.m_chi:g} GeV; choose more than {self.m_chi + W_MASS + BOTTOM_MASS:g} GeV"
            )
        return self

    def slha(self) -> str:
        """Return the spectrum and the decays as the accord writes them."""
        masses = {STOP: self.m_stop, NEUTRALINO: self.m_chi} | dict.fromkeys(OTHERS, HEAVY)
        to_top = self.m_stop - self.m_chi > TOP_MASS
        products = (6, NEUTRALINO) if to_top else (5, 24, NEUTRALINO)
        unit = [(i, j, float(i == j)) for i in (1, 2) for j in (1, 2)]
        lines = [
            *("BLOCK MODSEL", " 1 0", "BLOCK MASS"),
            *(f" {number} {mass:.8g}" for number, mass in masses.items()),
            *("BLOCK STOPMIX", *(f" {i} {j} {value:g}" for i, j, value in unit)),
            f"DECAY {STOP} 1.0",
            f" 1.0 {len(products)} {' '.join(map(str, products))}",
            f"DECAY {NEUTRALINO} 0.0",
        ]
        return "\n".join(lines) + "\n"


def _is_mass(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def read_slha(path: str) -> str:
    """Return the text of a file of the accord.

    Raises:
        DataError: it cannot be read, has no masses, or one that is no number.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as an SLHA file: {error}") from None
    block = ""
    masses = 0
    for line in text.splitlines():
        words = line.partition("#")[0].lower().split()
        if words[:1] in (["block"], ["decay"]):
            block = " ".join(words[:2])
        elif block == "block mass" and len(words) >= 2:
            masses += 1
            if not _is_mass(words[1]):
                raise DataError(
                    f"{path}: '{' '.join(words)}' of BLOCK MASS has no mass; give a file that a "
                    "spectrum calculator wrote"
                )
    if not masses:
        raise DataError(
            f"{path}: an SLHA file without masses: its BLOCK MASS is absent or empty; give one "
            "that a spectrum calculator wrote"
        )
    return text
