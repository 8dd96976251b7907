"""What is exported of a checkpoint: one function of noise and conditions, and what it is of."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

import mleg_ray
from mleg_ray.checkpoint import Checkpoint, run_label
from mleg_ray.config import Config
from mleg_ray.errors import CheckpointError
from mleg_ray.events import COUNT, Events, Field

NOISE, CONDITIONS = "noise", "conditions"
EXAMPLES = 3  # events of which a graph of any number is traced


class NoiseCard(Config):
    """The layout of the noise of an event: so many numbers, of which some are `uniform`.

    Those, by their positions from 0, are uniform in [-1, 1); all others are standard normal.
    """

    width: int
    uniform: tuple[int, ...]


class ExportCard(Config):
    """What travels in an exported file: of what it is, and what its numbers mean.

    `conditions` are asked for in this order, within `condition_range`; the `fixed` ones never vary.
    Each event counts with `weight`, the mean of the train split's.
    """

    format_version: Literal[1] = 1
    mleg_ray: str
    name: str
    dataset: str
    dataset_digest: str
    checkpoint_digest: str
    model: str
    seed: int
    noise: NoiseCard
    conditions: tuple[Field, ...]
    condition_range: dict[str, tuple[float, float]]
    fixed: dict[str, float]
    fields: tuple[Field, ...]
    objects: dict[str, int]
    weight: float


class Generation(nn.Module):
    """Noise (B, d), float32, and conditions (B, c), float64, to the fields of B events by name.

    What `mleg_ray.models.generate` does: the model, and all steps backwards. Numbers are (B,),
    float64; fields of a group of up to K objects are (B, K), those that are absent 0, beside
    `jet.count` (B,); images are (B, *shape). Conditions are absent if none varies.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        require_exportable(checkpoint)
        dataset = checkpoint.card.dataset
        self.uri = checkpoint.uri
        self.model, self.feature_map = checkpoint.model, checkpoint.feature_map
        self._fixed = dataset.conditions
        self._schema = checkpoint.schema
        self._varying = self._schema.varying(self._fixed)
        by_name = {field.name: field for field in dataset.fields}
        space = checkpoint.model.noise_space
        self.card = ExportCard(
            mleg_ray=mleg_ray.__version__,
            name=run_label(checkpoint.uri),
            dataset=dataset.name,
            dataset_digest=dataset.dataset_digest,
            checkpoint_digest=checkpoint.digest,
            model=checkpoint.run.model.kind,
            seed=checkpoint.run.training.seed,
            noise=NoiseCard(width=space.width, uniform=space.circle),
            conditions=tuple(by_name[name] for name in self._varying),
            condition_range={n: checkpoint.card.condition_range[n] for n in self._varying},
            fixed=self._fixed,
            fields=tuple(by_name[name] for name in self._schema.event),
            objects=self._schema.objects,
            weight=float(checkpoint.feature_map.weight_mean),
        )

    def forward(self, noise: Tensor, conditions: Tensor | None = None) -> dict[str, Tensor]:
        """Return the fields of events by name, and the number of objects of each group."""
        one = torch.ones_like(noise[:, 0], dtype=torch.float64)
        columns = {name: one * self._fixed.get(name, 1.0) for name in self._schema.conditions}
        if conditions is not None:
            columns |= dict(zip(self._varying, conditions.unbind(dim=1), strict=True))
        given = Events(columns, {}, one)
        features = self.model.decode(noise, self.feature_map.condition(given))
        events = self.feature_map.decode(features, given)
        counts = {name: count.long() for name, count in events.counts.items()}
        return {name: events.columns[name] for name in self._schema.event} | counts

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what it returns, in order."""
        return (*self._schema.event, *(f"{group}.{COUNT}" for group in self.card.objects))

    def example(self, events: int) -> tuple[Tensor, ...]:
        """Return what it takes of so many events: noise of zeros, and conditions in their range."""
        noise = torch.zeros(events, self.card.noise.width)
        if not self._varying:
            return (noise,)
        ranges = self.card.condition_range
        values = [ranges[name][0] for name in self._varying]
        return noise, torch.tensor(values, dtype=torch.float64).repeat(events, 1)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of what it takes, in order."""
        return (NOISE, CONDITIONS) if self._varying else (NOISE,)

    def traced(self, events: int | None = None) -> ExportedProgram:
        """Return its graph of ATen's operations, for so many `events` at a time, or for any number.

        Raises:
            CheckpointError: what it does depends on its numbers, so that no graph has it all.
        """
        shapes: dict[str, Any] | None = None
        if events is None:
            shapes = {name: {0: Dim("events")} for name in self.inputs}
        given = self.example(events or EXAMPLES)
        try:
            return export(self, given, dynamic_shapes=shapes)
        except (GuardOnDataDependentSymNode, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"{self.uri}: a model of kind '{self.card.model}' cannot be exported: its steps "
                f"follow from the numbers themselves ({_line(error)}); use `mleg sample`, or train "
                "a student of it and export that"
            ) from None


def require_exportable(checkpoint: Checkpoint) -> None:
    """Raise `CheckpointError` where noise and conditions alone do not make an event."""
    if checkpoint.model.kept:
        raise CheckpointError(
            f"{checkpoint.uri}: a model of kind '{checkpoint.run.model.kind}' draws of "
            f"{checkpoint.model.kept:,} rows of its train split, which no file of noise and "
            "conditions has; use `mleg sample`, or export a flow, a GAN, a VAE or a student"
        )
    if where := checkpoint.run.where:
        raise CheckpointError(
            f"{checkpoint.uri}: its events fulfil {' and '.join(where)} because others are "
            "generated again, which one pass cannot do; use `mleg sample`, or train without `where`"
        )


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
