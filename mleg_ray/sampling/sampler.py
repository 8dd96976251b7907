"""One worker's part of sampling: a checkpoint and a shard's plan become a shard on disk."""

import functools
import operator

import numpy as np
import torch
from torch import Tensor

import mleg_ray
from mleg_ray.catalog.dataset import write_json
from mleg_ray.catalog.shards import FileEntry, footer_metadata, write_shard
from mleg_ray.catalog.sources import Columns
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.errors import CheckpointError
from mleg_ray.evaluation.datasets import compared_axes
from mleg_ray.evaluation.tally import FineBins, Tally
from mleg_ray.evaluation.unphysical import UnphysicalTally
from mleg_ray.events import Batch, stored_fields
from mleg_ray.randomness import derive_seed
from mleg_ray.sampling.plan import BINS, SampleSpec, ShardPlan, ShardRecord
from mleg_ray.storage import join, read_bytes, sha256, write_bytes

SPLIT = "sample"

# Part of what makes a shard's bytes: another value gives other events. It bounds the memory of the
# networks and lets their activations stay in a core's cache.
BATCH_EVENTS = 4096
COUNTED_EVENTS = 65_536  # at a time: ten megabytes of observables
PILOT_EVENTS = 262_144  # 256 in each quantile bin of a tally


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
        self._axes = tuple(compared_axes(card.fields, spec.conditions, card))
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
        """Generate and write a shard, its tally, then its record.

        Raises:
            CheckpointError: the model generates NaN or infinity.
            ResourceError: no permission or no space; nothing is left under the final names.
        """
        digest = self._spec.digest()
        columns = self.generate(shard)
        entry = write_shard(
            self._folder,
            shard.file,
            columns,
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
        bins, bins_sha256 = self._bins
        tally = self.tally(columns, bins).to_bytes()
        write_bytes(join(self._folder, shard.tally_file), tally)
        record = ShardRecord(
            sample=digest,
            bins=bins_sha256,
            index=shard.index,
            entry=entry.model_copy(update={"tally": FileEntry.of(shard.tally_file, tally)}),
        )
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

    def pilot(self) -> FineBins:
        """Return the bins of the sample's tallies, learned from events that are not kept."""
        seed = derive_seed(self._spec.seed, "tally bins")
        columns = self.generate(ShardPlan(index=0, events=PILOT_EVENTS, seed=seed))
        table = self._table(columns, slice(None))
        return FineBins.of({name: table[name].numpy() for name in self._axes})

    def tally(self, columns: Columns, bins: FineBins) -> Tally:
        """Count a shard's events as they are stored."""
        dataset = self._checkpoint.card.dataset
        parts = []
        for start in range(0, len(columns[self._schema.event[0]]), COUNTED_EVENTS):
            table = self._table(columns, slice(start, start + COUNTED_EVENTS))
            n = len(table[self._schema.event[0]])
            unphysical = UnphysicalTally.of(
                table,
                self._schema.event,
                self._checkpoint.feature_map.weight_mean.expand(n),
                dataset,
            )
            arrays = {name: column.numpy() for name, column in table.items()}
            parts.append(Tally.of(arrays, bins, dataset.planes, unphysical))
        return functools.reduce(operator.add, parts)

    def _table(self, columns: Columns, rows: slice) -> dict[str, Tensor]:
        """Return stored columns, fixed conditions and observables of some rows, in float64."""
        stored = {
            field.name: torch.from_numpy(columns[field.name][rows]).double()
            for field in self.stored_fields
        }
        batch = Batch.from_columns(self._schema, stored, self._spec.conditions)
        return self._checkpoint.card.dataset.columns(self._schema.columns(batch))

    @functools.cached_property
    def _bins(self) -> tuple[FineBins, str]:
        content = read_bytes(join(self._folder, BINS))
        return FineBins.from_bytes(content), sha256(content)

    def _batch(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        context = self._context.expand(n, -1)
        events = self._checkpoint.generate(context, generator=generator)
        weight = self._checkpoint.feature_map.weight_mean.expand(n)
        columns = self._schema.columns(Batch(events, context, weight))
        return columns | ({self._schema.weight: weight} if self._schema.weight else {})
