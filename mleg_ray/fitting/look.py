"""Look at a table of events: what its columns are, what they make together, and what to do."""

import itertools
import keyword
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mleg_ray.catalog.sources.readers import Lists
from mleg_ray.catalog.sources.tables import Slots
from mleg_ray.config import suggest
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import COUNT, Role, Unit
from mleg_ray.features.steps.base import prefixed
from mleg_ray.fitting.finding import Finding
from mleg_ray.fitting.nature import KINDS, NAME_EVENTS, Kind, Nature, Numbers, examine
from mleg_ray.fitting.particles import (
    POLAR,
    Particle,
    pair_mass,
    particles,
)
from mleg_ray.fitting.slots import SLOT, families
from mleg_ray.fitting.tables import Table
from mleg_ray.physics.kinematics import LEAST_MASS

LEAST_EVENTS = 1000  # of which splits and quantiles can be made
WEIGHTS = re.compile(r"^(event_?|gen_?|mc_?)?(weight|wgt|wt|w)s?$", re.IGNORECASE)
SAME = 1e-5  # of a column's spread: what differs by less is the same number, printed otherwise
MEV = 3000.0  # as GeV, no collider's median momentum
NARROW = 0.5  # 68% of a pair's masses, relative to their median: a resonance, or a selection


@dataclass(frozen=True)
class Choices:
    """What the user says of the columns, instead of what would be decided."""

    given: tuple[str, ...] = ()
    weight: str | None = None
    leave_out: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    def require(self, known: Collection[str]) -> None:
        """Raise `ConfigError` if a column is not there, a kind unknown, or one is told twice.

        Those of a family's parts, as `jet#_btag`, are left to `require_families`.
        """
        weight = () if self.weight is None else (self.weight,)
        told = [*self.given, *weight, *self.leave_out, *self.kinds]
        for name in told:
            if SLOT not in name or name in known:
                _require_column(name, known)
            if told.count(name) > 1:
                raise ConfigError(f"column '{name}': say one thing of it, not several")
        for name, kind in self.kinds.items():
            if kind not in KINDS:
                raise ConfigError(f"--as {name}={kind}: say one of {', '.join(KINDS)}")

    def require_families(self, known: Collection[str]) -> None:
        """Raise `ConfigError` if a part of a family is told that is not among all columns."""
        for name in (*self.leave_out, *self.kinds):
            if SLOT in name:
                _require_column(name, known)


def _require_column(name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ConfigError(
            f"no column '{name}'{suggest(name, list(known))}; there are {', '.join(known)}"
        )


@dataclass(frozen=True)
class Column:
    """A column, or one for each object, that becomes a field of events."""

    column: str | Slots
    field: str
    role: Role = "event"
    dtype: str = "float32"
    unit: Unit = "1"
    read_in: Unit = "1"
    description: str = ""


@dataclass
class Look:
    """What a table is: the fields of its events, the steps of their features, and why."""

    events: int
    columns: list[Column] = field(default_factory=list)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=dict)
    unique: tuple[str, ...] = ()
    steps: list[dict[str, Any]] = field(default_factory=list)
    observables: dict[str, str] = field(default_factory=dict)
    constraints: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def first(self) -> list[str]:
        """The features that tell which others there are: counts of objects, and atoms."""
        counts = [f"{group}.level_{COUNT}" for group, own in self.groups.items() if "most" in own]
        at = [step["fields"] for step in self.steps if step["kind"] == "atoms"]
        return [*counts, *(prefixed(name, "atom") for names in at for name in names)]

    @property
    def weighted(self) -> bool:
        """Whether the events have weights."""
        return any(column.role == "weight" for column in self.columns)


def look(table: Table, choices: Choices) -> Look:
    """Look at a table.

    Raises:
        ConfigError: a choice names no column, or what a column cannot be.
        DataError: there are too few events, or nothing is left to generate.
    """
    return _Looking(table, choices).result()


