"""Settings of Pythia 8, which itself reads many wrong values as others."""

from collections.abc import Callable, Mapping
from typing import Any

from mleg_ray.errors import ConfigError

FLAGS = ("on", "off", "yes", "no", "true", "false", "1", "0")
# What a source says itself: the beams and their energy, seeds, and spectra of supersymmetry.
TAKEN = ("beams:", "random:", "slha:file")
NAMES = ("name", "antiname", "names", "all", "new")  # properties of particles that begin with words


def _is_flag(value: str) -> bool:
    return value.lower() in FLAGS


def _is_number(value: str, kind: Callable[[str], float] = float) -> bool:
    try:
        kind(value)
    except ValueError:
        return False
    return True


def _is_whole(value: str) -> bool:
    return _is_number(value, int)


def _are_numbers_or_flags(value: str) -> bool:
    return all(_is_flag(word) or _is_number(word) for word in value.split())


def _is_anything(value: str) -> bool:
    return True


# What Pythia's kinds of settings hold; of lists it reads each entry itself.
HOLDS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "isFlag": (_is_flag, f"one of {', '.join(FLAGS)}"),
    "isMode": (_is_whole, "a whole number"),
    "isParm": (_is_number, "a number"),
    **dict.fromkeys(("isWord", "isFVec", "isMVec", "isPVec", "isWVec"), (_is_anything, "")),
}
OF_PARTICLES = (_are_numbers_or_flags, "numbers, or 'on' or 'off'")


def require_settings(pythia: Any, settings: Mapping[str, str]) -> None:  # noqa: ANN401 - no types
    """Change the settings of a Pythia.

    Pythia 8.3 takes each flag that it does not know for off, the first digits of `1.5` for a whole
    number, and words in the place of a particle's numbers for 0: all of these are refused.

    Raises:
        ConfigError: there is no such setting, it holds no such value, or the source has its own.
    """
    for key, value in settings.items():
        told = f'"{key}"'
        if key.lower().startswith(TAKEN):
            raise ConfigError(
                f"{told}: two protons at √s = source.energy collide, with seeds from source.seed; "
                "leave it out (a spectrum of supersymmetry is `stop` or `slha` of the process)"
            )
        holds, what = _held(pythia, key)
        if not holds(value.strip()):
            raise ConfigError(f"{told}: it holds {what} (got '{value}')")
        if not pythia.readString(f"{key} = {value}", False):
            raise ConfigError(
                f"{told}: Pythia has no such property of a particle, or refuses the value '{value}'"
            )


def _held(pythia: Any, key: str) -> tuple[Callable[[str], bool], str]:  # noqa: ANN401 - no types
    if key[:1].isdigit():  # id:property, or id:channel:property
        named = key.lower().rpartition(":")[2] in NAMES
        return HOLDS["isWord"] if named else OF_PARTICLES
    for kind, held in HOLDS.items():
        if getattr(pythia.settings, kind)(key):
            return held
    raise ConfigError(f'"{key}": Pythia has no such setting')
