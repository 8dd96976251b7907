"""How fast a sample was generated and written, from its provenance."""

from collections.abc import Mapping

from mleg_ray.console import counted
from mleg_ray.evaluation.metrics.base import ALL, Metric
from mleg_ray.evaluation.samples.provenance import recorded_number
from mleg_ray.evaluation.statistics.estimate import NotComputableError, Reading

MINIMUM_SECONDS = 30.0


def events_per_second(provenance: Mapping[str, object]) -> Reading:
    """Return the written events over the wall time of the run that made them, start-up included.

    Raises:
        NotComputableError: no run is on record, or it took less than 30 s.
    """
    seconds, rate, workers = (
        recorded_number(provenance, "production", key)
        for key in ("seconds", "events_per_second", "workers")
    )
    if seconds is None or rate is None or workers is None:
        raise NotComputableError("the sample has no record of the run that generated it")
    if seconds < MINIMUM_SECONDS:
        raise NotComputableError(
            f"the run took {seconds:.1f} s; {MINIMUM_SECONDS:.0f} s are needed"
        )
    return Reading(value=rate, note=f"events/s, {counted(int(workers), 'worker')}")


EVENTS_PER_SECOND = Metric(
    title="Events per second",
    meaning="written, the start of the run included",
    compute=lambda comparison, rng: {
        ALL: events_per_second(comparison.generated.origin.provenance)
    },
)
