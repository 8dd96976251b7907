"""How many events are worked on at once: as many as are good for speed, if memory holds them."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class AtOnce:
    """Work on events that takes up to `bytes` at a time, and no more than `events`, if given.

    Events of a few numbers are bounded by their number, images by their bytes.
    """

    bytes: int
    events: int | None = None

    def of(self, event_bytes: int) -> int:
        """Return how many events of so many bytes each are taken at once, one at least."""
        fitting = max(1, self.bytes // max(1, event_bytes))
        return fitting if self.events is None else min(self.events, fitting)
