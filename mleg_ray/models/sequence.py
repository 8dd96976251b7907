"""A density of events of objects: how many there are, then one object after another."""

import math
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Several
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import one_hot

from mleg_ray.errors import ConfigError
from mleg_ray.models.balance import TOLD, Balance, Before
from mleg_ray.models.base import MODELS, Model, ModelConfig, Spaces
from mleg_ray.models.chain import Below, Chain, Turned, seen, seen_width
from mleg_ray.models.second import After, Second
from mleg_ray.models.splines import Bins, Circle, Line, Monotone
from mleg_ray.space import Part, Space, columns, wrapped

LARGEST_MAGNITUDE = 6.0  # its logarithm: what is summed must not overflow
MAGNITUDE_WIDTH = 32  # of the network that makes magnitudes
SCALE = 0.25  # of sums and counts, so that networks see numbers of order one
GENTLE = 0.25  # of standardised conditions: trainings differ less between values that are learned


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
    changes no density: the first object's is uniform, and all others are measured from it. The
    second object of a group of `pairs` may be of the first one's particle, and is then placed by
    the mass of both, see `Second`. Where missing momentum is to `balance`, each object is told the
    transverse momentum of those before it, from which its azimuth is measured, and missing momentum
    is learned as a soft term, see `Balance`.
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
        if unknown := [group for group in config.pairs if group not in groups]:
            raise ConfigError(
                f"pairs: the features have no objects '{unknown[0]}'; they have {', '.join(groups)}"
            )
        if config.descending and config.descending not in maps:
            raise ConfigError(
                f"descending: objects have no '{config.descending}'; they have {', '.join(maps)}"
            )
        for group, field in spaces.orders.items() if config.descending else ():
            feature = f"{group}.{config.descending}"
            ordering = spaces.fields[field].feature if field in spaces.fields else "none alone"
            if feature in space.positions and feature != ordering:
                raise ConfigError(
                    f"descending: '{group}' are in the order of {field}, of which steps make "
                    f"{ordering}, and '{feature}' need not descend"
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
        self._azimuth = angles[0] if angles else 0
        self.balance = Balance(config.balance, groups, maps, spaces) if config.balance else None
        balanced = () if self.balance is None else (self.balance.phi,)
        turn = [i in circle and i not in balanced and config.isotropic for i in self._others]
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
        self.behind = nn.Linear(shown, width, bias=False)
        if self.balance is not None:
            self.pull = nn.Linear(TOLD, width, bias=False)
        self.sums = nn.Linear((3 if angles else 1) * config.magnitudes, width, bias=False)
        alone = min(config.places, len(table))
        self.places = nn.Parameter(torch.randn(alone, shown, width) / math.sqrt(3 * shown))
        self.objects = Chain(tuple(maps.values()), width, hidden)
        self._paired = tuple(list(groups).index(group) for group in config.pairs)
        self.seconds = nn.ModuleList(
            Second(maps, group, spaces, width, hidden) for group in config.pairs
        )
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
        group, rank, own = queue.group[rows], queue.rank[rows], x[rows]
        shown = self._shown(group, own)
        padded = shown.new_zeros(*queue.there.shape, shown.shape[1]).index_put(rows, shown)
        some = min(len(self.places), padded.shape[1])
        told = torch.einsum("bts,tsw->btw", padded[:, :some], self.places[:some])
        told = nn.functional.pad(told, (0, 0, 0, padded.shape[1] - some))
        told = told.index_put(rows, self._summed(shown), accumulate=True)
        known = (told.cumsum(dim=1) - told)[rows] + given[event] + self.slot(queue.slot[rows])
        before = nn.functional.pad(x[:, :-1], (0, 0, 1, 0))[rows]
        below = self._below(before, rank)
        known = known + self._behind(group, rank, before)
        sums = None
        if self.balance is not None:
            momenta = self.balance.momenta(x, queue.group).masked_fill(~queue.there, 0)
            sums = Before.each(momenta).of(rows)
            known = known + self._pulled(sums, before)
        logs = torch.empty_like(before)
        for law, of in self._laws(group, rank, before, sums):
            found = law.log_prob(known[of], own[of], below and below.of(of))
            logs = logs.index_put((of,), found)
        logs = torch.where((t == 0)[:, None] & self.turn, -math.log(2), logs)
        logs = torch.where(present[rows], logs, 0.0).sum(dim=1)
        result = result.index_add(0, event, logs)
        if self.rest is None:
            return result
        if self.balance is not None:
            features, log_slope = self.balance(features, _turned(momenta.sum(dim=1), turn))
            result = result + log_slope
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
        before = made.new_zeros(len(made), len(self.objects.maps))
        sums = Before.nothing(len(made), made.device)
        for t, n in enumerate(queue.there.sum(dim=0).tolist()):
            group, rank, slot = (column[:n, t] for column in queue[:3])
            places, own = self._read(made[:n, :-1], slot)
            before = before[:n]
            below = self._below(before, rank)
            present = places < noise.shape[1]
            if t == 0:
                turn[:n] = torch.where(self.turn, own, 0.0).sum(dim=1)
                present = present & ~self.turn  # the event turns, and the first angle is 0
            known_now = known[:n] + self.slot(slot) + self._behind(group, rank, before)
            now = None
            if self.balance is not None:
                now = sums.of(slice(n))
                known_now = known_now + self._pulled(now, before)
            x = torch.empty_like(own)
            for law, of in self._laws(group, rank, before, now):
                x[of] = law.decode(known_now[of], own[of], below and below.of(of), present[of])
            before = x
            if self.balance is not None:
                sums = sums.then(self.balance.momenta(x, group))
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
            if self.balance is not None:
                made = self.balance.inverse(made, _turned(sums.vector, turn))
        result = torch.empty_like(noise)
        result[order] = made[:, :-1]
        return result

    def _numbers_of(self, levels: Tensor) -> Tensor:
        """Return how many objects (B, G) there are of each group."""
        numbers = [self.counts.level(i, own) for i, own in enumerate(levels.unbind(1))]
        return torch.stack(numbers, dim=1)

    def _below(self, before: Tensor, rank: Tensor) -> Below | None:
        """Return the limits of objects by those (N, f) before them."""
        if self._descending is None:
            return None
        return Below(self._descending, before[:, self._descending], rank > 0)

    def _laws(
        self, group: Tensor, rank: Tensor, before: Tensor, sums: Before | None
    ) -> Iterator[tuple[Chain | Turned | After, Tensor]]:
        """Yield the densities of objects (N,) behind those (N, f) before, and whose they are."""
        others = torch.ones_like(group, dtype=torch.bool)
        for number, second in zip(self._paired, self.seconds, strict=True):
            assert isinstance(second, Second)
            of = (group == number) & (rank == 1)
            others &= ~of
            yield second.after(before[of], self._law(sums, of)), of
        yield self._law(sums, others), others

    def _law(self, sums: Before | None, of: Tensor) -> Chain | Turned:
        """Return the density of objects behind some of the sums, by a mask (N,)."""
        if sums is None:
            return self.objects
        return Turned(self.objects, self._azimuth, sums.of(of).turn)

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

    def _behind(self, group: Tensor, rank: Tensor, before: Tensor) -> Tensor:
        """Return what objects (N,) are told of those (N, f) before them in their groups."""
        told: Tensor = self.behind(self._shown(group, before))
        return torch.where((rank > 0)[:, None], told, 0.0)

    def _pulled(self, sums: Before, before: Tensor) -> Tensor:
        """Return what objects (N,) are told of momenta, as seen from those (N, f) before them."""
        assert self.balance is not None
        told = self.balance.told(sums, before[:, self._azimuth].double())
        pulled: Tensor = self.pull(told.to(before))
        return pulled

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
    the feature, `log_pt` of `jet.log_pt` say, by which a group's objects are in order, that of its
    `ordered_by`, and none if empty. `pairs` are groups whose second object may be placed by the
    mass of the first two, see `Second`; `balance` names the missing momentum that balances objects,
    see `Balance`: `met`, say, of `met.pt` and `met.phi`. Of what either needs, `pt`, `eta` and
    `phi`, steps must make a feature each. What is known of an event is `width` numbers, and each
    feature has `hidden` units of its own and a spline of so many `bins`. Sums are of `magnitudes`;
    the first `places` objects are told one by one.
    """

    players: ClassVar[tuple[str, ...]] = ("flow",)
    kind: Literal["sequence"] = "sequence"
    order: tuple[str, ...] = ()
    descending: str = ""
    isotropic: bool = False
    pairs: tuple[str, ...] = ()
    balance: str = ""
    width: PositiveInt = 96
    hidden: PositiveInt = 48
    magnitudes: PositiveInt = 8
    places: PositiveInt = 12
    bins: Bins = 8

    def build(self, spaces: Spaces) -> Sequence:
        """Build the model with freshly drawn weights; `ConfigError` if it does not fit."""
        return Sequence(self, spaces)


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
    return torch.cat([GENTLE * condition, condition.new_ones(len(condition), 1)], dim=1)


def _turned(momenta: Tensor, turn: Tensor) -> Tensor:
    """Return momenta (B,) turned by angles (B,) in half turns."""
    return momenta * torch.polar(torch.ones_like(momenta.real), math.pi * turn.double())