class _Looking:
    """What is not yet decided of a table, and what is."""

    def __init__(self, table: Table, choices: Choices) -> None:
        self._columns = (*table.columns, *table.faults)
        choices.require(self._columns)
        first = next(iter(table.columns.values()))
        self._choices = choices
        self._found = Look(len(first))
        if len(first) < LEAST_EVENTS:
            raise DataError(
                f"{len(first):,} events are too few to learn from; {LEAST_EVENTS:,} are needed"
            )
        self._faults = table.faults
        self._numbers: dict[str, Numbers] = {}
        self._lists: dict[str, Lists] = {}
        self._slots: dict[str, Slots] = {}  # of lists that stand in a column for each object
        self._slot_columns: dict[str, Numbers] = {}
        self._objects: dict[str, dict[str, str]] = {}  # of groups the lists by part
        self._order: dict[str, str] = {}  # of families the part that falls from one to the next
        for name, content in table.columns.items():
            if isinstance(content, Lists):
                self._lists[name] = content
            elif content.ndim == 1:
                self._numbers[name] = content
            else:
                self._tell(
                    (name,),
                    f"an array of shape {content.shape[1:]} in each event",
                    "left out: images want a recipe of their own",
                    "declare it with `shape` in the catalog's entry",
                )
        self._names: set[str] = set()
        self._stages: list[list[tuple[dict[str, Any], str]]] = []

    def result(self) -> Look:
        self._leave_out()
        self._copies()
        self._roles()
        self._families()
        self._constant()
        self._same()
        self._of_particles()
        for name, x in list(self._numbers.items()):
            self._place(name, x, self._field(name))
        self._of_lists()
        found = self._found
        if not any(column.role == "event" for column in found.columns):
            raise DataError("no column is left to generate; leave fewer out")
        found.steps += _merged(self._stages)
        return found

    def _tell(self, columns: Sequence[str], seen: str, decided: str, change: str) -> None:
        self._found.findings.append(Finding(tuple(columns), seen, decided, change))

    def _leave_out(self) -> None:
        for name in self._choices.leave_out:
            self._numbers.pop(name, None)
            self._lists.pop(name, None)
        for name, fault in self._faults.items():
            if name not in self._choices.leave_out:
                self._tell((name,), fault, "left out", "mend the file")

    def _copies(self) -> None:
        """Find events that are there twice: of the same identifiers, or the same altogether."""
        named = [n for n, x in self._numbers.items() if self._kind(n, x) == "label"]
        if not any(map(NAME_EVENTS.match, named)):
            named = []
        by = named or list(self._numbers)
        if not by or (not named and self._lists):
            return
        rows = np.stack([self._numbers[name] for name in by], axis=1)
        unique = len(np.unique(rows, axis=0))
        if unique < len(rows) and (named or self._are_copied(rows)):
            told = f"the same {', '.join(by)}" if named else "the same numbers in all columns"
            self._tell(
                by if named else ("all columns",),
                f"{len(rows) - unique:,} of {len(rows):,} rows are copies of others, with {told}",
                f"the first of each is kept: {unique:,} events",
                "[source.unique] in the catalog's entry",
            )
            self._found.unique = tuple(by)
            keep = np.sort(np.unique(rows, axis=0, return_index=True)[1])
            self._numbers = {name: x[keep] for name, x in self._numbers.items()}
            self._lists = {name: x[keep] for name, x in self._lists.items()}
            self._found.events = unique

    def _are_copied(self, rows: NDArray[np.float64]) -> bool:
        """Tell whether rows (n, k) are equal that have a number which is hardly there twice.

        Events without any object are all the same, too: each number is what absent ones have.
        """
        told = np.zeros(len(rows), dtype=bool)
        for x in rows.T:
            numbers, times = np.unique(x, return_counts=True)
            if len(numbers) > len(x) / 10:
                told |= x != numbers[times.argmax()]
        return len(np.unique(rows[told], axis=0)) < int(told.sum())

    def _kind(self, name: str, x: Numbers) -> Kind | None:
        """Return what a column is, as the user says or by itself; None of a constant."""
        if name in self._choices.kinds:
            return self._choices.kinds[name]
        return None if np.ptp(x) == 0 else examine(name, x).nature.kind

    def _roles(self) -> None:
        """Take out conditions and weights."""
        for name in self._choices.given:
            x = self._one_number(name, "--given")
            self._found.columns.append(Column(name, self._field(name), "condition"))
            low, high = x.min(), x.max()
            self._tell(
                (name,), f"from {low:g} to {high:g}", "given to the generator", "leave --given out"
            )
        named = [name for name in self._numbers if WEIGHTS.match(name)]
        weight = self._choices.weight
        if weight is None and len(named) == 1 and named[0] not in self._choices.kinds:
            [weight] = named
        if weight is None:
            return
        x = self._one_number(weight, "--weight")
        if x.sum() <= 0:
            raise DataError(f"column '{weight}': the weights sum to {x.sum():g}; choose another")
        self._found.columns.append(Column(weight, self._field(weight), "weight", "float64"))
        negative = f", {(x < 0).mean():.1%} below zero" if (x < 0).any() else ""
        effective = x.sum() ** 2 / (x**2).sum()
        self._tell(
            (weight,),
            f"from {x.min():.5g} to {x.max():.5g}{negative}; worth {effective:,.0f} events of one "
            "weight",
            "the events' weight",
            f"--as {weight}=number, or --leave-out {weight}",
        )

    def _one_number(self, name: str, option: str) -> Numbers:
        if name not in self._numbers:
            raise ConfigError(f"{option} {name}: one finite number an event is needed")
        return self._numbers.pop(name)

    def _families(self) -> None:
        """Make lists of columns that are padded where an event has fewer objects."""
        for family in families(self._numbers):
            if set(self._choices.kinds) & {key for s in family.slots.values() for key in s.slots}:
                continue
            group = next(n for n in _numbered(family.group) if n not in self._objects)
            names = {part: f"{group}{SLOT}_{part}" for part in family.slots}
            self._objects[group] = names
            self._order[group] = family.ordered_by
            for part, slots in family.slots.items():
                self._slots[names[part]] = slots
                self._lists[names[part]] = family.lists[part]
                for column in map(str, slots.slots):
                    self._slot_columns[column] = self._numbers.pop(column)
        self._choices.require_families((*self._columns, *self._slots))
        for group, parts in self._objects.items():
            self._leave_out_of(group, parts)

    def _leave_out_of(self, group: str, parts: dict[str, str]) -> None:
        """Leave out parts of a family, of which the others must still tell what is there."""
        for part in [part for part, name in parts.items() if name in self._choices.leave_out]:
            left = parts.pop(part)
            del self._lists[left]
            told = [self._lists[n].values != self._slots[n].padding for n in parts.values()]
            if told and not np.any(told, axis=0).all():
                raise ConfigError(
                    f"--leave-out {left}: without it nothing tells which objects '{group}' there "
                    f"are; leave out all of {', '.join(parts.values())} too, or none"
                )

    def _constant(self) -> None:
        same: dict[float, list[str]] = {}
        for name, x in list(self._numbers.items()):
            if np.ptp(x) == 0 and name not in self._choices.kinds:
                del self._numbers[name]
                self._found.constants[self._field(name)] = float(x[0])
                same.setdefault(float(x[0]), []).append(name)
        for value, names in same.items():
            self._tell(
                names,
                f"{value:.9g} in all events",
                "kept as a condition with this one value",
                f"--leave-out {names[0]}",
            )

    def _same(self) -> None:
        """Leave out columns that are others once more: the same numbers, or counts of lists."""
        counts = {f"{name}'s number": x.count.astype(float) for name, x in self._lists.items()}
        kept: dict[str, Numbers] = {}
        for name, x in list(self._numbers.items()):
            twin = next(
                (
                    (other, f)
                    for other, y in {**counts, **self._slot_columns, **kept}.items()
                    if name not in self._choices.kinds and (f := _multiple(x, y)) is not None
                ),
                None,
            )
            if twin is None:
                kept[name] = x
                continue
            other, factor = twin
            times = "" if factor == 1 else f" times {factor:.6g}"
            self._tell(
                (name,), f"the same as {other}{times}", "left out", f"--as {name}=number keeps it"
            )
        self._numbers = kept

    def _of_particles(self) -> None:
        free = [
            name
            for name, x in self._numbers.items()
            if name not in self._choices.kinds and self._kind(name, x) in ("number", "angle")
        ]
        found = particles(self._numbers, free)
        together = dict(self._numbers)
        for particle in found:
            self._of_particle(particle, "", self._numbers)
        self._of_pairs(found, together)
        self._of_ordered(found, together)
        taken = {name for p in found for name in (*p.columns.values(), *p.follow)}
        for name in taken:
            self._numbers.pop(name, None)

    def _of_particle(self, particle: Particle, group: str, table: Mapping[str, Numbers]) -> None:
        """Enter the fields and steps of a particle; of objects, `group` is theirs."""
        name = group or self._free_name(particle.name)
        if name != particle.name:
            particle = Particle(
                name, particle.columns, particle.mass, particle.residual, particle.follow
            )
        columns, polar = particle.columns, particle.polar(table)
        p = polar["pt"] * np.cosh(polar["eta"])
        unit: Unit = "GeV"
        if float(np.median(p)) > MEV:
            unit = "MeV"
            self._tell(
                list(columns.values()),
                f"a median momentum of {np.median(p):,.0f}, which no collider has in GeV",
                "read as MeV, and kept in GeV",
                f'`unit` of source.columns."{name}.px" in the catalog\'s entry',
            )
        declared = {} if particle.mass is None else {"mass": _in_gev(particle.mass, unit)}
        self._found.groups[name] = {**self._found.groups.get(name, {}), **declared}
        angles = ("eta", "phi")
        for part, column in columns.items():
            own: Unit = "rad" if part == "phi" else "1" if part == "eta" else "GeV"
            read: Unit = own if part in angles else unit
            self._add(Column(column, f"{name}.{part}", unit=own, read_in=read))
        self._tell_particle(particle, _in_gev(particle.mass or 0.0, unit))
        scale = 1e-3 if unit == "MeV" else 1.0
        self._steps_of(particle, {k: v * scale if k == "pt" else v for k, v in polar.items()})
        if "energy" in columns and particle.mass is None:
            energy = table[columns["energy"]]
            mass = np.sqrt(np.maximum(energy**2 - p**2, 0))
            mass = np.where(mass < LEAST_MASS * energy, 0.0, mass)  # as the step `mass` has it
            self._steps_for(f"{name}.mass", mass * scale)
        elif "mass" in columns and particle.mass is None:
            self._steps_for(f"{name}.mass", table[columns["mass"]] * scale)

    def _tell_particle(self, particle: Particle, mass: float) -> None:
        columns = list(particle.columns.values())
        change = f"--as {columns[-1]}=number"
        if "energy" not in particle.columns:
            form = "px, py, pz" if particle.cartesian else "p_T, η, φ"
            self._tell(columns, f"a momentum, {form}", f"a particle '{particle.name}'", change)
        elif particle.mass is None:
            self._tell(
                columns,
                "a four-momentum of a mass that differs from event to event",
                f"a particle '{particle.name}', whose energy will be no less than its momentum",
                change,
            )
        else:
            self._tell(
                columns,
                f"a four-momentum on the mass shell of {mass:.6g} GeV, within "
                f"{particle.residual:.1e} of the energy",
                f"a particle '{particle.name}', whose energy follows from its momentum",
                change,
            )
        if particle.follow:
            self._tell(
                list(particle.follow),
                f"follow from {', '.join(columns)}, but for differences of "
                f"{max(particle.follow.values()):.1g} in the median",
                "left out, and computed of what is generated",
                f"--as {next(iter(particle.follow))}=number keeps it",
            )

    def _steps_of(self, particle: Particle, polar: Mapping[str, Numbers]) -> None:
        """Enter the steps from a momentum to features."""
        name, steps = particle.name, self._found.steps
        p = polar["pt"] * np.cosh(polar["eta"])
        alone = "most" not in self._found.groups[name]
        if particle.cartesian:
            ends = examine("momentum", p).nature.edges
            if particle.mass == 0 and ends[1] is not None and alone:
                steps.append({"kind": "spherical", "group": name})
                theta = np.arctan2(polar["pt"], polar["pt"] * np.sinh(polar["eta"]))
                self._steps_for(f"{name}.momentum", p)
                self._steps_for(f"{name}.theta", theta)
                self._observe(name)
                return
            if particle.mass is not None:
                steps.append({"kind": "mass-shell", "group": name})
            steps.append({"kind": "transverse", "group": name})
            self._observe(name)
        if "energy" in particle.columns and (particle.mass is None or not particle.cartesian):
            steps.append({"kind": "mass", "groups": [name]})
        for part in POLAR:
            self._steps_for(f"{name}.{part}", polar[part])

    def _observe(self, name: str) -> None:
        """Compare p_T and η of momenta in px, py, pz."""
        pt = f"kinematics.transverse_momentum({name}.px, {name}.py)"
        eta = f"kinematics.pseudorapidity({name}.px, {name}.py, {name}.pz)"
        dot = "." if "most" in self._found.groups[name] else "_"
        self._found.observables |= {f"{name}{dot}pt": pt, f"{name}{dot}eta": eta}

    def _of_pairs(self, found: Sequence[Particle], table: Mapping[str, Numbers]) -> None:
        """Find masses of two particles among the columns; make a narrow one of two a feature."""
        for first, second in itertools.combinations(found, 2):
            mass = pair_mass(first, second, table)
            for name in [n for n in self._numbers if _is_near(self._numbers[n], mass)]:
                self._tell(
                    (name,),
                    f"the invariant mass of {first.name} and {second.name}",
                    "left out, and computed of what is generated",
                    f"--as {name}=number keeps it",
                )
                del self._numbers[name]
            if first.cartesian and second.cartesian:
                expression = f"photoproduction.pair_mass({first.name}, {second.name})"
                if "energy" in first.columns and "energy" in second.columns:
                    self._found.observables[f"m_{first.name}_{second.name}"] = expression
        if len(found) != 2:
            return
        first, second = found
        taken = {step.get("group") for step in self._found.steps if step["kind"] == "spherical"}
        known = all(p.mass is not None or not {"energy", "mass"} & set(p.columns) for p in found)
        if taken & {first.name, second.name} or not known:
            return
        low, middle, high = np.quantile(mass, [0.16, 0.5, 0.84])
        if high - low > NARROW * middle:
            return
        scale = 1e-3 if np.median(mass) > MEV else 1.0
        for particle in found:
            self._found.groups[particle.name].setdefault("mass", 0.0)
        self._found.steps.append({"kind": "pair", "groups": [first.name, second.name]})
        gone = {f"{first.name}.pt", f"{second.name}.pt", f"{second.name}.phi"}
        self._stages = [stage for stage in self._stages if stage[0][1] not in gone]
        name = f"mass of {first.name} and {second.name}"
        self._found.findings += examine(name, mass * scale, "number").findings
        self._steps_for("pair.mass", mass * scale)
        ratio = np.log(second.polar(table)["pt"] / first.polar(table)["pt"])
        self._steps_for("pair.log_ratio_pt", ratio)
        self._tell(
            (first.name, second.name),
            f"a pair with masses of {low * scale:.4g} to {high * scale:.4g} in 68% of the events",
            "its mass is a feature of its own",
            "the `pair` step in the recipe",
        )

    def _of_ordered(self, found: Sequence[Particle], table: Mapping[str, Numbers]) -> None:
        """Keep particles in the order of their p_T, if they are in it in all events."""
        pts = {particle.name: particle.polar(table)["pt"] for particle in found}
        if len(found) < 2 or any((a < b).any() for a, b in itertools.pairwise(pts.values())):
            return
        if not any(step["kind"] == "pair" for step in self._found.steps):
            fields = [f"{name}.pt" for name in pts]
            if not set(fields) <= {stage[0][1] for stage in self._stages}:
                return
            self._stages = [stage for stage in self._stages if stage[0][1] not in fields]
            self._found.steps.append({"kind": "ordered", "fields": fields})
        self._tell(
            list(pts),
            "each has at least the p_T of the next, in all events",
            "the order holds for whatever is generated",
            "the `ordered` step, or that of pair.log_ratio_pt, in the recipe",
        )

    def _of_lists(self) -> None:
        """Make groups of families, and of the lists that have a common prefix and length."""
        groups = self._objects
        for name in [name for name in self._lists if name not in self._slots]:
            prefix, _, part = name.replace(".", "_").partition("_")
            groups.setdefault(prefix if part else name, {})[part or "value"] = name
        for group, parts in groups.items():
            if parts:
                self._of_objects(group, parts)

    def _of_objects(self, group: str, parts: Mapping[str, str]) -> None:
        first = self._lists[next(iter(parts.values()))]
        other = [n for n in parts.values() if (self._lists[n].count != first.count).any()]
        if other or not len(first.values):
            self._tell(
                list(parts.values()),
                "lists that are empty" if not other else f"lists of other lengths in {other[0]}",
                "left out",
                "declare the group in the catalog's entry",
            )
            return
        name, most = self._free_name(_clean(group)), int(first.count.max())
        values = {n: self._lists[n].values for n in parts.values()}
        kinds = {n: self._kind(n, x) for n, x in values.items()}
        left = [n for n, kind in kinds.items() if kind in (None, "label")]
        if left:
            self._tell(left, "one value in all objects, or their names", "left out", "--as N=KIND")
        free = [n for n, kind in kinds.items() if kind in ("number", "angle")]
        self._found.groups[name] = {"most": most}
        self._found.steps.append({"kind": "count", "group": name})
        step = ({"kind": "dequantise", "levels": most + 1}, f"{name}.{COUNT}")
        self._stages.append([step])
        inside = [p for p in particles(values, free) if len(p.columns) >= len(POLAR)][:1]
        for particle in inside:
            self._of_particle(particle, name, values)
        taken = {c for p in inside for c in (*p.columns.values(), *p.follow)}
        for part, column in parts.items():
            if column not in taken and column not in left:
                self._place(column, values[column], f"{name}.{_clean(part)}")
        own = [
            c.field.partition(".")[2] for c in self._found.columns if c.field.startswith(f"{name}.")
        ]
        first_of = (_clean(self._order.get(group, "pt")), "pt", "energy", *own)
        order = next((part for part in first_of if part in own), "")
        if not order:
            del self._found.groups[name]
            self._found.steps.pop()
            self._stages.pop()
            return
        self._found.groups[name]["ordered_by"] = order
        seen = f"of {first.count.min()} to {most} objects, {first.count.mean():.2f} in the mean"
        change = "--leave-out each of them"
        if padded := [self._slots[n] for n in parts.values() if n in self._slots]:
            absent = dict.fromkeys(f"{slots.padding:g}" for slots in padded)
            seen = f"{seen}, where there is none padded with {' or '.join(absent)}"
            change = f"--as {padded[0].slots[0]}=number keeps columns apart"
        self._tell(
            list(parts.values()),
            f"numbers {seen}",
            f"objects of a group '{name}', ordered by {order}; their number is generated first",
            change,
        )

    def _place(self, name: str, x: Numbers, new: str) -> None:
        """Enter a column by itself: its field, its steps, and what was found of it."""
        if np.ptp(x) == 0 and name in self._choices.kinds:
            raise ConfigError(f"--as {name}: it is {x[0]:g} in all events; leave that out")
        examined = examine(name, x, self._choices.kinds.get(name))
        nature = examined.nature
        self._found.findings += examined.findings
        role: Role = "label" if nature.kind == "label" else "event"
        read: Unit = "deg" if nature.kind == "degrees" else "rad" if nature.unit == "rad" else "1"
        unit: Unit = "rad" if nature.unit == "rad" else "1"
        self._add(Column(name, new, role, nature.dtype, unit, read))
        self._enter(nature, new)
        self._keep_edges(new, nature)

    def _keep_edges(self, name: str, nature: Nature) -> None:
        """Require of physical events that no number lies beyond the edges."""
        for word, sign, edge in zip(("least", "most"), (">=", "<="), nature.edges, strict=True):
            if edge is not None:
                self._found.constraints[f"{name}_{word}"] = f"{name} {sign} {edge:.9g}"

    def _steps_for(self, name: str, x: Numbers) -> None:
        """Enter the steps of a number that other steps make, or of a part of a momentum."""
        if np.ptp(x) == 0:
            raise DataError(f"{name} is {x[0]:g} in all events; leave its columns out")
        kind: Kind | None = "angle" if name.endswith(".phi") else "number"
        self._enter(examine(name, x, kind).nature, name)

    def _enter(self, nature: Nature, name: str) -> None:
        if nature.steps:
            self._stages.append(nature.features(name))

    def _add(self, column: Column) -> None:
        slots = self._slots.get(str(column.column))
        self._found.columns.append(column if slots is None else replace(column, column=slots))

    def _field(self, name: str) -> str:
        return self._free_name(f"x{name}" if name.isdecimal() else _clean(name))

    def _free_name(self, name: str) -> str:
        """Return a name that no field or group has yet."""
        new = next(n for n in _numbered(name) if n not in self._names)
        self._names.add(new)
        return new


