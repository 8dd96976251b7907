"""What the numbers of one column are, and the steps that make features of them."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mleg_ray.errors import ConfigError
from mleg_ray.features.steps.base import prefixed
from mleg_ray.fitting.finding import Finding

Numbers = NDArray[np.float64]
Kind = Literal["number", "values", "count", "angle", "degrees", "label"]
KINDS: tuple[Kind, ...] = ("number", "values", "count", "angle", "degrees", "label")

MOST_VALUES = 256  # of a column that is no continuous number
EACH = 20  # times that each of them occurs in the mean
MOST_LEVELS = 1000  # of a count, each with a probability of its own
SPIKE = 0.005  # the share of the events at one value
ABOVE_NEIGHBOURS = 10  # times the share of any value near it
NEAR = 10  # values to each side
TIES = 5e-4  # the largest share of one value in a distribution that `quantile` takes
LEAST_IN_TAIL = 25  # train events beyond the last quantile
INTEGERS_OF_SINGLE = 2**24  # beyond, single precision has not each whole number
TURN = 2 * math.pi
REACH = 0.01  # of a turn, from the ends of its range to the outermost angles

ANGLES = re.compile(r"(^|[^a-z])(d?phi|azimuth|angle)([^a-z]|$)", re.IGNORECASE)
IDENTIFIERS = re.compile(
    r"^(run|event|evt|lumi|ls|luminosity_?block|lumi_?block|bx|orbit|index|id|entry|time_?stamp|"
    r"unix_?time|(run|event|evt|lumi)_?(id|number|nr|no|num))$",
    re.IGNORECASE,
)
NAME_EVENTS = re.compile(r"^(event|evt|index|id|entry)", re.IGNORECASE)


@dataclass(frozen=True)
class Nature:
    """What a column is: its kind, the precision in which it is stored, and its steps.

    Each step is its table in a recipe without `fields`, beside the prefix of what it leaves for the
    next one. `edges` are the ends beyond which no number will be generated.
    """

    kind: Kind
    dtype: str = "float32"
    unit: str = "1"
    steps: tuple[tuple[Mapping[str, Any], str], ...] = ()
    edges: tuple[float | None, float | None] = (None, None)

    def features(self, name: str) -> list[tuple[dict[str, Any], str]]:
        """Return the steps of a field with the column that each reads."""
        found = []
        for settings, prefix in self.steps:
            found.append((dict(settings), name))
            name = prefixed(name, prefix)
        return found


@dataclass(frozen=True)
class Examined:
    """A column's nature, and what was found on the way to it."""

    nature: Nature
    findings: tuple[Finding, ...] = ()


def examine(name: str, x: Numbers, asked: Kind | None = None) -> Examined:
    """Tell what the finite numbers x (n,) of a column are, or treat them as `asked`.

    Raises:
        ConfigError: they cannot be what was asked.
    """
    values, counts = np.unique(x, return_counts=True)
    whole = bool((values == np.rint(values)).all())
    if asked is None:
        asked = _kind(name, values, whole, len(x))
    made: Callable[..., Examined] = {
        "label": _label,
        "angle": _angle,
        "degrees": _degrees,
        "values": _values,
        "count": _count,
        "number": _number,
    }[asked]
    return made(name, x, values, counts)


def _kind(name: str, values: Numbers, whole: bool, n: int) -> Kind:
    """Return the kind by name and numbers; a constant is told before."""
    low, high = float(values[0]), float(values[-1])
    if whole and (IDENTIFIERS.match(name) or max(-low, high) >= INTEGERS_OF_SINGLE):
        return "label"
    if whole and len(values) == n and high - low == n - 1:
        return "label"  # rows that are numbered
    if len(values) <= MOST_VALUES and len(values) * EACH <= n:
        filled = whole and low >= 0 and len(values) > 0.8 * (high + 1) and high > 2
        return "count" if filled else "values"
    if whole:
        return "count"
    if _turn(low, high) is not None:
        return "angle"
    if ANGLES.search(name) and (_spans(low, high, -180, 180) or _spans(low, high, 0, 360)):
        return "degrees"
    return "number"


def _spans(low: float, high: float, start: float, stop: float) -> bool:
    """Tell whether numbers from `low` to `high` fill a range, and none lies outside."""
    reach = REACH * (stop - start)
    return start <= low + 1e-5 and low <= start + reach and stop - reach <= high <= stop + 1e-5


def _turn(low: float, high: float) -> float | None:
    """Return where the turn begins that angles from `low` to `high` fill, if they do."""
    if _spans(low, high, -math.pi, math.pi):
        return -math.pi
    return 0.0 if _spans(low, high, 0, TURN) else None


