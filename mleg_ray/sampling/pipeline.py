"""What is computed of each event of a sample, from noise to what is stored and counted."""

import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.exc import InductorError

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.definitions import passing
from mleg_ray.errors import ResourceError
from mleg_ray.evaluation.samples.datasets import compared_axes
from mleg_ray.evaluation.samples.unphysical import broken
from mleg_ray.events import Events
from mleg_ray.sampling.plan import SampleSpec


@dataclass(frozen=True)
class Generated:
    """Generated events, by columns: of numbers (n,), of objects (n, most), of images (n, *shape).

    `stored` has the event fields as they are written, and `present` tells which objects there are;
    `counted` has what else is compared, from the stored numbers and rounded to single precision,
    `broken` the events that break each rule, and `kept` the numbers of those that pass the sample's
    `where`, None without one. `tried` events were generated for these. `weight` has those of folded
    events, None if all have the sampler's.
    """

    stored: dict[str, Tensor]
    present: dict[str, Tensor]
    counted: dict[str, Tensor]
    broken: dict[str, Tensor]
    kept: Tensor | None
    tried: int
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(next(iter(self.stored.values())))

    def each(self, change: Callable[[Tensor], Tensor]) -> "Generated":
        """Return the events with all columns changed alike."""
        stored, present, counted, broken = (
            {name: change(column) for name, column in part.items()} for part in self.parts
        )
        return replace(self, stored=stored, present=present, counted=counted, broken=broken)

    @property
    def parts(self) -> tuple[dict[str, Tensor], ...]:
        """All columns, by what they are."""
        return self.stored, self.present, self.counted, self.broken

    @property
    def columns(self) -> dict[str, Tensor]:
        """What is compared."""
        return self.stored | self.counted


class Pipeline:
    """A checkpoint under the conditions of a sample, `batch` events at a time.

    It works where the checkpoint is; what it returns is on the CPU.

    A condition of several values is drawn first, and rounded as it is stored.

    `compiled`, all that follows the noise is fused into one pass, machine code for this very model:
    for a small network as much as what the network costs is saved. It takes some ten seconds to
    begin and a C++ compiler on the node, and rounds otherwise: its events have other last bits.
    """

    def __init__(self, checkpoint: Checkpoint, spec: SampleSpec, *, compiled: bool) -> None:
        card = checkpoint.card.dataset
        self._checkpoint = checkpoint
        self._dataset = card
        self._schema = card.schema_
        fixed = spec.fixed
        fields = self._schema.without({*fixed, spec.partition}).fields
        self._dtypes = {
            field.name: getattr(torch, field.dtype) for field in fields if field.role != "weight"
        }
        axes = compared_axes(card, fixed)
        self._counted = [name for name in axes if name not in self._dtypes]
        self._drawn = {n: s for n, s in spec.conditions.items() if n not in fixed}
        self._where = spec.where
        self.batch = spec.batch_events
        device = checkpoint.device
        given = {
            name: torch.full((self.batch,), fixed.get(name, math.nan), dtype=torch.float64)
            for name in self._schema.conditions
        }
        self._given = Events(given, {}, torch.ones(self.batch, dtype=torch.float64)).to(device)
        checkpoint.feature_map.require_conditions(self._given)
        self._condition = checkpoint.feature_map.condition(self._given)
        # One shape only: a second one would be compiled again, and round otherwise.
        self._finish = torch.compile(self._events, dynamic=False) if compiled else self._events

    @torch.inference_mode()
    def __call__(
        self,
        generator: torch.Generator,
        at: Mapping[str, float],
        given: Events | None = None,
    ) -> Generated:
        """Generate the next batch, in which the conditions `at` have one value.

        `given` has the conditions of the next events, if these are not drawn; of fewer than a batch
        the last one fills it up.

        Raises:
            ResourceError: this node cannot compile.
        """
        model = self._checkpoint.model
        if given is None:
            given, condition = self._conditions(generator, at)
        else:
            rows = torch.arange(self.batch).clamp(max=len(given) - 1)
            given = given[rows].to(self._checkpoint.device)
            condition = self._checkpoint.feature_map.condition(given)
        drawn = model.draw(self.batch, generator=generator)
        try:
            made = self._finish(drawn, dict(given.columns), given.weight, condition)
        except (InductorError, BackendCompilerFailed) as error:
            reason = str(error).rpartition("raised:\n")[2]
            raise ResourceError(
                f"this node cannot compile the model ({reason.splitlines()[0]}); install a C++ "
                "compiler on every node, or sample with --no-compile to another --out"
            ) from None
        stored, present, counted, marks = (
            {name: column.cpu() for name, column in part.items()} for part in made[:4]
        )
        return Generated(
            stored,
            {name: there.view(torch.bool) for name, there in present.items()},
            counted,
            {name: mark.view(torch.bool) for name, mark in marks.items()},
            made[4].cpu().nonzero()[:, 0] if self._where else None,
            tried=self.batch,
        )

    def _conditions(
        self, generator: torch.Generator, at: Mapping[str, float]
    ) -> tuple[Events, Tensor]:
        """Return the events' conditions, and as they enter networks."""
        if not self._drawn:
            return self._given, self._condition
        columns = dict(self._given.columns)
        device = self._checkpoint.device
        for name in self._schema.conditions:
            if name in at:
                columns[name] = torch.full_like(columns[name], at[name])
            elif spectrum := self._drawn.get(name):
                u = torch.rand(self.batch, generator=generator, dtype=torch.float64, device=device)
                values = spectrum.quantile(u.cpu()).to(self._dtypes.get(name, torch.float64))
                columns[name] = values.double().to(device)
        given = Events(columns, {}, self._given.weight)
        self._checkpoint.feature_map.require_conditions(given)
        return given, self._checkpoint.feature_map.condition(given)

    def _events(
        self, drawn: Tensor, given: dict[str, Tensor], weight: Tensor, condition: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], Tensor]:
        model, feature_map = self._checkpoint.model, self._checkpoint.feature_map
        features = model.decode(drawn, condition)
        events = feature_map.decode(features, Events(given, {}, weight))
        stored = {name: events.columns[name].to(dtype) for name, dtype in self._dtypes.items()}
        rounded = {name: c.to(events.columns[name].dtype) for name, c in stored.items()}
        events = self._dataset.joined(events.replacing((), rounded))
        counted = {name: events.columns[name].float() for name in self._counted}
        masks = broken(events, self._schema.event, self._dataset)
        # Compiled code writes booleans one by one, ten times as slowly as numbers.
        present = {name: there.float().to(torch.uint8) for name, there in events.present.items()}
        marks = {name: mask.float().to(torch.uint8) for name, mask in masks.items()}
        kept = passing(self._where, events).float().to(torch.uint8)
        return stored, present, counted, marks, kept


def has_compiler() -> bool:
    """Tell whether this machine has the C++ compiler that torch would call."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None
