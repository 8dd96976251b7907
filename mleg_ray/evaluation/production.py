"""How fast a sample was generated and written, from its provenance."""

from collections.abc import Mapping

from mleg_ray.evaluation.estimate import NotComputableError, Reading

MINIMUM_SECONDS = 30.0


def events_per_second(provenance: Mapping[str, object]) -> Reading:
    """Return the written events over the wall time of the run that made them, start-up included.

    Raises:
        NotComputableError: no run is on record, or it took less than 30 s.
    """
    production = provenance.get("production")
    if not isinstance(production, Mapping):
        raise NotComputableError("the sample has no record of the run that generated it")
    if production["seconds"] < MINIMUM_SECONDS:
        raise NotComputableError(
            f"the run took {production['seconds']:.1f} s; {MINIMUM_SECONDS:.0f} s are needed"
        )
    return Reading(
        value=production["events_per_second"], note=f"events/s, {production['workers']} workers"
    )
