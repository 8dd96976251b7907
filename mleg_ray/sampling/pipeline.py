"""What is computed of each event of a sample, from noise to what is stored and counted."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.exc import InductorError

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.errors import ResourceError
from mleg_ray.evaluation.datasets import compared_axes
from mleg_ray.evaluation.unphysical import broken
from mleg_ray.events import Batch, stored_fields
from mleg_ray.models.base import NoiseMap

# Part of what makes a shard's bytes: another value gives other events. It bounds the memory of the
# networks and lets their activations stay in a core's cache.
BATCH_EVENTS = 4096


@dataclass(frozen=True)
class Generated:
    """Generated events, by columns of shape (n,).

    `stored` has the event fields as they are written, `counted` what else is compared, from the
    stored numbers and rounded to single precision, `broken` the events that break each rule.
    """

    stored: dict[str, Tensor]
    counted: dict[str, Tensor]
    broken: dict[str, Tensor]

    @property
    def parts(self) -> tuple[dict[str, Tensor], ...]:
        """All three."""
        return self.stored, self.counted, self.broken

    @property
    def columns(self) -> dict[str, Tensor]:
        """What is compared."""
        return self.stored | self.counted


class Pipeline:
    """A checkpoint under fixed conditions, a batch of `BATCH_EVENTS` events at a time.

    `compiled`, all that follows the noise is fused into one pass, machine code for this very model:
    for a small network as much as what the network costs is saved. It takes some ten seconds to
    begin and a C++ compiler on the node, and rounds otherwise: its events have other last bits.
    """

    def __init__(
        self, checkpoint: Checkpoint, conditions: Mapping[str, float], *, compiled: bool
    ) -> None:
        card = checkpoint.card.dataset
        self._checkpoint = checkpoint
        self._conditions = conditions
        self._dataset = card
        self._schema = card.schema_
        fields = stored_fields(card.fields, conditions)
        self._dtypes = {
            field.name: getattr(torch, field.dtype) for field in fields if field.role == "event"
        }
        axes = compared_axes(card.fields, conditions, card)
        self._counted = [name for name in axes if name not in self._dtypes]
        values = [conditions[name] for name in self._schema.conditions]
        self._context = torch.tensor([values], dtype=torch.float64).expand(BATCH_EVENTS, -1)
        self._condition = checkpoint.feature_map.condition(self._context).float()
        # One shape only: a second one would be compiled again, and round otherwise.
        self._finish = torch.compile(self._events, dynamic=False) if compiled else self._events

    @torch.inference_mode()
    def __call__(self, generator: torch.Generator) -> Generated:
        """Generate the next batch.

        Raises:
            ResourceError: this node cannot compile.
        """
        model = self._checkpoint.model
        if isinstance(model, NoiseMap):
            drawn = model.noise(BATCH_EVENTS, generator=generator)
        else:
            drawn = model.sample(BATCH_EVENTS, self._condition, generator=generator)
        try:
            stored, counted, marks = self._finish(drawn)
        except (InductorError, BackendCompilerFailed) as error:
            raise ResourceError(
                f"this node cannot compile the model ({str(error).splitlines()[0]}); install a C++ "
                "compiler on every node, or sample with --no-compile to another --out"
            ) from None
        return Generated(
            stored, counted, {name: mark.view(torch.bool) for name, mark in marks.items()}
        )

    def _events(
        self, drawn: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        model, feature_map = self._checkpoint.model, self._checkpoint.feature_map
        features = model.decode(drawn, self._condition) if isinstance(model, NoiseMap) else drawn
        events = feature_map.inverse(features, self._context)
        named = self._schema.columns(Batch(events, self._context, events[:, 0]))
        stored = {name: named[name].to(dtype) for name, dtype in self._dtypes.items()}
        table = self._dataset.columns(
            named | {name: column.double() for name, column in stored.items()}
        )
        counted = {name: table[name].float() for name in self._counted}
        masks = broken(table, self._schema.event, self._dataset)
        # Compiled code writes booleans one by one, ten times as slowly as numbers.
        marks = {name: mask.float().to(torch.uint8) for name, mask in masks.items()}
        return stored, counted, marks


def has_compiler() -> bool:
    """Tell whether this machine has the C++ compiler that torch would call."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None