def _label(name: str, x: Numbers, values: Numbers, counts: NDArray[np.int64]) -> Examined:
    whole = bool((values == np.rint(values)).all())
    exact = whole and bool(np.abs(values).max() <= np.iinfo(np.int32).max)
    seen = f"{len(values):,} values from {values[0]:.15g} to {values[-1]:.15g} in {len(x):,} rows"
    finding = Finding(
        (name,),
        f"{seen}, which name the event",
        "kept as a label that no generator sees or makes",
        f"--as {name}=count",
    )
    return Examined(Nature("label", "int32" if exact else "float64"), (finding,))


def _angle(name: str, x: Numbers, values: Numbers, counts: NDArray[np.int64]) -> Examined:
    low, high = float(values[0]), float(values[-1])
    if high - low > TURN * (1 + 1e-6):
        raise ConfigError(
            f"--as {name}=angle: it runs from {low:g} to {high:g}, more than a turn of 2π; say "
            f"--as {name}=degrees if these are degrees"
        )
    turn = _turn(low, high)
    if turn is None:
        turn = 0.0 if low >= 0 and high > math.pi else -math.pi
    told = "-π to π" if turn else "0 to 2π"
    finding = Finding(
        (name,),
        f"from {low:.5g} to {high:.5g}: an angle in radians, {told}",
        "generated on the circle, without a seam",
        f"--as {name}=number",
    )
    step = ({"kind": "angle"} | ({} if turn else {"low": 0.0}), "turn")
    return Examined(Nature("angle", unit="rad", steps=(step,)), (finding,))


def _degrees(name: str, x: Numbers, values: Numbers, counts: NDArray[np.int64]) -> Examined:
    nature, (finding,) = vars(_angle(name, np.radians(x), np.radians(values), counts)).values()
    finding = replace(
        finding,
        seen=f"from {values[0]:.5g} to {values[-1]:.5g}: an angle in degrees",
        decided="imported in radians, and generated on the circle, without a seam",
    )
    return Examined(replace(nature, kind="degrees"), (finding,))


def _values(name: str, x: Numbers, values: Numbers, counts: NDArray[np.int64]) -> Examined:
    if len(values) > MOST_LEVELS:
        raise ConfigError(
            f"--as {name}=values: it has {len(values):,} values, and at most {MOST_LEVELS:,} get a "
            "probability each; say number or count"
        )
    whole = bool((values == np.rint(values)).all())
    told = ", ".join(f"{value:.6g}" for value in values[:6])
    finding = Finding(
        (name,),
        f"{len(values)} values: {told}{', ...' if len(values) > 6 else ''}",
        "a category: one of these will be generated, and nothing between",
        f"--as {name}=number",
    )
    steps: tuple[tuple[Mapping[str, Any], str], ...] = (
        ({"kind": "dequantise", "levels": len(values)}, "level"),
    )
    if values.tolist() != list(range(len(values))):
        steps = (({"kind": "values", "values": values.tolist()}, "place"), *steps)
    dtype = _integer(values) if whole else "float32"
    return Examined(Nature("values", dtype, steps=steps), (finding,))


def _count(name: str, x: Numbers, values: Numbers, counts: NDArray[np.int64]) -> Examined:
    if not (values == np.rint(values)).all():
        raise ConfigError(f"--as {name}=count: not all of its numbers are whole")
    low, high = float(values[0]), float(values[-1])
    seen = f"whole numbers from {low:g} to {high:g}"
    finding = Finding(
        (name,), seen, "whole numbers will be generated", f"--as {name}=values, or number"
    )
    if low >= 0 and high < MOST_LEVELS:
        step = ({"kind": "dequantise", "levels": int(high) + 1}, "level")
        return Examined(Nature("count", _integer(values), steps=(step,)), (finding,))
    spread = x + np.random.default_rng(1).random(len(x))
    number = _smooth(spread)
    steps = (({"kind": "uniform-dequantise"}, "spread"), *number.steps)
    return Examined(Nature("count", _integer(values), steps=steps), (finding,))


def _integer(values: Numbers) -> str:
    """Return the smallest type that holds whole numbers; double precision beyond 2³¹."""
    for dtype in ("int8", "int16", "int32"):
        limits = np.iinfo(dtype)
        if limits.min <= values[0] and values[-1] <= limits.max:
            return dtype
    return "float64"


