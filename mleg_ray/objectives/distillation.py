"""Distillation: a small network learns the map of a large one."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field as Option
from pydantic import NonNegativeFloat, PositiveInt

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch, Events, EventSchema
from mleg_ray.features import FeatureMap
from mleg_ray.memory import AtOnce
from mleg_ray.models import Model
from mleg_ray.models.base import GENERATED
from mleg_ray.models.student import Student
from mleg_ray.objectives.base import OBJECTIVES, Loss, Objective, ObjectiveConfig, Seen, Teacher
from mleg_ray.objectives.discrepancy import sliced_wasserstein2
from mleg_ray.randomness import Noise, derive_seed, stream

PAIRS = AtOnce(GENERATED.bytes, events=65_536)  # of a teacher


class Distillation(Objective):
    """L = a·E|s(z) - t(z)|² + b·SW²(s(z), data).

    The teacher t maps its noise z once, before the first step, into `pairs` pairs; conditions are
    drawn between those of the train split, log-uniformly where they are positive. The second term,
    over the critic's view of both, is what lets the student become better than its teacher. The
    pairs are the same for any number of workers.
    """

    def __init__(self, config: "DistillationConfig") -> None:
        self._config = config
        self.schedule = {"student": 1}
        self.couples_events = config.sliced > 0

    def require_teacher(self, teacher: Teacher, schema: EventSchema, model: Model) -> None:
        """Raise `ConfigError` unless the teacher makes the same events of the student's noise."""
        known, wanted = (s.event + s.conditions for s in (teacher.schema, schema))
        if known != wanted:
            raise ConfigError(f"the teacher knows {', '.join(known)}; not {', '.join(wanted)}")
        assert isinstance(model, Student)
        shape = teacher.noise_space
        if not model.noise_space.alike(shape):
            mend = f"set model.noise_dim = {len(shape.line)}"
            mend = "leave model.noise_dim out" if shape.circle else mend
            raise ConfigError(
                f"the teacher's noise, {shape}, is not the student's, {model.noise_space}; {mend}"
            )

    def learn_from(
        self,
        teacher: Teacher,
        schema: EventSchema,
        feature_map: FeatureMap,
        conditions: Mapping[str, tuple[float, float]],
        seed: int,
    ) -> None:
        """Let the teacher make the pairs."""
        device = feature_map.feature_mean.device
        generator = stream(derive_seed(seed, "pairs"), device)
        parts = []
        chunk = PAIRS.of(feature_map.space.nbytes)
        for start in range(0, self._config.pairs, chunk):
            n = min(chunk, self._config.pairs - start)
            given = self._given(conditions, n, generator)
            noise = teacher.noise_space.draw(n, generator)
            with torch.no_grad():
                events = teacher.decode(noise, given)
            pair = feature_map.encode(events, noise=Noise(device))
            parts.append((noise, pair.x, pair.condition))
        self._noise, self._features, self._condition = map(torch.cat, zip(*parts, strict=True))

    def loss(self, player: str, model: Model, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:
        """Return the loss of the one player, `student`, and its parts."""
        assert isinstance(model, Student)
        chosen = noise.uniform(len(batch), 1).squeeze(1)
        rows = (chosen * len(self._noise)).long().clamp(max=len(self._noise) - 1)
        z = self._noise[rows]
        learned = model.decode(z, self._condition[rows])
        regression = model.distance(learned, self._features[rows]).mean()
        loss = self._config.regression * regression
        if self._config.sliced == 0:
            return Loss(loss, {"regression": regression})
        condition = batch.condition
        generated, real = (
            torch.cat([seen.view(features, condition), condition], dim=1)
            for features in (model.decode(z, condition), batch.x)
        )
        directions = noise.normal(self._config.directions, real.shape[1])
        sliced = sliced_wasserstein2(generated, real, batch.weight, directions)
        total = loss + self._config.sliced * sliced
        return Loss(total, {"regression": regression, "sliced": sliced})

    def _given(
        self, ranges: Mapping[str, tuple[float, float]], n: int, generator: torch.Generator
    ) -> Events:
        columns = {}
        for name, (low, high) in ranges.items():
            u = torch.rand(n, generator=generator, device=generator.device, dtype=torch.float64)
            if 0 < low < high:
                low, high = low / self._config.reach, high * self._config.reach
                columns[name] = low * (high / low) ** u
            else:
                columns[name] = low + (high - low) * u
        weight = torch.ones(n, dtype=torch.float64, device=generator.device)
        return Events(columns, {}, weight)


@OBJECTIVES.register
class DistillationConfig(ObjectiveConfig):
    """Configuration of `Distillation`: the weights a and b, pairs, directions of SW.

    `reach` widens the range of positive conditions at both ends by a factor: the teacher's
    extrapolation is learned too. It does not concern conditions of one value.
    """

    kind: Literal["distillation"] = "distillation"
    regression: NonNegativeFloat = 1.0
    sliced: NonNegativeFloat = 0.0
    directions: PositiveInt = 64
    pairs: PositiveInt = 1_000_000
    reach: float = Option(1.0, ge=1, lt=math.inf)

    @property
    def needs_teacher(self) -> bool:
        """Yes."""
        return True

    def build(self) -> Distillation:
        """Build the objective; `Distillation.learn_from` must follow."""
        return Distillation(self)
