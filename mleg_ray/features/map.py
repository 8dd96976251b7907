"""The map between physical events and the flat vectors of features in which networks work."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Self

import torch
from pydantic import Field as Option
from pydantic import SerializeAsAny
from torch import Tensor, nn

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import COUNT, Batch, Events, EventSchema, group_of
from mleg_ray.features.field import FieldMap
from mleg_ray.features.moments import Moments
from mleg_ray.features.steps import STEPS, Layout, Quantity, Step, StepConfig
from mleg_ray.features.steps.count import Count
from mleg_ray.features.steps.slots import Slots
from mleg_ray.features.view import EVERYTHING, NUMBERS, View
from mleg_ray.randomness import Noise
from mleg_ray.space import Part, Space

CONDITION = "condition"
Quantities = Mapping[str, Quantity]


class FeatureMap(nn.Module):
    """Physical events <-> standardised features, and the quantities that a critic sees.

    `steps` change columns of events one after the other; what they leave is laid out in `space` and
    standardised with statistics of the train split, kept as float64 buffers, so that they travel in
    the checkpoint and nowhere else. The statistics are those of a number, of a group's field over
    all present objects, or of a channel over all its pixels; neither angles nor shares nor the ones
    and zeros of classes are standardised. What networks see of the conditions that vary is made by
    steps of their own, angles as cosine and sine.

    An absent object's features are noise of the layout of its part: as good as any other, and a
    density of all features stays one.

    Attributes:
        space: the layout of features.
        condition_space: that of the conditions as networks see them.
        view_space: that of what a critic sees.
        quantity_names: numbers for which an objective may ask by name, see `quantities`.
        levels: the positions in the vector of dequantised numbers, and how many levels each has.
        presence: of numbers that may be absent, and are noise then, by position: the positions of
            levels, and the whole number above which each must be for the number to be there.
        mean_log_abs_det: mean of `log_abs_det` over the train split's events inside.
    """

    feature_mean: Tensor
    feature_std: Tensor
    view_mean: Tensor
    view_std: Tensor
    condition_mean: Tensor
    condition_std: Tensor
    weight_mean: Tensor
    outside_fraction: Tensor
    mean_log_abs_det: Tensor

    def __init__(
        self, config: "FeatureMapConfig", schema: EventSchema, conditions: Mapping[str, float]
    ) -> None:
        """Build the unfitted map of a schema; `conditions` have one value throughout.

        Raises:
            ConfigError: a step, view or part names a column that is not there.
        """
        super().__init__()
        self._schema = schema
        self._fixed = {name: conditions[name] for name in schema.conditions if name in conditions}
        objects = schema.objects
        given = {name: Quantity(varies=name not in conditions) for name in schema.conditions}
        made = {name: Quantity(schema.shapes[name]) for name in schema.event}
        self._chain, made = _chained(config.steps, made, given, schema, "steps")
        self._condition_chain, seen = _chained(config.conditions, given, {}, schema, "conditions")
        # Registered, so that what they learn travels in the checkpoint.
        self._steps = nn.ModuleList([*self._chain, *self._condition_chain])
        self._places = [
            f"features.{table}.{number}, {step.kind}"
            for table in ("steps", "conditions")
            for number, step in enumerate(getattr(config, table))
        ]
        self._condition_settings = [
            step.model_dump(mode="json", exclude={"kind"}) for step in config.conditions
        ]
        _require_real(schema, self._chain, made)
        self.space = _arranged(made, config.parts, objects)
        if not self.space.width:
            raise ConfigError("features.steps: they leave no feature that a model could make")
        self._objects = tuple(name for name in objects if name in self.space.parts)
        counts = {step.group: step for step in self._chain if isinstance(step, Count)}
        self._masks = {name: _Mask(counts[name], self._chain) for name in self._objects}
        self.levels = {
            place: quantity.levels
            for name, quantity in made.items()
            if quantity.levels
            for place in self.space.positions[name]
        }
        self.presence = self._conditions_of_presence(made)
        self._shapes = {name: quantity.shape for name, quantity in made.items()}
        self._stored = {
            field.name: getattr(torch, field.dtype)
            for field in schema.fields
            if field.role == "event" and (field.shape or not field.dtype.startswith("float"))
        }
        varying = {name: quantity for name, quantity in seen.items() if quantity.varies}
        self._fixed_seen = self._changed_once(seen)
        self._conditions = Space({CONDITION: _numbers(varying)})
        self.condition_space = Space({CONDITION: Part((self._conditions.seamless_width(),))})
        example = Events.example({name: q.shape for name, q in (made | given).items()})
        self._view = View(config.view, self.space, self._chain, example)
        self.view_space = self._view.space
        self._measured = View(config.measured, self.space, self._chain, example)
        self.quantity_names = (*self._view.names, *self._measured.names)
        if both := [name for name in self._measured.names if name in self._view.names]:
            raise ConfigError(f"features.measured: '{both[0]}' is in the view already")
        self._standardise = config.standardise
        self.most_outside = config.most_outside
        for name, width in (
            ("feature", self.space.width),
            ("view", self.view_space.width + len(self._measured.names)),
            ("condition", self.condition_space.width),
        ):
            self.register_buffer(f"{name}_mean", torch.zeros(width, dtype=torch.float64))
            self.register_buffer(f"{name}_std", torch.ones(width, dtype=torch.float64))
        self.register_buffer("mean_counts", torch.ones(len(self._objects), dtype=torch.float64))
        self.register_buffer("weight_mean", torch.ones((), dtype=torch.float64))
        self.register_buffer("outside_fraction", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean_log_abs_det", torch.zeros((), dtype=torch.float64))

    def orders(self) -> dict[str, str]:
        """Return by group the field in whose order its objects are, the largest first."""
        groups = self._schema.groups
        return {group: f"{group}.{groups[group].ordered_by}" for group in self._schema.objects}

    def field_maps(self) -> dict[str, FieldMap]:
        """Return how fields become features that steps change by themselves, by field."""
        found = {name: FieldMap.through(self._chain, name) for name in self._schema.event}
        places = self.space.positions
        return {
            name: one._replace(mean=self.feature_mean[place], std=self.feature_std[place])
            for name, one in found.items()
            if one is not None
            for place in places.get(one.feature, ())[:1]
        }

    def _conditions_of_presence(self, made: Quantities) -> dict[int, tuple[tuple[int, int], ...]]:
        """Return `presence` as far as it is told by dequantised numbers alone."""
        found: dict[int, tuple[tuple[int, int], ...]] = {}
        places = self.space.positions
        for group, mask in self._masks.items():
            if mask.column and made[mask.column].levels:
                [count] = places[mask.column]
                for name in self.space.parts[group].names:
                    found |= {place: ((count, k),) for k, place in enumerate(places[name])}
        for name, quantity in made.items():
            given = quantity.given
            if given is not None and (levels := made[given].levels):
                for place, has in zip(places[name], places[given], strict=True):
                    found[place] = (*found.get(place, ()), (has, levels - 2))
        return found

    def _changed_once(self, seen: Quantities) -> dict[str, float]:
        """Return the conditions that do not vary as the steps of the conditions leave them."""
        ones = {name: torch.ones(1).double() for name in self._schema.conditions}
        fixed = {name: torch.tensor([value]).double() for name, value in self._fixed.items()}
        events = Events(ones | fixed, {}, torch.ones(1))
        events = changed(self._condition_chain, events, Noise(torch.device("cpu")))
        return {n: events.columns[n].item() for n, q in seen.items() if not q.varies}

    @property
    def passes(self) -> int:
        """How often `fit` reads all events."""
        return 1 + sum(step.learns for step in self._chain)

    def fit(self, chunks: Iterable[Events], *, anywhere: bool = False) -> Self:
        """Learn the statistics in one pass over physical events of the train split.

        Each step that `learns` takes a pass of its own before, so `chunks` can be iterated again.
        Standardisation has absolute weights: it only sets scales, and must not fail where negative
        weights leave a region with a negative sum. Means that stand beside a loss, those of the
        number of objects and of `log_abs_det`, have the weights that the loss has.

        Raises:
            ConfigError: the settings of a step leave no room for events like these.
            DataError: more of the events than the configuration allows lie outside the steps'
                domain, unless they may lie `anywhere`; or there are no objects of a group, or
                negative weights outweigh the others, or a step cannot learn of them.
        """
        noise = Noise(torch.device("cpu"))
        for number, step in enumerate(self._chain):
            if step.learns:
                before = self._chain[:number]
                step.learn(changed(before, events, noise) for events in chunks)
        features = {name: Moments() for name in self.space.parts}
        view, condition = Moments(), Moments()
        noise.seed(0)
        n = 0
        outside_sum = torch.zeros((), dtype=torch.float64)
        outside_sums = torch.zeros(len(self._places), dtype=torch.float64)
        inside = every = torch.zeros(2 + len(self._objects), dtype=torch.float64)
        for events in chunks:
            weight = events.weight.abs()
            after, beyond, slope = watched(self._chain, events, noise)
            given_beyond = watched(self._condition_chain, events, noise)[1]
            by_step = torch.cat([beyond, given_beyond], dim=1)
            outside = by_step.any(dim=1)
            for name, values in self.space.split(self._flat(after)).items():
                features[name].add(*_samples(values, weight, after.present.get(name)))
            view.add(_table(self._named(after), events), weight)
            condition.add(self._seen_conditions(events), weight)
            means = torch.stack([torch.ones_like(slope), slope, *self._counts(after).values()], 1)
            weighted = events.weight[:, None] * means
            inside = inside + weighted[~outside].sum(0)
            every = every + weighted.sum(0)
            n += len(events)
            outside_sum = outside_sum + outside.sum()
            outside_sums = outside_sums + by_step.sum(dim=0)
        self.outside_fraction = outside_sum / n
        if not anywhere:
            self._require_inside(outside_sums / n)
        self.weight_mean = every[0] / n
        _require_positive(self.weight_mean, "mean weight of")
        if self._standardise:
            for name, moments in features.items():
                self._standardise_part(name, moments)
            self.condition_mean, self.condition_std = condition.result()
        mean, std = view.result()
        self.view_mean[: len(mean)], self.view_std[: len(std)] = mean, std
        self.mean_counts = every[2:] / every[0]
        for name, mean in zip(self._objects, self.mean_counts, strict=True):
            _require_positive(mean, f"weighted mean number of '{name}' in")
        slope, *numbers = inside[1:] / inside[0]
        self.mean_log_abs_det = slope - self._log_scale(
            dict(zip(self._objects, numbers, strict=True))
        )
        return self

    def encode(self, events: Events, *, noise: Noise) -> Batch:
        """Map physical events to what networks take; `noise` fills what needs some.

        Columns that are neither event fields nor conditions are left out.
        """
        after = changed(self._chain, events, noise)
        x = (self._flat(after) - self.feature_mean) / self.feature_std
        for name in self._objects:
            there = after.present[name]
            absent = self.space.of([name]).draw_from(noise, len(events)).to(x)
            part = x[:, self.space.where[name]]
            filled = there.repeat_interleave(self.space.parts[name].shape[-1], dim=1)
            x[:, self.space.where[name]] = torch.where(filled, part, absent)
        weight = events.weight / self.weight_mean
        return Batch(x.float(), self.condition(events), weight.float())

    def condition(self, events: Events) -> Tensor:
        """Return the conditions of events as networks see them, (B, c) float32."""
        seen = self._seen_conditions(events)
        return ((seen - self.condition_mean) / self.condition_std).float()

    def conditions_outside(self, events: Events) -> tuple[Tensor, str]:
        """Return of which events (B,) a step moves the conditions to its edge, and tell the first.

        The text is empty if there is none.
        """
        _, by_step, _ = watched(self._condition_chain, events, Noise(events.weight.device))
        outside = by_step.any(dim=1)
        if not outside.any():
            return outside, ""
        event, step = by_step.nonzero()[0].tolist()
        given = {name: float(events.columns[name][event]) for name in self._schema.conditions}
        return outside, (
            f"{_listed(given)}: outside the domain of {self._places[len(self._chain) + step]} "
            f"({_listed(self._condition_settings[step])})"
        )

    def require_conditions(self, events: Events) -> None:
        """Raise `ConfigError` if a step moved the conditions of one of the events to its edge."""
        _, first = self.conditions_outside(events)
        if first:
            raise ConfigError(f"{first}; choose other conditions")

    def decode(self, x: Tensor, given: Events) -> Events:
        """Map features (B, n) back to physical events, in float64.

        The exact inverse of `encode` on the steps' domain; differentiable. `given` are events that
        have the conditions; those, and their weights, are the events' too. Objects come in their
        group's order, whatever that of their features.
        """
        # Column by column in memory, as all physics is computed: twice as fast.
        rows = x.double().T.contiguous()
        raw = rows * self.feature_std[:, None] + self.feature_mean[:, None]
        conditions = {name: given.columns[name] for name in self._schema.conditions}
        events = Events({**self._columns(raw), **conditions}, {}, given.weight)
        for step in reversed(self._chain):
            events = step.inverse(events)
        columns = {name: events.columns[name] for name in self._schema.event}
        columns |= self._in_order(columns, events.present)
        columns |= {name: columns[name].to(dtype) for name, dtype in self._stored.items()}
        return Events({**columns, **conditions}, events.present, given.weight)

    def view(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return what a critic sees of features x (B, n), (B, v); differentiable.

        It is standardised as the features are.
        """
        features = self._features(x)
        numbers = self._view.numbers(features.replacing((), self.given(condition).columns))
        seen = []
        if numbers:
            values = torch.stack([number.to(x.dtype) for number in numbers.values()], dim=1)
            seen.append(self._standard(values) if self._standardise else values)
        for name, part in self.space.parts.items():
            if len(part.shape) > 1:
                values = x[:, self.space.where[name]]
                if name in self._masks:
                    there = self._masks[name](features).repeat_interleave(part.shape[-1], dim=1)
                    values = torch.where(there, values, 0.0)
                seen.append(values)
        return seen[0] if len(seen) == 1 else torch.cat(seen, dim=1)

    def quantities(self, x: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """Return what has a name of features x (B, n), numbers (B,); differentiable.

        That are the numbers of the view and those that are measured beside it, which no critic
        sees. In the train split each has a mean of zero and a deviation of one.
        """
        features = self._features(x).replacing((), self.given(condition).columns)
        numbers = self._named(features)
        values = torch.stack([number.to(x.dtype) for number in numbers.values()], dim=1)
        return dict(zip(numbers, self._standard(values).unbind(dim=1), strict=True))

    def present(self, x: Tensor) -> dict[str, Tensor]:
        """Return which objects of each group there are (B, K), boolean, of features x (B, n)."""
        if not self._masks:
            return {}
        features = self._features(x)
        return {name: undone(features) for name, undone in self._masks.items()}

    def shares_present(self, x: Tensor) -> dict[str, Tensor]:
        """Return the same as weights (B, K) of a mean of one over the train split's places."""
        means = dict(zip(self._objects, self.mean_counts.to(x.dtype), strict=True))
        present = self.present(x)
        return {name: there * (there.shape[1] / means[name]) for name, there in present.items()}

    def log_abs_det(self, events: Events) -> Tensor:
        """Return log |det d features / d event| (B,), so that densities compare.

        The features of present objects alone count, and of a momentum's energy none. Outside the
        steps' domain it is -inf: there the density of any model of these features is zero.
        """
        after, outside, slope = watched(self._chain, events, Noise(events.weight.device))
        found = slope - self._log_scale(self._counts(after))
        return found.masked_fill(outside.any(dim=1), -torch.inf)

    def fields(self, events: Events) -> Batch:
        """Return the event's numbers as they are in place of features, beside the conditions."""
        values = torch.stack([events.columns[name] for name in self._schema.event], dim=1)
        weight = events.weight / self.weight_mean
        return Batch(values.float(), self.condition(events), weight.float())

    def _named(self, features: Events) -> dict[str, Tensor]:
        return self._view.numbers(features) | self._measured.numbers(features)

    def _standard(self, values: Tensor) -> Tensor:
        """Return the first numbers of the view and what is measured, (B, k), standardised."""
        width = values.shape[1]
        mean, std = self.view_mean[:width], self.view_std[:width]
        return (values - mean.to(values.dtype)) / std.to(values.dtype)

    def _features(self, x: Tensor) -> Events:
        """Return features x (B, n) as the columns that the steps left, in the precision of x."""
        raw = (x * self.feature_std.to(x.dtype) + self.feature_mean.to(x.dtype)).T
        return Events(self._columns(raw), {}, x[:, 0])

    def _flat(self, after: Events) -> Tensor:
        """Return the columns that the steps left as vectors (B, n), float64."""
        parts = [
            torch.stack([after.columns[name].double() for name in part.names], dim=-1).flatten(1)
            for part in self.space.parts.values()
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _columns(self, rows: Tensor) -> dict[str, Tensor]:
        """Return features, of shape (n, B), as the columns that the steps left."""
        columns: dict[str, Tensor] = {}
        for name, part in self.space.parts.items():
            shape = self._shapes[part.names[0]]
            own = rows[self.space.where[name]].reshape(*shape, len(part.names), rows.shape[1])
            columns |= dict(zip(part.names, own.movedim(-1, 0).unbind(-1), strict=True))
        return columns

    def _in_order(
        self, columns: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the columns (B, K) of objects with these in order, the largest first."""
        ordered: dict[str, Tensor] = {}
        for group, there in present.items():
            key = columns[self.orders()[group]].double()
            key = torch.where(there, key, -torch.inf)
            order = key.argsort(dim=1, descending=True, stable=True)
            own = (name for name in columns if group_of(name) == group)
            ordered |= {name: torch.where(there, columns[name].gather(1, order), 0) for name in own}
        return ordered

    def _seen_conditions(self, events: Events) -> Tensor:
        """Return the conditions that vary as networks see them, not yet standardised, (B, c)."""
        after = changed(self._condition_chain, events, Noise(events.weight.device))
        [part] = self._conditions.parts.values()
        return self._conditions.seamless(
            _table({name: after.columns[name] for name in part.names}, events)
        )

    def given(self, condition: Tensor) -> Events:
        """Return events that have the physical conditions (B,) of what networks see of them (B, c).

        The inverse of `condition`, in its precision; differentiable.
        """
        seen = condition * self.condition_std.to(condition) + self.condition_mean.to(condition)
        [part] = self._conditions.parts.values()
        numbers = self._conditions.unseamed(seen).T
        columns = {k: condition.new_full((len(condition),), v) for k, v in self._fixed_seen.items()}
        columns |= dict(zip(part.names, numbers, strict=True))
        events = Events(columns, {}, condition.new_ones(len(condition)))
        for step in reversed(self._condition_chain):
            events = step.inverse(events)
        fixed = {k: condition.new_full((len(condition),), v) for k, v in self._fixed.items()}
        return events.replacing((), fixed)

    def _counts(self, after: Events) -> dict[str, Tensor]:
        """Return the number of objects (B,) of each group."""
        return {name: after.present[name].sum(dim=1).double() for name in self._objects}

    def _log_scale(self, counts: Mapping[str, Tensor]) -> Tensor:
        """Return Σ log of the standard deviations by which events' features were divided."""
        total = self.feature_std.new_zeros(())
        for name, part in self.space.parts.items():
            logs = self.feature_std[self.space.where[name]].log()
            if name in self._objects:
                total = total + counts[name] * logs[: part.shape[-1]].sum()
            else:
                total = total + logs.sum()
        return total

    def _standardise_part(self, name: str, moments: Moments) -> None:
        part, where = self.space.parts[name], self.space.where[name]
        if moments.empty:
            raise DataError(f"no train event has any '{name}': there is nothing to learn of them")
        if part.shares:
            return
        mean, std = moments.result()
        mean[part.unscaled()], std[part.unscaled()] = 0.0, 1.0
        if name not in self._objects:  # an image's channels come first
            mean, std = (s.view(-1, *[1] * (len(part.shape) - 1)) for s in (mean, std))
        self.feature_mean[where] = mean.expand(part.shape).flatten()
        self.feature_std[where] = std.expand(part.shape).flatten()

    def _require_inside(self, by_step: Tensor) -> None:
        """Raise `DataError` if too many events are outside; `by_step` are the shares of each."""
        if self.outside_fraction > self.most_outside:
            worst = int(by_step.argmax())
            step = (*self._chain, *self._condition_chain)[worst]
            raise DataError(
                f"{self.outside_fraction:.1%} of the train events lie outside the domain of the "
                f"steps, {by_step[worst]:.1%} outside that of {self._places[worst]} of "
                f"{', '.join(step.reads)}, where they would be moved to its edges; choose another "
                "step, or settings that fit the dataset, or allow it by features.most_outside"
            )


def _listed(values: Mapping[str, object]) -> str:
    """Return `name = value, ...`, numbers in six digits."""
    return ", ".join(
        f"{name} = {format(value, 'g') if isinstance(value, float) else value}"
        for name, value in values.items()
    )


def changed(steps: Sequence[Step], events: Events, noise: Noise) -> Events:
    """Return the events after all steps."""
    for step in steps:
        events = step(events, noise=noise)
    return events


def watched(steps: Sequence[Step], events: Events, noise: Noise) -> tuple[Events, Tensor, Tensor]:
    """Return the events after all steps, which were outside of each (B, steps), and log |det|."""
    outside = events.weight.new_zeros(len(events), len(steps), dtype=torch.bool)
    slope = events.weight.new_zeros(len(events))
    for number, step in enumerate(steps):
        step.require(events)
        outside[:, number] = step.outside(events)
        slope = slope + step.log_abs_det(events)
        events = step(events, noise=noise)
    return events, outside, slope


def _require_positive(mean: Tensor, of: str) -> None:
    if not mean > 0:
        raise DataError(
            f"the {of} a train event is {float(mean):g}: negative weights outweigh the others, or "
            "all are zero, and no density is left to learn; use more events"
        )


class _Mask:
    """Tells by features which objects there are: undoes what was done to their number, no more.

    `column` is the one that tells it, empty if several do.
    """

    def __init__(self, count: Count, chain: Sequence[Step]) -> None:
        self._count = count
        self._later: list[Step] = []
        names = set(count.writes)
        for step in chain[chain.index(count) + 1 :]:
            if changed := names & set(step.reads):
                names = names - changed | set(step.writes)
                self._later.append(step)
        self.column = names.pop() if len(names) == 1 else ""

    def __call__(self, features: Events) -> Tensor:
        for step in reversed(self._later):
            features = step.inverse(features)
        return self._count.mask(features.columns)


class FeatureMapConfig(Config):
    """The `[run.features]` table.

    `steps` change event fields into features, `conditions` what networks see of the conditions;
    `view` are the quantities that a critic sees (see `View`), and `measured` others of their kind,
    which an objective may compare though no critic sees them. Without `standardise` networks work
    on features and conditions, and critics on a view, as the steps leave them: in GeV, say.
    Features that are numbers of the event make one part of the space, `event`, unless `parts` gives
    some of them parts of their own, by their names or by patterns, in which `*` is any text, such
    as `*.log_pt`; each group of objects and each image is a part by its own name. Of the train
    events, the share `most_outside` may lie outside the steps' domain, and is moved inside.
    """

    steps: tuple[SerializeAsAny[Annotated[StepConfig, STEPS.chosen()]], ...] = ()
    conditions: tuple[SerializeAsAny[Annotated[StepConfig, STEPS.chosen()]], ...] = ()
    view: tuple[str, ...] = (EVERYTHING,)
    measured: tuple[str, ...] = ()
    standardise: bool = True
    parts: dict[Annotated[str, Option(pattern=r"^[A-Za-z_]\w*$")], tuple[str, ...]] = {}
    most_outside: Annotated[float, Option(ge=0, le=1)] = 0.05

    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> FeatureMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field that it needs."""
        return FeatureMap(self, schema, conditions)


def _chained(
    configs: Sequence[StepConfig],
    changed: Quantities,
    beside: Quantities,
    schema: EventSchema,
    table: str,
) -> tuple[tuple[Step, ...], dict[str, Quantity]]:
    """Build the steps of a `table` one after the other; return them, and the layout they leave.

    They change the columns `changed`; those `beside` stay as they are.
    """
    layout = dict(changed)
    steps: list[Step] = []
    for number, config in enumerate(configs):
        try:
            step = config.build(Layout({**layout, **beside}, schema.groups))
        except ConfigError as error:
            raise ConfigError(f"features.{table}.{number}: {config.kind}: {error}") from None
        if step.learns and table == "conditions":
            raise ConfigError(
                f"features.conditions.{number}: {config.kind}: it learns of what is generated, and "
                "conditions are given; choose another step"
            )
        if foreign := [name for name in step.reads if name in beside]:
            raise ConfigError(
                f"features.steps: {config.kind}: '{foreign[0]}' is a condition, which events keep; "
                "what networks see of it is made by features.conditions"
            )
        if clash := [n for n in step.writes if n in {**layout, **beside} and n not in step.reads]:
            raise ConfigError(
                f"features.{table}.{number}: {config.kind}: it would make '{clash[0]}', which is "
                "there already; rename that field in the dataset's definition"
            )
        kept: dict[str, Quantity] = {}
        for name, quantity in layout.items():
            kept |= step.writes if name in step.reads else {name: quantity}
        layout = kept | dict(step.writes)
        steps.append(step)
    return tuple(steps), layout


def _require_real(schema: EventSchema, steps: Sequence[Step], made: Quantities) -> None:
    """Raise `ConfigError` if steps leave whole numbers, or numbers of objects untold."""
    counted = {step.group for step in steps if isinstance(step, Count)}
    for group in schema.objects:
        if group not in counted and any(group_of(n) == group and q.shape for n, q in made.items()):
            raise ConfigError(
                f"features.steps: the number of objects of '{group}' varies; begin with "
                f"{{ kind = 'count', group = '{group}' }}, or make numbers of the event of its "
                "objects by kind 'slots'"
            )
    whole = [f"{group}.{COUNT}" for group in counted]
    whole += [field.name for field in schema.fields if not field.dtype.startswith("float")]
    slotted = [name for step in steps if isinstance(step, Slots) for name in step.reads]
    if left := [name for name in whole if name in made or name in slotted]:
        raise ConfigError(
            f"features.steps: '{left[0]}' is a whole number, and a network makes real ones; add "
            f"{{ kind = 'dequantise', fields = ['{left[0]}'], levels = N }}"
        )


def _arranged(
    made: Quantities, chosen: Mapping[str, tuple[str, ...]], objects: Mapping[str, int]
) -> Space:
    """Return the space of the columns that the steps leave.

    First come the `chosen` parts and the other numbers, then objects, then images.
    """
    numbers = [name for name, quantity in made.items() if not quantity.shape]
    chosen = {
        part: tuple(name for pattern in patterns for name in _matching(pattern, numbers, part))
        for part, patterns in chosen.items()
    }
    taken = [name for names in chosen.values() for name in names]
    if len(set(taken)) < len(taken):
        raise ConfigError("features.parts: a feature belongs to one part only")
    grouped = {part: list(names) for part, names in chosen.items()}
    grouped[NUMBERS] = [*grouped.get(NUMBERS, []), *(n for n in numbers if n not in taken)]
    images = [n for n, q in made.items() if q.shape and group_of(n) not in objects]
    own_parts = {*objects, *images}
    if clash := [part for part in grouped if part in own_parts]:
        raise ConfigError(
            f"features.parts: '{clash[0]}' is the part of a group or an image; numbers of the "
            "event need one of another name"
        )
    parts = {
        part: _numbers({name: made[name] for name in names})
        for part, names in grouped.items()
        if names
    }
    for group in objects:
        own = {n: q for n, q in made.items() if q.shape and group_of(n) == group}
        if own:
            [most] = next(iter(own.values())).shape
            parts[group] = replace(_numbers(own), shape=(most, len(own)))
    for name in images:  # with channels first, as a convolution takes them
        shape = made[name].shape
        whole = shape if len(shape) > 2 else (1, *shape)
        parts[name] = Part(whole, (name,), shares=made[name].shares)
    return Space(parts)


def _numbers(layout: Quantities) -> Part:
    circle = tuple(i for i, quantity in enumerate(layout.values()) if quantity.circle)
    classes: dict[str, list[int]] = {}
    for i, quantity in enumerate(layout.values()):
        if quantity.category:
            classes.setdefault(quantity.category, []).append(i)
    together = tuple(map(tuple, classes.values()))
    return Part((len(layout),), tuple(layout), circle, together)


def _matching(pattern: str, numbers: Sequence[str], part: str) -> list[str]:
    """Return the numbers of a name, or of a pattern such as `*.log_pt`."""
    found = fnmatch.filter(numbers, pattern)
    if not found:
        raise ConfigError(
            f"features.parts.{part}: '{pattern}' is no number of the event that the steps "
            f"leave; those are {', '.join(numbers)}"
        )
    return found


def _table(columns: Mapping[str, Tensor], events: Events) -> Tensor:
    """Return columns (B,) as a matrix (B, their number)."""
    return torch.stack(list(columns.values()), dim=1) if columns else events.weight[:, None][:, :0]


def _samples(values: Tensor, weight: Tensor, present: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return what a part's statistics are of: rows (m, d) and their weights (m,).

    Rows are events, present objects, or pixels, of features or channels d.
    """
    if values.ndim == 2:
        return values, weight
    if present is not None:
        return values[present], weight[:, None].expand(present.shape)[present]
    pixels = values.flatten(2)
    rows = pixels.transpose(1, 2).flatten(0, 1)
    return rows, weight.repeat_interleave(pixels.shape[2])