def _number(name: str, x: Numbers, values: Numbers, counts: NDArray[np.int64]) -> Examined:
    """Treat a number that is continuous, but for values that it often has."""
    spikes = _spikes(values, counts)
    if len(spikes) == len(values):
        return _values(name, x, values, counts)
    at = values[spikes]
    elsewhere = x[~np.isin(x, at)]
    nature = _smooth(elsewhere)
    findings = []
    for i in spikes:
        gap = values[i] < elsewhere.min() or values[i] > elsewhere.max()
        far = gap and _is_far(values[i], elsewhere)
        near = counts[max(0, i - NEAR) : i + NEAR + 1]
        others = int(np.sort(near)[-2]) if len(near) > 1 else 0
        findings.append(
            Finding(
                (name,),
                f"{values[i]:.6g} in {counts[i]:,} of {len(x):,} events, {counts[i] / len(x):.1%}, "
                f"and no value near it in more than {others:,}"
                + (", far from all others: it tells that there is no number" if far else ""),
                "generated exactly, with a probability of its own",
                "its `atoms` step in the recipe",
            )
        )
    if spikes.size:
        steps = (({"kind": "atoms", "at": at.tolist()}, "free"), *nature.steps)
        low, high = nature.edges
        low = None if low is None else min(low, float(at[0]))
        high = None if high is None else max(high, float(at[-1]))
        nature = replace(nature, steps=steps, edges=(low, high))
    words = zip(("less", "more"), nature.edges, strict=True)
    if told := [f"no {word} than {edge:.6g}" for word, edge in words if edge is not None]:
        findings.append(
            Finding(
                (name,),
                f"the distribution ends sharply: {' and '.join(told)}",
                "nothing beyond will be generated",
                "`open` of its `quantile` step in the recipe",
            )
        )
    return Examined(nature, tuple(findings))


def _is_far(value: float, others: Numbers) -> bool:
    low, high = others.min(), others.max()
    return bool(min(abs(value - low), abs(value - high)) > high - low)


def _spikes(values: Numbers, counts: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the places of the values that occur far more often than any other near them.

    Spikes beside each other do not hide each other: each is compared with what is no candidate.
    """
    often = counts >= max(SPIKE * counts.sum(), ABOVE_NEIGHBOURS)
    found = []
    for i in np.flatnonzero(often):
        near = np.r_[counts[max(0, i - NEAR) : i], counts[i + 1 : i + NEAR + 1]]
        rare = np.r_[often[max(0, i - NEAR) : i], often[i + 1 : i + NEAR + 1]]
        others = near[~rare]
        if others.size and counts[i] >= ABOVE_NEIGHBOURS * others.max():
            found.append(i)
    return np.array(found, dtype=np.intp)


def _smooth(x: Numbers) -> Nature:
    """Return the steps of a continuous number, by where its distribution ends.

    A logarithm where all are positive and thin out towards zero or far above; then `quantile`,
    closed where the end is sharp. What has too many equal numbers for that is kept between its
    edges by `interval`.
    """
    steps: list[tuple[Mapping[str, Any], str]] = []
    sharp = _sharp(x)
    low, high = float(x.min()), float(x.max())
    edges = (low if sharp[0] else None, high if sharp[1] else None)
    middle, far = np.quantile(x, [0.5, 0.999])
    if low > 0 and middle > 2 * low and (not sharp[0] or far > 5 * middle):
        steps.append(({"kind": "logarithm"}, "log"))
        edges = (edges[0] or 0.0, edges[1])
    elif low >= 0 and middle > 3 * low:
        sharp = (True, sharp[1])
        edges = (low, edges[1])
    ties = np.unique(x, return_counts=True)[1].max() - 1
    if ties < max(TIES * len(x), 2):
        tail = max(1e-3, math.ceil(LEAST_IN_TAIL / len(x) * 2e4) / 1e4)
        settings: dict[str, Any] = {"kind": "quantile"}
        sides = [side for side, end in zip(("low", "high"), sharp, strict=True) if not end]
        settings |= {} if len(sides) == 2 else {"open": sides}
        settings |= {} if tail == 1e-3 else {"tail": tail}
        steps.append((settings, "quantile"))
    elif all(sharp):
        beyond = (high - low) / 1000
        edges = (low - beyond, high + beyond)
        steps = [({"kind": "interval", "low": edges[0], "high": edges[1]}, "logit")]
    else:
        edges = (0.0 if steps else None, None)
    return Nature("number", steps=tuple(steps), edges=edges)


def _sharp(x: Numbers) -> tuple[bool, bool]:
    """Tell on which side the distribution ends sharply.

    The last 0.1% of a flat distribution with an end take a ninth of what the next 0.9% take, those
    of an exponential tail about as much or more; 0.6 is between, and that of a density which falls
    linearly to zero is 0.46.
    """
    t = max(1e-3, 20 / len(x))
    if 10 * t >= 0.5:
        return False, False
    low = np.quantile(x, [0.0, t, 10 * t])
    high = np.quantile(-x, [0.0, t, 10 * t])
    return tuple(  # type: ignore[return-value]
        bool((ends[1] - ends[0]) < 0.6 * (ends[2] - ends[1])) for ends in (low, high)
    )
