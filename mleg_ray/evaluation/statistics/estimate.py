"""What a figure of merit is: a number with uncertainty and floor, or why there is none."""

import math
from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, Tag, computed_field

from mleg_ray.config import Config
from mleg_ray.console import written
from mleg_ray.errors import DataError

Direction = Literal["lower", "higher", "equal"]
Verdict = Literal["at the floor", "visible", "large"]

FLOOR_SIGMAS = 3.0
LARGE_SIGMAS = 10.0
LIMIT_SIGMAS = 2.0  # a limit excludes what is as many standard deviations off


class NotComputableError(DataError):
    """A figure cannot be computed from these events; the message completes "because ..."."""


class Curve(Config):
    """Points of a picture that belongs to a figure, with errors of y where they are known."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    error: tuple[float, ...] = ()


class Estimate(Config):
    """A figure of merit with its uncertainty, beside the same figure between two truth samples.

    `events` is the number of generated events that enter, and of truth events unless the metric
    says otherwise. `direction` says which way is better, "equal" that neither is. `p_value`, where
    it is defined, is the probability that two samples of one distribution differ as much. `sigmas`
    is the significance of a figure that is inverse to what was measured, as a number of events is
    to the difference that they show. `curves` are what a picture of the figure needs, by name.
    """

    # The computed fields are written for readers of the JSON and ignored when it is read back.
    model_config = ConfigDict(extra="ignore")

    value: float
    uncertainty: float
    floor: float
    floor_spread: float
    events: int
    direction: Direction = "lower"
    p_value: float | None = None
    sigmas: float | None = None
    curves: dict[str, Curve] = {}

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own documented idiom
    @property
    def significance(self) -> float:
        """Distance from the floor to the worse side in combined standard deviations.

        It is 0 on the floor's better side, where there is one; a difference without any uncertainty
        counts as large.
        """
        if self.sigmas is not None:
            return max(self.sigmas, 0.0)
        above = self.value - self.floor
        worse = {"lower": above, "higher": -above, "equal": abs(above)}[self.direction]
        if worse <= 0:
            return 0.0
        sigma = math.hypot(self.uncertainty, self.floor_spread)
        return worse / sigma if sigma > 0 else 2 * LARGE_SIGMAS

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Return "at the floor" within 3 combined sigma, "visible" within 10, else "large".

        Like any significance it speaks of these sample sizes: more events resolve more.
        """
        if self.significance <= FLOOR_SIGMAS:
            return "at the floor"
        return "visible" if self.significance <= LARGE_SIGMAS else "large"

    def __str__(self) -> str:
        difference = "" if self.verdict == "at the floor" else " difference"
        floor = written(self.floor, self.floor_spread)
        return f"{written(self.value, self.uncertainty)}, floor {floor}: {self.verdict}{difference}"


class NotComputable(Config):
    """Stands where a figure would be; `reason` completes "not computable, because ..."."""

    reason: str

    def __str__(self) -> str:
        return f"not computable, because {self.reason}"


class Reading(Config):
    """A number that the truth has no counterpart of, so it has neither floor nor verdict.

    A `lower_limit` is all that is known where these events do not resolve a figure of which more
    is better.
    """

    value: float
    note: str
    lower_limit: bool = False

    @property
    def text(self) -> str:
        """The value with three significant digits, such as 526,000; of a limit: > 526,000."""
        rounded = float(f"{self.value:.3g}")
        digits = 2 - math.floor(math.log10(abs(rounded))) if rounded else 0
        text = f"{rounded:,.{max(0, digits)}f}"
        return f"> {text}" if self.lower_limit else text

    def __str__(self) -> str:
        return f"{self.text} ({self.note})"


def _tag(value: object) -> str:
    """Tell the kinds of figures apart: each has a key that the others lack."""
    for key in ("reason", "note"):
        if hasattr(value, key) or (isinstance(value, dict) and key in value):
            return key
    return "floor"


Figure = Annotated[
    Annotated[Estimate, Tag("floor")]
    | Annotated[NotComputable, Tag("reason")]
    | Annotated[Reading, Tag("note")],
    Discriminator(_tag),
]
