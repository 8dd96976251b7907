"""Masses, and what collides, as event records tell it."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Option
from pydantic import FiniteFloat

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError

# GeV, Particle Data Group 2024
ELECTRON_MASS, MUON_MASS, KAON_MASS = 0.51099895e-3, 0.1056583755, 0.493677

Column = Annotated[str, Option(pattern=r"-?[A-Za-z_][\w.]*")]


class Beam(Config):
    """A particle that collides, of every event.

    Each component of its four-momentum is the column of that name, in GeV, or with "-" in front the
    negative of it, or a number in GeV; `pdg_id` is that of the Monte Carlo numbering scheme.
    """

    pdg_id: int
    px: Column | FiniteFloat = 0.0
    py: Column | FiniteFloat = 0.0
    pz: Column | FiniteFloat = 0.0
    energy: Column | FiniteFloat

    def require(self, units: Mapping[str, str]) -> None:
        """Raise `ConfigError` unless all columns are there, and in GeV."""
        for component in (self.px, self.py, self.pz, self.energy):
            if isinstance(component, str) and units.get(component.removeprefix("-")) != "GeV":
                raise ConfigError(
                    f"beams: '{component}' is no column in GeV; those are "
                    f"{', '.join(name for name, unit in units.items() if unit == 'GeV')}"
                )

    def four_momentum(
        self, columns: Mapping[str, NDArray[np.float64]], n: int
    ) -> NDArray[np.float64]:
        """Return px, py, pz, energy of n events in GeV, of shape (n, 4).

        >>> beam = Beam(pdg_id=2212, pz="-beam_energy", energy="beam_energy")
        >>> beam.four_momentum({"beam_energy": np.array([50.0])}, 1)
        array([[  0.,   0., -50.,  50.]])
        """
        parts = []
        for component in (self.px, self.py, self.pz, self.energy):
            if isinstance(component, str):
                sign = -1.0 if component.startswith("-") else 1.0
                parts.append(sign * columns[component.removeprefix("-")])
            else:
                parts.append(np.full(n, component))
        return np.stack(parts, axis=1)
