"""Rates of events that cannot be, and of events that an analysis would not select."""

from mleg_ray.evaluation.metrics.base import Metric
from mleg_ray.evaluation.samples.unphysical import SELECTION, UnphysicalTally
from mleg_ray.evaluation.statistics.estimate import Direction, Estimate, Figure, NotComputable


def unphysical_figures(truth: UnphysicalTally, generated: UnphysicalTally) -> dict[str, Figure]:
    """Return `unphysical_rate` by constraint; the floor is the truth's own rate."""
    # The truth was counted just now; tallies that were stored have lost the declared order.
    names = [name for name in truth.violating if not name.startswith(SELECTION)]
    return {name: _rate(truth, generated, name) for name in names}


def invalid_figures(truth: UnphysicalTally, generated: UnphysicalTally) -> dict[str, Figure]:
    """Return `invalid_event_rate`, in percent, by cut of the selection.

    R. Balanzá García, thesis (2023), eq. 6.6; the floor is the truth's own rate, and a lower one
    is no better: an analysis needs its selection's efficiency to be right. Without a selection
    there is no figure.
    """
    return {
        name.removeprefix(SELECTION): _rate(truth, generated, name, whole=100, direction="equal")
        for name in truth.violating
        if name.startswith(SELECTION)
    }


def _rate(
    truth: UnphysicalTally,
    generated: UnphysicalTally,
    name: str,
    whole: int = 1,
    direction: Direction = "lower",
) -> Figure:
    """Return a rate of which all events would be `whole`."""
    for whose, tally in (("truth's", truth), ("generated sample's", generated)):
        if tally.total.weight <= 0:
            return NotComputable(reason=f"the {whose} weights sum to {tally.total.weight:g}")
    value, uncertainty = generated.rate(name)
    floor, floor_spread = truth.rate(name)
    return Estimate(
        value=whole * value,
        uncertainty=whole * uncertainty,
        floor=whole * floor,
        floor_spread=whole * floor_spread,
        events=generated.total.events,
        direction=direction,
    )


UNPHYSICAL_RATE = Metric(
    title="Unphysical events",
    meaning="fraction of events that break a constraint",
    of_all_events=True,
    headline="Of {events} events.",
    compute=lambda comparison, rng: unphysical_figures(
        comparison.truth.unphysical, comparison.generated.unphysical
    ),
)
INVALID_EVENT_RATE = Metric(
    title="Invalid events, %",
    meaning="percent of events that fail the selection",
    of_all_events=True,
    compute=lambda comparison, rng: invalid_figures(
        comparison.truth.unphysical, comparison.generated.unphysical
    ),
)
