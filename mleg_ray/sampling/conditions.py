"""The conditions under which a model generates: what it was trained on and what is asked of it."""

from collections.abc import Container, Mapping

from mleg_ray.checkpoint import Card
from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.sampling.plan import SampleSpec
from mleg_ray.sampling.spectra import Spectrum, constant


class Extrapolation(Config):
    """A condition outside the trained range, `distance` away from its nearer end.

    Of a spectrum, `value` is the end that lies farther outside.
    """

    value: float
    trained: tuple[float, float]
    distance: float


def resolve_conditions(
    card: Card, given: Mapping[str, Spectrum], folded: Container[str] = ()
) -> dict[str, Spectrum]:
    """Return the spectra of the model's conditions, in the schema's order.

    Those of `folded` events are left out.

    Raises:
        ConfigError: an unknown condition, one that is missing, or another value than the only one
            that the model was trained on.
    """
    fixed, names = card.dataset.conditions, card.dataset.schema_.conditions
    names = tuple(name for name in names if name not in folded)
    for name, spectrum in given.items():
        if name not in names:
            known = ", ".join(names) or "none"
            raise ConfigError(
                f"--condition {name}: not a condition of the checkpoint, which has: {known}"
            )
        if name in fixed and spectrum.only != fixed[name]:
            raise ConfigError(
                f"--condition {name}={spectrum.told}: the checkpoint was trained at "
                f"{name} = {fixed[name]:g} alone; leave the option out or take another checkpoint"
            )
    for name in names:
        if name not in fixed and name not in given:
            if name in card.dataset.schema_.truth:
                raise ConfigError(
                    "the checkpoint is a detector's, which measures the events of a dataset: "
                    "`mleg fold CHECKPOINT DATASET`"
                )
            low, high = card.condition_range[name]
            raise ConfigError(
                f"the checkpoint needs --condition {name}=VALUE; "
                f"it was trained from {low:g} to {high:g}"
            )
    return {name: constant(fixed[name]) if name in fixed else given[name] for name in names}


def extrapolations(card: Card, spec: SampleSpec) -> dict[str, Extrapolation]:
    """Return the conditions of a sample that lie outside what its model was trained on."""
    ranges = {name: spectrum.range for name, spectrum in spec.conditions.items()}
    ranges |= spec.folds.ranges if spec.folds else {}
    return beyond(card, ranges)


def beyond(card: Card, ranges: Mapping[str, tuple[float, float]]) -> dict[str, Extrapolation]:
    """Return the conditions whose smallest or largest value lies outside the trained range."""
    found = {}
    for name, (smallest, largest) in ranges.items():
        low, high = card.condition_range[name]
        distance, value = max((low - smallest, smallest), (largest - high, largest))
        if distance > 0:
            found[name] = Extrapolation(value=value, trained=(low, high), distance=distance)
    return found
