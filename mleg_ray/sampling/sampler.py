"""One worker's part of sampling: a checkpoint and a shard's plan become a shard on disk."""

import functools
import operator
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

import mleg_ray
from mleg_ray.catalog.codec import bytes_of, checked, of_events, to_table
from mleg_ray.catalog.shards import footer_metadata, parquet, write_shard
from mleg_ray.checkpoint import MOST_TRIES, Checkpoint
from mleg_ray.console import progress_bar
from mleg_ray.errors import CheckpointError, ConfigError
from mleg_ray.evaluation.samples.column import columns_of
from mleg_ray.evaluation.samples.tally import FineBins, Tally
from mleg_ray.evaluation.samples.unphysical import UnphysicalTally
from mleg_ray.events import Events, EventSchema
from mleg_ray.folder import FileEntry, write_record
from mleg_ray.memory import MIB, AtOnce
from mleg_ray.randomness import derive_seed, stream
from mleg_ray.sampling.folding import folding
from mleg_ray.sampling.pipeline import Generated, Pipeline
from mleg_ray.sampling.plan import BINS_FILE, SampledShard, SampleSpec, ShardPlan
from mleg_ray.storage import join, read_bytes, write_bytes

SPLIT = "sample"

COUNTED = AtOnce(16 * MIB, events=16_384)  # what lies between columns and counts stays in cache
PILOT = AtOnce(256 * MIB, events=262_144)  # 256 in each quantile bin of a tally
LEAST_PILOT_EVENTS = 16_384  # also of a sample with fewer
PILOT_TRIES = 8  # for each event, also if fewer are kept


