"""Conversion between the units a field may have."""

import math

from mleg_ray.errors import ConfigError
from mleg_ray.events import Unit

# unit -> (dimension, value of one unit in the dimension's first unit)
_UNITS: dict[Unit, tuple[str, float]] = {
    "GeV": ("energy", 1.0),
    "MeV": ("energy", 1e-3),
    "TeV": ("energy", 1e3),
    "rad": ("angle", 1.0),
    "deg": ("angle", math.pi / 180),
    "cm": ("length", 1.0),
    "mm": ("length", 0.1),
    "1": ("pure number", 1.0),
}


def conversion(given: Unit, wanted: Unit, where: str) -> float:
    """Return the factor that turns numbers in `given` into numbers in `wanted`.

    Raises:
        ConfigError: the units measure different things; the message starts with `where`.
    """
    (dimension, value), (wanted_dimension, wanted_value) = _UNITS[given], _UNITS[wanted]
    if dimension != wanted_dimension:
        raise ConfigError(
            f"{where}: {given} ({dimension}) cannot be converted to {wanted} ({wanted_dimension})"
        )
    return 1.0 if given == wanted else value / wanted_value
