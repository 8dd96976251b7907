"""One worker's part of sampling: a checkpoint and a shard's plan become a shard on disk."""

import numpy as np
import torch
from torch import Tensor

import mleg_ray
from mleg_ray.catalog.dataset import write_json
from mleg_ray.catalog.shards import footer_metadata, write_shard
from mleg_ray.catalog.sources import Columns
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.errors import CheckpointError
from mleg_ray.events import Batch, stored_fields
from mleg_ray.sampling.plan import SampleSpec, ShardPlan, ShardRecord
from mleg_ray.storage import join

SPLIT = "sample"

# Part of what makes a shard's bytes: another value gives other events. It bounds the memory of the
# networks and lets their activations stay in a core's cache.
BATCH_EVENTS = 16_384


class Sampler:
    """Generates the shards of one sample; a shard has the same bytes on any worker.

    Memory is bounded by one shard's columns and one batch's activations. A weight field is filled
    with the train split's mean weight, so that sums of weights keep their meaning.
    """

    def __init__(self, checkpoint: Checkpoint, spec: SampleSpec, folder: str) -> None:
        if checkpoint.digest != spec.checkpoint:
            raise CheckpointError(
                f"{checkpoint.uri}: was replaced while a sample of it was made; put the old one "
                "back, or sample the new one to another --out"
            )
        card = checkpoint.card.dataset
        self.stored_fields = stored_fields(card.fields, spec.conditions)
        self._checkpoint = checkpoint
        self._spec = spec
        self._folder = folder
        self._schema = card.schema_
        conditions = [spec.conditions[name] for name in self._schema.conditions]
        self._context = torch.tensor([conditions], dtype=torch.float64)

    @property
    def event_bytes(self) -> int:
        """The bytes of one stored event before compression."""
        return sum(np.dtype(field.dtype).itemsize for field in self.stored_fields)

    def __call__(self, shard: ShardPlan) -> ShardRecord:
        """Generate and write a shard, then its record.

        Raises:
            CheckpointError: the model generates NaN or infinity.
            ResourceError: no permission or no space; nothing is left under the final names.
        """
        digest = self._spec.digest()
        entry = write_shard(
            self._folder,
            shard.file,
            self.generate(shard),
            self.stored_fields,
            footer_metadata(
                dataset=self._checkpoint.card.dataset.name,
                checkpoint=self._spec.checkpoint,
                conditions=self._spec.conditions,
                sample=digest,
                index=shard.index,
                seed=shard.seed,
                code=mleg_ray.__version__,
            ),
            split=SPLIT,
            seed=shard.seed,
        )
        record = ShardRecord(sample=digest, index=shard.index, entry=entry)
        write_json(join(self._folder, shard.record_file), record.model_dump(mode="json"))
        return record

    @torch.inference_mode()
    def generate(self, shard: ShardPlan) -> Columns:
        """Return a shard's events as columns (events,) in the schema's units and precision.

        Raises:
            CheckpointError: the model generates NaN or infinity.
        """
        generator = torch.Generator().manual_seed(shard.seed)
        columns = {
            field.name: torch.empty(shard.events, dtype=getattr(torch, field.dtype))
            for field in self.stored_fields
        }
        for start in range(0, shard.events, BATCH_EVENTS):
            n = min(BATCH_EVENTS, shard.events - start)
            batch = self._batch(n, generator)
            for name, column in columns.items():
                column[start : start + n] = batch[name]
        for name, column in columns.items():
            if not column.isfinite().all():
                raise CheckpointError(
                    f"{self._checkpoint.uri}: generates values of '{name}' that are not finite "
                    f"(shard {shard.index}); take another checkpoint, or conditions inside the "
                    "range that it was trained on"
                )
        return {name: column.numpy() for name, column in columns.items()}

    def _batch(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        context = self._context.expand(n, -1)
        events = self._checkpoint.generate(context, generator=generator)
        weight = self._checkpoint.feature_map.weight_mean.expand(n)
        columns = self._schema.columns(Batch(events, context, weight))
        return columns | ({self._schema.weight: weight} if self._schema.weight else {})