class Sampler:
    """Generates the shards of one sample; a shard has the same bytes on any worker.

    Memory is bounded by one shard's columns, compared ones included, and one batch's activations.
    A weight field is filled with the train split's mean weight, so that sums of weights keep their
    meaning; that of folded events with their own. `fields` are those of the sample.
    """

    def __init__(self, checkpoint: Checkpoint, spec: SampleSpec, folder: str) -> None:
        if checkpoint.digest != spec.checkpoint:
            raise CheckpointError(
                f"{checkpoint.uri}: was replaced while a sample of it was made; put the old one "
                "back, or sample the new one to another --out"
            )
        self._checkpoint = checkpoint
        self._spec = spec
        self._folder = folder
        self._dataset = checkpoint.card.dataset
        self._mean_weight = checkpoint.feature_map.weight_mean.cpu()
        self._folding = folding(spec.folds, checkpoint.card) if spec.folds else None
        self.fields = self._folding.fields if self._folding else self._dataset.fields
        self.schema = EventSchema(self.fields, self._dataset.groups)
        self.stored = self.schema.without({*spec.fixed, spec.partition})

    @property
    def event_bytes(self) -> int:
        """The bytes of one stored event before compression."""
        return bytes_of(self.stored)

    def file_bytes(self) -> float:
        """Return the bytes of one event in a shard, stored as a pilot; raises as `learn_bins`."""
        columns = of_events(self._events(self._pilot), self.schema)
        stored, _ = checked(columns, self.stored, self._checkpoint.uri)
        table = to_table(stored, self.stored, {})
        return len(parquet(table)) / len(self._pilot)

    def write(self, shard: ShardPlan, events: Generated) -> SampledShard:
        """Write a shard's events, its tally if the sample has tallies, then its record.

        Raises:
            ResourceError: no permission or no space; nothing is left under the final names.
        """
        digest = self._spec.digest()
        columns = of_events(self._events(events), self.schema.without(self.schema.labels))
        if self._folding:
            columns |= self._folding.labels(shard.index)
        entry = write_shard(
            self._folder,
            shard.file,
            columns,
            self.stored,
            footer_metadata(
                dataset=self._dataset.name,
                checkpoint=self._spec.checkpoint,
                conditions={**self._spec.fixed, **shard.at},
                sample=digest,
                index=shard.index,
                seed=shard.seed,
                code=mleg_ray.__version__,
            ),
            split=SPLIT,
            seed=shard.seed,
            conditions=shard.at,
        )
        if self._spec.tallied:
            tally = self.tally(events, self._bins).to_bytes()
            write_bytes(join(self._folder, shard.tally_file), tally)
            counted = FileEntry.of(shard.tally_file, tally)
            entry = entry.model_copy(update={"tally": counted})
        record = SampledShard(plan=digest, index=shard.index, entry=entry, tried=events.tried)
        return write_record(self._folder, record)

    def generate(self, shard: ShardPlan) -> Generated:
        """Return a shard's events in the schema's units and precision.

        Raises:
            CheckpointError: the model generates NaN or infinity.
            ConfigError: fewer than one in `MOST_TRIES` events pass the sample's `where`, or none of
                as many under the conditions of an event that is folded.
            ResourceError: this node cannot compile.
        """
        given = self._folding.shard(shard.index) if self._folding else None
        events = self._generate(shard, MOST_TRIES * shard.events, self._spec.compiled, given)
        if len(events) < shard.events:
            raise self._too_few(events)
        return events

    def _generate(
        self,
        shard: ShardPlan,
        most: int,
        compiled: bool,
        given: Events | None,
        heard: Callable[[float], None] = lambda events: None,
    ) -> Generated:
        """Return a shard's events, or fewer if `most` are generated before enough are kept.

        `given` has the conditions of each, if these do not come from the specification, and
        `MOST_TRIES` are made for one; `heard` is told how many there are.
        """
        pipeline = self._pipeline(compiled)
        generator = stream(shard.seed, self._checkpoint.device)
        events: Generated | None = None
        filled = tried = 0
        left = torch.arange(0 if given is None else shard.events)  # conditions without an event
        served: list[Tensor] = []
        failed = 0  # tries, of the first that is left
        while filled < shard.events and tried < most and failed < MOST_TRIES:
            own = None if given is None else given[left[: pipeline.batch]]
            batch = pipeline(generator, shard.at, own)
            self._require_finite(batch, shard)
            events = events or batch.each(
                lambda column: column.new_empty(shard.events, *column.shape[1:])
            )
            room = shard.events - filled
            used = min(pipeline.batch, room)
            chosen: Tensor | slice
            if batch.kept is None:
                n, chosen = used, slice(used)
            else:
                chosen = batch.kept[: room if own is None else (batch.kept < len(own)).sum()]
                n = len(chosen)
                if own is None:
                    used = int(chosen[-1]) + 1 if n == room else pipeline.batch
            for whole, part in zip(events.parts, batch.parts, strict=True):
                for name, column in whole.items():
                    column[filled : filled + n] = part[name][chosen]
            if own is not None:
                passed = torch.zeros(len(left), dtype=torch.bool)
                passed[chosen] = True
                served.append(left[passed])
                failed = 0 if passed[0] else failed + 1
                left = left[~passed]
            filled, tried = filled + n, tried + used
            heard(filled)
        assert events is not None
        made = events.each(lambda column: column[:filled])
        weight = None
        if given is not None:
            numbers, order = torch.cat(served).sort()
            made, weight = made.each(lambda column: column[order]), given.weight[numbers]
        return replace(made, kept=None, tried=tried, weight=weight)

    def _require_finite(self, batch: Generated, shard: ShardPlan) -> None:
        for name, column in batch.stored.items():
            if not column.isfinite().all():
                raise CheckpointError(
                    f"{self._checkpoint.uri}: generates values of '{name}' that are not finite "
                    f"(shard {shard.index}); take another checkpoint, or conditions inside the "
                    "range that it was trained on"
                )

    def _too_few(self, events: Generated) -> ConfigError:
        if self._spec.folds:
            return ConfigError(
                f"{self._spec.folds.uri}: under the conditions of some of its events hardly any of "
                f"{MOST_TRIES:,} that are generated fulfils {' and '.join(self._spec.where)}, as "
                "the checkpoint's train events do; leave these events out"
            )
        return ConfigError(
            f"--where {' and '.join(self._spec.where)}: {len(events):,} of {events.tried:,} "
            f"generated events pass; at least one in {MOST_TRIES:,} must. Cut less, or train on "
            "events that were cut"
        )

    def learn_bins(self) -> FineBins:
        """Return the bins of the sample's tallies, learned from events that are not kept.

        Raises:
            ConfigError: hardly an event passes the sample's `where`.
            CheckpointError: the model generates NaN or infinity.
        """
        columns = columns_of(self._events(self._pilot))
        return FineBins.of({name: column.values for name, column in columns.items()})

    def tally(self, events: Generated, bins: FineBins) -> Tally:
        """Count a shard's events as they are stored."""
        parts = []
        whole, step = self._events(events), COUNTED.of(self.event_bytes)
        for start in range(0, len(whole), step):
            rows = slice(start, start + step)
            masks = {name: mask[rows] for name, mask in events.broken.items()}
            unphysical = UnphysicalTally.of(masks, whole.weight[rows])
            columns = columns_of(whole[rows], torch.float32)
            parts.append(Tally.of(columns, bins, self._dataset.planes, unphysical))
        return functools.reduce(operator.add, parts)

    def _events(self, generated: Generated) -> Events:
        """Return what is stored of the events and what else is compared, with their weights."""
        weight = generated.weight
        if weight is None:
            weight = self._mean_weight.expand(len(generated))
        return Events(generated.columns, generated.present, weight)

    @functools.cache  # noqa: B019 - a sampler lives as long as its process
    def _pipeline(self, compiled: bool) -> Pipeline:
        return Pipeline(self._checkpoint, self._spec, compiled=compiled)

    @functools.cached_property
    def _pilot(self) -> Generated:
        """Events that are not kept."""
        seed = derive_seed(self._spec.seed, "tally bins")
        most = PILOT.of(self.event_bytes)
        given = self._folding.head(most) if self._folding else None
        n = min(most, max(self._spec.events, LEAST_PILOT_EVENTS))
        shard = ShardPlan(index=0, events=n if given is None else len(given), seed=seed)
        with progress_bar("Learning the tallies' bins", shard.events) as bar:
            events = self._generate(
                shard, PILOT_TRIES * shard.events, compiled=False, given=given, heard=bar.update
            )
        if len(events) * MOST_TRIES < events.tried:
            raise self._too_few(events)
        return events

    @functools.cached_property
    def _bins(self) -> FineBins:
        return FineBins.from_bytes(read_bytes(join(self._folder, BINS_FILE)))
