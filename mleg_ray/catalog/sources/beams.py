"""What sources of scattered electrons share: the electron, and the energies of the beams."""

from collections.abc import Mapping, Sequence

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema, Field, Group, Unit, four_momentum
from mleg_ray.physics.dis import BEAM_ENERGY

ELECTRON = four_momentum("electron")


class HeadOnBeams(Config):
    """Names of the conditions that are the beams' energies, one where both have the same."""

    electron_beam: str = BEAM_ENERGY
    proton_beam: str = BEAM_ENERGY

    @property
    def beams(self) -> tuple[str, ...]:
        """The names, each once."""
        return tuple(dict.fromkeys((self.electron_beam, self.proton_beam)))


def scattered_electron(
    beams: Sequence[str], units: Mapping[str, Unit] | None = None
) -> EventSchema:
    """Return the schema of an electron under the beams' energies, in `units` or else in GeV."""
    given = units or {}
    fields = [Field(name=name, unit=given.get(name, "GeV")) for name in ELECTRON]
    fields += [Field(name=n, unit=given.get(n, "GeV"), role="condition") for n in beams]
    return EventSchema(tuple(fields), {"electron": Group()})


def require_energies(kind: str, beams: Sequence[str], conditions: Mapping[str, float]) -> None:
    """Raise `ConfigError` unless each beam's energy is fixed and positive."""
    for name in beams:
        if name not in conditions:
            raise ConfigError(f"kind: {kind} needs conditions.{name}: it has one value")
        if conditions[name] <= 0:
            raise ConfigError(
                f"kind: {kind}: conditions.{name} is the energy of a beam and must be positive "
                f"(got {conditions[name]:g})"
            )
