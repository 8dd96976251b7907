"""Which columns are slots of objects: jet1_pt, jet2_pt, ..., padded where there is no object."""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mleg_ray.catalog.sources.readers import Lists
from mleg_ray.catalog.sources.tables import Slots
from mleg_ray.fitting.nature import EACH, SPIKE, Numbers
from mleg_ray.fitting.particles import part_of

NUMBER = re.compile(r"\d+")
FEW = 1e-3  # of the events, of which it need not be true
SLOT = "#"  # where the number of its slot stands in the name of a family's part


@dataclass(frozen=True)
class Family:
    """The objects of a group: by their parts the columns, and the numbers without padding.

    `ordered_by` is the part that falls from one object to the next.
    """

    group: str
    ordered_by: str
    slots: Mapping[str, Slots]
    lists: Mapping[str, Lists]


def columns_told(slots: Slots) -> str:
    """Return the columns as findings name them: "jet1_pt to jet4_pt"."""
    return f"{slots.slots[0]} to {slots.slots[-1]}"


def families(table: Mapping[str, Numbers]) -> list[Family]:
    """Return the families of padded columns in a table.

    The columns of a family's part differ in one number, which counts from 0 or 1 without a gap.
    Objects fill the first slots. Those that are absent have one and the same number in each of a
    part's columns, and in at least one part of continuous numbers no object has it. One part falls
    from each object to the next, such as p_T: else the place of a number may be what tells it, as
    of a shower's layers. Other columns are left as they are, as are those of objects that are never
    absent.
    """
    found: list[Family] = []
    taken: set[str] = set()
    for group, parts in _named_alike(table):
        values: dict[str, NDArray[np.float64]] = {}
        own: set[str] = set()
        for part, columns in parts.items():
            if (taken | own).isdisjoint(columns):
                values[part] = np.stack([table[column] for column in columns], axis=1)
                own |= set(columns)
        absent = _absent(values)
        if absent is None:
            continue
        slots, lists = {}, {}
        for part, x in values.items():
            padding = np.unique(x[absent])
            if len(padding) == 1:
                slots[part] = Slots(slots=tuple(parts[part]), padding=float(padding[0]))
                lists[part] = Lists((~absent).sum(axis=1), x[~absent])
        falling = [part for part in slots if _falls(values[part], ~absent)]
        order = next((part for part in ("pt", "energy", *falling) if part in falling), None)
        if order is not None:
            taken |= {column for part in slots for column in parts[part]}
            found.append(Family(group, order, slots, lists))
    return found


def _falls(x: NDArray[np.float64], there: NDArray[np.bool_]) -> bool:
    """Tell whether numbers (n, k) of the objects there fall from each to the next."""
    rises = (x[:, 1:] > x[:, :-1]) & there[:, 1:]
    return bool(rises.any(axis=1).mean() < FEW)


def _named_alike(names: Iterable[str]) -> list[tuple[str, dict[str, list[str]]]]:
    """Return groups and the columns in order of each part, of those whose numbers have no gap.

    Parts of one group have as many columns each.
    """
    columns: dict[tuple[str, str], dict[int, str]] = {}
    for name in names:
        for number in NUMBER.finditer(name):
            around = name[: number.start()], name[number.end() :]
            columns.setdefault(around, {})[int(number.group())] = name
    ordered = {
        around: [of[number] for number in sorted(of)]
        for around, of in columns.items()
        if len(of) > 1 and min(of) in (0, 1) and max(of) - min(of) == len(of) - 1
    }
    joined = {around: re.sub(r"[\W_]+", "_", "_".join(around)).strip("_") for around in ordered}
    # In the order of the columns: a set's would differ from process to process.
    stems = dict.fromkeys(told[0] for name in joined.values() if (told := part_of(name)))
    found: dict[tuple[str, int], dict[str, list[str]]] = {}
    for around, own in ordered.items():
        group, part = _group_and_part(joined[around], stems)
        found.setdefault((group, len(own)), {}).setdefault(part, own)
    return [(group, parts) for (group, _), parts in found.items()]


def _group_and_part(name: str, stems: Iterable[str]) -> tuple[str, str]:
    """Return ("jet", "btag") of "jet_btag" or "btag_jet", by what the particles are called."""
    if told := part_of(name):
        return told
    lower = name.lower()
    for stem in stems:
        if lower.startswith(f"{stem}_"):
            return stem, name[len(stem) + 1 :]
        if lower.endswith(f"_{stem}"):
            return stem, name[: -len(stem) - 1]
    group, _, part = name.partition("_")
    return group or "object", part or "value"


def _absent(values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.bool_] | None:
    """Return the slots (n, k) without an object, by the part that is padded the least often."""
    found = None
    for x in values.values():
        numbers, times = np.unique(x[:, -1], return_counts=True)
        absent = x == numbers[times.argmax()]
        filled_first = all((first <= then).all() for first, then in itertools.pairwise(absent.T))
        if not filled_first or absent[:, -1].mean() < SPIKE:
            continue
        if len(np.unique(x[~absent])) * EACH <= (~absent).sum():  # flags, or none is there
            continue
        if found is None or absent.sum() < found.sum():
            found = absent
    return found