def _numbered(name: str) -> Iterable[str]:
    yield name
    for number in itertools.count(2):
        yield f"{name}_{number}"


def _clean(name: str) -> str:
    """Return a column's name with what the names of fields may have."""
    new = re.sub(r"\W+", "_", name).strip("_") or "x"
    if new[0].isdecimal() or keyword.iskeyword(new) or new in (COUNT, "pair"):
        new = f"x_{new}"
    return new


def _in_gev(value: float, unit: Unit) -> float:
    return value * 1e-3 if unit == "MeV" else value


def _multiple(x: Numbers, y: Numbers) -> float | None:
    """Return f if x = f y in all rows, up to printing."""
    spread = float(np.std(x))
    dot = float(y @ y)
    if spread == 0 or dot == 0:
        return None
    factor = float(x @ y) / dot
    factor = float(np.rint(factor)) if abs(factor - np.rint(factor)) < SAME else factor
    return factor if factor and (np.abs(x - factor * y) <= SAME * spread).all() else None


def _is_near(x: Numbers, y: Numbers) -> bool:
    return bool((np.abs(x - y) <= 1e-3 * np.maximum(np.abs(y), 1e-12)).mean() >= 0.99)


def _merged(stages: Iterable[Sequence[tuple[dict[str, Any], str]]]) -> list[dict[str, Any]]:
    """Return steps of which those with equal settings are one, in the order of their places."""
    merged: list[dict[str, Any]] = []
    chains = [list(stage) for stage in stages]
    for place in range(max(map(len, chains), default=0)):
        for chain in chains:
            if place >= len(chain):
                continue
            settings, name = chain[place]
            start = {"kind": settings["kind"], "fields": [name]}
            for step in merged:
                if step["place"] == place and _settings(step) == settings:
                    step["fields"].append(name)
                    break
            else:
                merged.append({"place": place, **start, **settings})
    return [{k: v for k, v in step.items() if k != "place"} for step in merged]


def _settings(step: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in step.items() if k not in ("place", "fields")}
