"""Distillation: a small network learns the map of a large one."""

import math
from collections.abc import Iterator, Mapping
from typing import Literal, Self

import torch
from pydantic import Field as Option
from pydantic import NonNegativeFloat, PositiveInt, PrivateAttr
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch, Events, EventSchema
from mleg_ray.memory import AtOnce
from mleg_ray.models.base import GENERATED
from mleg_ray.models.student import Student
from mleg_ray.objectives.base import OBJECTIVES, Loss, Objective, Seen, Setting, Teacher, Traits
from mleg_ray.objectives.discrepancy import sliced_wasserstein2
from mleg_ray.randomness import Noise, derive_seed, stream
from mleg_ray.space import Space

PAIRS = AtOnce(GENERATED.bytes, events=65_536)  # of a teacher


@OBJECTIVES.register
class Distillation(Objective):
    """L = a·E|s(z) - t(z)|² + b·SW²(s(z), data), with a = `regression` and b = `sliced`.

    The teacher t maps its noise z once, before the first step, into `pairs` pairs; conditions are
    drawn between those of the train split, log-uniformly where they are positive. `reach` widens
    the range of positive conditions at both ends by a factor: the teacher's extrapolation is
    learned too. It does not concern conditions of one value. The second term, over the critic's
    view of both and so many `directions`, is what lets the student become better than its teacher.
    The pairs are the same for any number of workers.
    """

    kind: Literal["distillation"] = "distillation"
    regression: NonNegativeFloat = 1.0
    sliced: NonNegativeFloat = 0.0
    directions: PositiveInt = 64
    pairs: PositiveInt = 1_000_000
    reach: float = Option(1.0, ge=1, lt=math.inf)
    _pairs: tuple[Tensor, ...] = PrivateAttr()  # noise, and the features and conditions made of it

    @property
    def traits(self) -> Traits:
        """The second term couples the events."""
        return Traits({"student": 1}, couples_events=self.sliced > 0, needs_teacher=True)

    def require_teacher(self, teacher: Teacher, schema: EventSchema, noise: Space) -> None:
        """Raise `ConfigError` unless the teacher makes the same events of the student's noise."""
        known, wanted = (s.event + s.conditions for s in (teacher.schema, schema))
        if known != wanted:
            raise ConfigError(f"the teacher knows {', '.join(known)}; not {', '.join(wanted)}")
        shape = teacher.noise_space
        if not noise.alike(shape):
            mend = f"set model.noise_dim = {len(shape.line)}"
            mend = "leave model.noise_dim out" if shape.circle else mend
            raise ConfigError(
                f"the teacher's noise, {shape}, is not the student's, {noise}; {mend}"
            )

    def bind(self, setting: Setting) -> Self:
        """Return the objective of one run, whose teacher makes its pairs."""
        bound = super().bind(setting)
        bound._pairs = tuple(map(torch.cat, zip(*_taught(self, setting), strict=True)))
        return bound

    def loss(self, player: str, model: Student, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:
        """Return the loss of the one player, `student`, and its parts."""
        chosen = noise.uniform(len(batch), 1).squeeze(1)
        every = len(self._pairs[0])
        rows = (chosen * every).long().clamp(max=every - 1)
        z, taught, given = (column[rows] for column in self._pairs)
        regression = model.distance(model.decode(z, given), taught).mean()
        loss = self.regression * regression
        if self.sliced == 0:
            return Loss(loss, {"regression": regression})
        condition = batch.condition
        generated, real = (
            torch.cat([seen.view(features, condition), condition], dim=1)
            for features in (model.decode(z, condition), batch.x)
        )
        directions = noise.normal(self.directions, real.shape[1])
        sliced = sliced_wasserstein2(generated, real, batch.weight, directions)
        parts = {"regression": regression, "sliced": sliced}
        return Loss(loss + self.sliced * sliced, parts)


def _taught(objective: Distillation, setting: Setting) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield noise, and the features and conditions that the teacher makes of it, in chunks."""
    teacher, feature_map = setting.teacher, setting.feature_map
    assert teacher
    device = feature_map.feature_mean.device
    generator = stream(derive_seed(setting.seed, "pairs"), device)
    chunk = PAIRS.of(feature_map.space.nbytes)
    for start in range(0, objective.pairs, chunk):
        n = min(chunk, objective.pairs - start)
        given = _given(setting.conditions, objective.reach, n, generator)
        noise = teacher.noise_space.draw(n, generator)
        with torch.no_grad():
            events = teacher.decode(noise, given)
        pair = feature_map.encode(events, noise=Noise(device))
        yield noise, pair.x, pair.condition


def _given(
    ranges: Mapping[str, tuple[float, float]], reach: float, n: int, generator: torch.Generator
) -> Events:
    columns = {}
    for name, (low, high) in ranges.items():
        u = torch.rand(n, generator=generator, device=generator.device, dtype=torch.float64)
        if 0 < low < high:
            low, high = low / reach, high * reach
            columns[name] = low * (high / low) ** u
        else:
            columns[name] = low + (high - low) * u
    weight = torch.ones(n, dtype=torch.float64, device=generator.device)
    return Events(columns, {}, weight)
