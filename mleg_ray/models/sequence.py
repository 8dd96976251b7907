"""A density of events of objects: how many there are, then one object after another."""

import math
from collections.abc import Mapping
from collections.abc import Sequence as Several
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import one_hot, silu

from mleg_ray.errors import ConfigError
from mleg_ray.models.base import MODELS, Model, ModelConfig, Spaces
from mleg_ray.models.splines import Bins, Circle, Levels, Line, Monotone
from mleg_ray.space import Part, Space, columns, wrapped

LEAST_DESCENT = 1e-6  # from an object to the next, of a standardised feature: more is rounding
LARGEST_MAGNITUDE = 6.0  # its logarithm: what is summed must not overflow
MAGNITUDE_WIDTH = 32  # of the network that makes magnitudes
SCALE = 0.25  # of sums and counts, so that networks see numbers of order one


class Chain(nn.Module):
    """p(x | known) = Π_i p(x_i | x_1 ... x_(i-1), known) of a few numbers, each of a monotone map.

    What is known, (N, width), passes a layer beside itself. Then each number has a layer of
    `hidden` units of its own, which sees also what is before, angles as cosine and sine, whole
    numbers as one of their levels; its output shapes the map.
    """

    level_mean: Tensor
    level_std: Tensor

    def __init__(self, maps: Several[Monotone], width: int, hidden: int) -> None:
        super().__init__()
        self.maps = tuple(maps)
        self._hidden = hidden
        # What is learned of the train split travels in the checkpoint.
        mean = [one.mean if isinstance(one, Levels) else 0.0 for one in maps]
        std = [one.std if isinstance(one, Levels) else 1.0 for one in maps]
        self.register_buffer("level_mean", torch.tensor(mean))
        self.register_buffer("level_std", torch.tensor(std))
        later = range(len(maps) - 1, -1, -1)
        self.beside = nn.Linear(width, width)
        self.given = nn.Linear(width, hidden * len(maps))
        # What each number tells all those behind it.
        self.tells = nn.ModuleList(
            nn.Linear(seen_width(one), hidden * behind, bias=False)
            for one, behind in zip(maps, later, strict=True)
            if behind
        )
        self.out = nn.ModuleList(nn.Linear(hidden, one.width) for one in maps)
        for layer in self.out:  # at first hardly more than noise
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=0.1 / math.sqrt(hidden))
            nn.init.zeros_(layer.bias)

    def log_prob(self, known: Tensor, x: Tensor, below: "Below | None" = None) -> Tensor:
        """Return log p(x_i | ...) (N, m) of numbers x (N, m)."""
        logs = []
        waiting = self._begun(known)
        for i in range(len(self.maps)):
            one = self._map(i)
            raw, waiting = self._raw(i, waiting)
            own = x[:, i]
            waiting = self._told(i, waiting, own)
            if below is not None and i == below.number:
                own, log_slope = below.descent(own)
                logs.append(one.log_prob(raw, own) + log_slope)
            else:
                logs.append(one.log_prob(raw, own))
        return torch.stack(logs, dim=1)

    def decode(
        self,
        known: Tensor,
        noise: Tensor,
        below: "Below | None" = None,
        present: Tensor | None = None,
    ) -> Tensor:
        """Return the numbers (N, m) that noise (N, m) becomes, 0 where none is `present` (N, m)."""
        made = []
        waiting = self._begun(known)
        for i in range(len(self.maps)):
            one = self._map(i)
            raw, waiting = self._raw(i, waiting)
            own = one.decode(raw, noise[:, i])
            if below is not None and i == below.number:
                own = below.descended(own)
            if present is not None:
                own = torch.where(present[:, i], own, 0.0)
            waiting = self._told(i, waiting, own)
            made.append(own)
        return torch.stack(made, dim=1)

    def level(self, i: int, x: Tensor) -> Tensor:
        """Return the whole number (N,) of number i, which has levels."""
        own = self._map(i)
        assert isinstance(own, Levels)
        return own.level(x)

    def _map(self, i: int) -> Monotone:
        own = self.maps[i]
        if isinstance(own, Levels):
            return Levels(own.number, self.level_mean[i], self.level_std[i])
        return own

    def _begun(self, known: Tensor) -> Tensor:
        h = silu(known)
        begun: Tensor = self.given(h + silu(self.beside(h)))
        return begun

    def _raw(self, i: int, waiting: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parameters (N, p) of map i, and what waits for those behind it."""
        own, later = waiting[:, : self._hidden], waiting[:, self._hidden :]
        out = self.out[i]
        assert isinstance(out, nn.Linear)
        # Parameters first in memory, as splines are quickest.
        return torch.addmm(out.bias[:, None], out.weight, silu(own).T).T, later

    def _told(self, i: int, waiting: Tensor, x: Tensor) -> Tensor:
        if i == len(self.maps) - 1:
            return waiting
        told: Tensor = self.tells[i](seen(self._map(i), x))
        return waiting + told


class Below(NamedTuple):
    """Number `number` of a chain lies below a limit where it is `bound`: x = limit - e^y; (N,)."""

    number: int
    limit: Tensor
    bound: Tensor

    def descent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return y (N,), of which the chain has a map, and log |dy/dx|."""
        y = (self.limit - x).clamp(min=LEAST_DESCENT).log()
        return torch.where(self.bound, y, x), torch.where(self.bound, -y, 0.0)

    def descended(self, y: Tensor) -> Tensor:
        """Return x (N,)."""
        return torch.where(self.bound, self.limit - y.exp(), y)


class Queue(NamedTuple):
    """The objects of B events one behind the other, T of the longest: all are (B, T).

    `group` is the number of an object's group, `rank` which of its group it is, `slot` its row in
    the table of places, and `there` whether the event has so many.
    """

    group: Tensor
    rank: Tensor
    slot: Tensor
    there: Tensor


class Sequence(Model):
    """p(counts | c) Π_t p(object t | those before, counts, c) p(other numbers | all objects, c).

    First comes how many objects there are of each group, one probability for each number, group
    after group. Then come the objects: groups in `order`, within a group those of each event in the
    order of its features. One network serves all: it is told the group and the rank, all counts,
    the conditions, and of the objects before it

    - sums Σ_i a(i), Σ_i a(i) cos φ_i, Σ_i a(i) sin φ_i of magnitudes a > 0, which a network makes
      of each object: with a = p_T the scalar and the vector sum of momenta are among them;
    - each of the first `places` objects of the event by itself, by a layer of its place.

    At last come all other numbers of the event, such as missing momentum. An absent object costs
    nothing: it is the noise, whose density a feature map expects of it.

    Each number has a monotone map of noise, see `mleg_ray.models.splines`, so the density is exact.
    A feature that is `descending` is below that of the object before in its group: it is generated
    as the logarithm of the distance. If events are `isotropic`, turning all of an event's angles
    changes no density: the first object's is uniform, and all others are measured from it.
    """

    has_density = True
    table: Tensor
    offset: Tensor
    turn: Tensor
    turn_others: Tensor

    def __init__(self, config: "SequenceConfig", spaces: Spaces) -> None:
        super().__init__()
        self.noise_space = space = spaces.features
        groups = _groups(space, config.order)
        counted = {group: _count_of(group, spaces) for group in groups}
        for group, part in groups.items():
            if (levels := spaces.levels[counted[group]].number) > part.shape[0] + 1:
                raise ConfigError(
                    f"{group}.count has {levels} levels, and there are at most {part.shape[0]} "
                    f"'{group}': dequantise it with levels = {part.shape[0] + 1}"
                )
        maps: dict[str, Monotone] = {}
        for group, part in groups.items():
            for i, name in enumerate(part.names):
                angle = i in part.circle
                maps[name.removeprefix(f"{group}.")] = (Circle if angle else Line)(config.bins)
        angles = [i for i, one in enumerate(maps.values()) if isinstance(one, Circle)]
        if any(len(part.circle) > 1 for part in groups.values()) or len(angles) > 1:
            raise ConfigError("objects have more than one angle; one is measured about the beam")
        if config.isotropic and not angles:
            raise ConfigError("isotropic: objects have no angle from which to measure others")
        if config.descending and config.descending not in maps:
            raise ConfigError(
                f"descending: objects have no '{config.descending}'; they have {', '.join(maps)}"
            )
        self._descending = list(maps).index(config.descending) if config.descending else None
        self._counted = tuple(counted.values())
        of_objects = {i for group in groups for i in range(space.width)[space.where[group]]}
        self._others = tuple(
            i for i in range(space.width) if i not in of_objects and i not in self._counted
        )
        # Where the features of each object stand; what its group has not, behind all of them.
        table: list[list[int]] = []
        for group, part in groups.items():
            behind = (space.width,) * part.shape[0]
            places = [space.positions.get(f"{group}.{name}", behind) for name in maps]
            table += [list(row) for row in zip(*places, strict=True)]
        self.register_buffer("table", torch.tensor(table), persistent=False)
        most = torch.tensor([part.shape[0] for part in groups.values()])
        self.register_buffer("offset", most.cumsum(0) - most, persistent=False)
        circle = set(space.circle)
        # What turns with the event: of an object's numbers, and of the event's others.
        turn = [isinstance(one, Circle) and config.isotropic for one in maps.values()]
        self.register_buffer("turn", torch.tensor(turn), persistent=False)
        turn = [i in circle and config.isotropic for i in self._others]
        self.register_buffer("turn_others", torch.tensor(turn, dtype=torch.bool), persistent=False)
        # Where cosine and sine are in what networks see of an object.
        self._cosine = sum(map(seen_width, list(maps.values())[: angles[0]])) if angles else None

        width, hidden, given = config.width, config.hidden, spaces.condition.width + 1
        shown = sum(map(seen_width, maps.values())) + len(groups)
        self.start = nn.Linear(given, width)
        self.counts = Chain([spaces.levels[i] for i in self._counted], width, hidden)
        self.given = nn.Linear(len(groups) + given, width)
        self.slot = nn.Embedding(len(table), width)
        self.magnitudes = nn.Sequential(
            nn.Linear(shown, MAGNITUDE_WIDTH),
            nn.SiLU(),
            nn.Linear(MAGNITUDE_WIDTH, config.magnitudes),
        )
        self.sums = nn.Linear((3 if angles else 1) * config.magnitudes, width, bias=False)
        alone = min(config.places, len(table))
        self.places = nn.Parameter(torch.randn(alone, shown, width) / math.sqrt(3 * shown))
        self.objects = Chain(tuple(maps.values()), width, hidden)
        rest = [(Circle if i in circle else Line)(config.bins) for i in self._others]
        self.rest = Chain(rest, width, hidden) if rest else None

    def players(self) -> Mapping[str, nn.Module]:
        """Return all networks as one."""
        return {"flow": self}

    def log_prob(self, features: Tensor, condition: Tensor) -> Tensor:
        """Return the log density (B,) of features (B, n) under conditions (B, c).

        It is that of what there is: the noise in the place of absent objects is left out.
        """
        condition = _with_constant(condition)
        levels = columns(features, self._counted)
        result = self.counts.log_prob(self.start(condition), levels).sum(dim=1)
        counts = self._numbers_of(levels)
        queue = self._queue(counts)
        places, x = self._read(features, queue.slot)
        turn = torch.where(self.turn, x[:, 0], 0.0).sum(dim=1) * queue.there[:, 0]
        x = torch.where(self.turn, wrapped(x - turn[:, None, None]), x)
        present = (places < features.shape[1]) & queue.there[..., None]
        x = torch.where(present, x, 0.0)

        rows = queue.there.nonzero(as_tuple=True)
        event, t = rows
        given = self.given(self._with_counts(counts, condition))
        shown = self._shown(queue.group[rows], x[rows])
        padded = shown.new_zeros(*queue.there.shape, shown.shape[1]).index_put(rows, shown)
        some = min(len(self.places), padded.shape[1])
        told = torch.einsum("bts,tsw->btw", padded[:, :some], self.places[:some])
        told = nn.functional.pad(told, (0, 0, 0, padded.shape[1] - some))
        told = told.index_put(rows, self._summed(shown), accumulate=True)
        known = (told.cumsum(dim=1) - told)[rows] + given[event] + self.slot(queue.slot[rows])
        below = None
        if self._descending is not None:
            own = x[..., self._descending]
            before = nn.functional.pad(own[:, :-1], (1, 0))
            below = Below(self._descending, before[rows], queue.rank[rows] > 0)
        logs = self.objects.log_prob(known, x[rows], below)
        logs = torch.where((t == 0)[:, None] & self.turn, -math.log(2), logs)
        logs = torch.where(present[rows], logs, 0.0).sum(dim=1)
        result = result.index_add(0, event, logs)
        if self.rest is None:
            return result
        others = columns(features, self._others)
        others = torch.where(self.turn_others, wrapped(others - turn[:, None]), others)
        return result + self.rest.log_prob(told.sum(dim=1) + given, others).sum(dim=1)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (n, features) to features (n, features).

        Events are sorted by their number of objects, so that each step is for those that have so
        many, without gaps. Their numbers differ from step to step, so nothing here is compiled.
        """
        condition = _with_constant(condition)
        levels = self.counts.decode(self.start(condition), columns(noise, self._counted))
        counts = self._numbers_of(levels)
        order = counts.sum(dim=1).argsort(descending=True, stable=True)
        counts = counts[order]
        queue = self._queue(counts)
        made = nn.functional.pad(noise, (0, 1))[order]  # a column for what an object has not
        made[:, self._counted] = levels[order]
        known = self.given(self._with_counts(counts, condition[order]))
        turn = made.new_zeros(len(made))
        last = turn
        for t, n in enumerate(queue.there.sum(dim=0).tolist()):
            group, rank, slot = (column[:n, t] for column in queue[:3])
            places, own = self._read(made[:n, :-1], slot)
            below = None
            if self._descending is not None:
                below = Below(self._descending, last[:n], rank > 0)
            present = places < noise.shape[1]
            if t == 0:
                turn[:n] = torch.where(self.turn, own, 0.0).sum(dim=1)
                present = present & ~self.turn  # the event turns, and the first angle is 0
            x = self.objects.decode(known[:n] + self.slot(slot), own, below, present)
            if self._descending is not None:
                last = x[:, self._descending]
            shown = self._shown(group, x)
            known[:n] += self._summed(shown)
            if t < len(self.places):
                known[:n] += shown @ self.places[t]
            x = torch.where(self.turn, wrapped(x + turn[:n, None]), x)
            made[:n].scatter_(1, places, x)
        if self.rest is not None:
            others = self.rest.decode(known, made[:, self._others])
            others = torch.where(self.turn_others, wrapped(others + turn[:, None]), others)
            made[:, self._others] = others
        result = torch.empty_like(noise)
        result[order] = made[:, :-1]
        return result

    def _numbers_of(self, levels: Tensor) -> Tensor:
        """Return how many objects (B, G) there are of each group."""
        numbers = [self.counts.level(i, own) for i, own in enumerate(levels.unbind(1))]
        return torch.stack(numbers, dim=1)

    def _queue(self, counts: Tensor) -> Queue:
        """Return the objects of events with so many (B, G) of each group."""
        ends = counts.cumsum(dim=1)
        t = torch.arange(int(ends[:, -1].max().clamp(min=1)), device=counts.device)
        group = (t[None, :, None] >= ends[:, None, :-1]).sum(dim=2)
        rank = t - (ends - counts).gather(1, group)
        there = t < ends[:, -1:]
        slot = torch.where(there, self.offset[group] + rank, 0)
        return Queue(group, rank, slot, there)

    def _read(self, features: Tensor, slot: Tensor) -> tuple[Tensor, Tensor]:
        """Return where (..., f) the features of objects (...) stand, and these.

        What an object has not stands behind all features, and is zero.
        """
        places = self.table[slot]
        padded = nn.functional.pad(features, (0, 1))
        return places, padded.gather(1, places.flatten(1)).view(places.shape)

    def _with_counts(self, counts: Tensor, condition: Tensor) -> Tensor:
        return torch.cat([SCALE * counts.to(condition), condition], dim=1)

    def _shown(self, group: Tensor, x: Tensor) -> Tensor:
        """Return objects (N, f) of groups (N,) as networks see them, (N, s)."""
        shown = [seen(one, own) for one, own in zip(self.objects.maps, x.unbind(1), strict=True)]
        return torch.cat([*shown, one_hot(group, len(self._counted)).to(x)], dim=1)

    def _summed(self, shown: Tensor) -> Tensor:
        """Return what objects (N, s) add to what is known of their event by sums (N, width)."""
        sizes = SCALE * self.magnitudes(shown).clamp(max=LARGEST_MAGNITUDE).exp()
        if self._cosine is not None:
            cos, sin = shown[:, self._cosine, None], shown[:, self._cosine + 1, None]
            sizes = torch.cat([sizes, sizes * cos, sizes * sin], dim=1)
        added: Tensor = self.sums(sizes)
        return added


@MODELS.register
class SequenceConfig(ModelConfig):
    """Configuration of `Sequence`.

    `order` are the groups in which objects come, by default that of the features; `descending` is
    the feature, `log_pt` of `jet.log_pt` say, by which a group's objects are in order, and none if
    empty. What is known of an event is `width` numbers, and each feature has `hidden` units of its
    own and a spline of so many `bins`. Sums are of `magnitudes`; the first `places` objects are
    told one by one.
    """

    players: ClassVar[tuple[str, ...]] = ("flow",)
    kind: Literal["sequence"] = "sequence"
    order: tuple[str, ...] = ()
    descending: str = ""
    isotropic: bool = False
    width: PositiveInt = 96
    hidden: PositiveInt = 48
    magnitudes: PositiveInt = 8
    places: PositiveInt = 12
    bins: Bins = 8

    def build(self, spaces: Spaces) -> Sequence:
        """Build the model with freshly drawn weights; `ConfigError` if it does not fit."""
        return Sequence(self, spaces)


def seen(one: Monotone, x: Tensor) -> Tensor:
    """Return a number (N,) as networks see it, (N, s): angles without a seam, levels one by one."""
    if isinstance(one, Circle):
        return torch.stack([(math.pi * x).cos(), (math.pi * x).sin()], dim=1)
    if isinstance(one, Levels):
        return one_hot(one.level(x), one.number).to(x)
    return x[:, None]


def seen_width(one: Monotone) -> int:
    """Return s of `seen`."""
    if isinstance(one, Levels):
        return one.number
    return 2 if isinstance(one, Circle) else 1


def _groups(space: Space, order: Several[str]) -> dict[str, Part]:
    """Return the parts of objects, in order; `ConfigError` if there are others than named."""
    if images := [name for name, part in space.parts.items() if len(part.shape) > 2]:
        raise ConfigError(f"'{images[0]}' is an image; a sequence is of objects and numbers")
    groups = {name: part for name, part in space.parts.items() if len(part.shape) == 2}
    if not groups:
        raise ConfigError("the features have no objects; choose another kind, 'autoregressive' say")
    if order and sorted(order) != sorted(groups):
        raise ConfigError(
            f"order: the features have objects of {', '.join(groups)}; it names {', '.join(order)}"
        )
    return {name: groups[name] for name in order or groups}


def _count_of(group: str, spaces: Spaces) -> int:
    """Return where the number of a group's objects stands among the features."""
    where = spaces.features.where[group]
    told = {spaces.presence.get(i, ())[:1] for i in range(where.start, where.stop)}
    counts = {i for pairs in told for i, _ in pairs}
    single = all(len(spaces.presence.get(i, ())) == 1 for i in range(where.start, where.stop))
    if len(counts) != 1 or not single:
        raise ConfigError(
            f"a sequence must know of each '{group}' by one whole number whether it is there: in "
            f"features.steps, dequantise {group}.count, and let no step leave out its numbers"
        )
    return counts.pop()


def _with_constant(condition: Tensor) -> Tensor:
    """Return conditions (B, c) and a one, (B, c + 1): a layer needs something to see."""
    return torch.cat([condition, condition.new_ones(len(condition), 1)], dim=1)
