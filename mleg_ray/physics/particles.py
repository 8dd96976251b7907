"""The particles of an event, as event records tell them."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Option
from pydantic import FiniteFloat

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError

Column = Annotated[str, Option(pattern=r"-?[A-Za-z_]\w*")]


class Particle(Config):
    """A particle that every event has, incoming or in the final state.

    Each component of its four-momentum is the column of that name, in GeV, or with "-" in front the
    negative of it, or a number in GeV; `pdg_id` is that of the Monte Carlo numbering scheme.
    """

    pdg_id: int
    incoming: bool = False
    px: Column | FiniteFloat = 0.0
    py: Column | FiniteFloat = 0.0
    pz: Column | FiniteFloat = 0.0
    energy: Column | FiniteFloat

    @property
    def components(self) -> tuple[str | float, ...]:
        """px, py, pz and energy, as they were declared."""
        return self.px, self.py, self.pz, self.energy

    def require(self, units: Mapping[str, str]) -> None:
        """Raise `ConfigError` unless all columns are there, and in GeV."""
        for component in self.components:
            if isinstance(component, str) and units.get(component.removeprefix("-")) != "GeV":
                raise ConfigError(
                    f"particles: '{component}' is no column in GeV; those are "
                    f"{', '.join(name for name, unit in units.items() if unit == 'GeV')}"
                )

    def four_momentum(self, columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return px, py, pz, energy in GeV, of shape (n, 4)."""
        n = len(next(iter(columns.values())))
        parts = []
        for component in self.components:
            if isinstance(component, str):
                sign = -1.0 if component.startswith("-") else 1.0
                parts.append(sign * columns[component.removeprefix("-")])
            else:
                parts.append(np.full(n, component))
        return np.stack(parts, axis=1)


def beams(particles: Iterable[Particle]) -> tuple[Particle, Particle]:
    """Return the two incoming particles.

    Raises:
        ConfigError: there are not two.
    """
    incoming = [particle for particle in particles if particle.incoming]
    if len(incoming) != 2:
        raise ConfigError(f"particles: {len(incoming)} are incoming; event records need both beams")
    return incoming[0], incoming[1]
