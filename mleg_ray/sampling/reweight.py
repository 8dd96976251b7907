"""Event weights that carry a generated sample closer to the truth, as far as a classifier tells.

w = p(truth) / p(generated) is the odds of a calibrated classifier between the truth's train split
and the sample (K. Cranmer, J. Pavez, G. Louppe, arXiv:1506.02169; for generators S. Diefenbacher et
al., arXiv:2009.03796). Weights are cut at a high quantile, so that no event counts for a thousand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from mleg_ray.catalog.codec import of_events
from mleg_ray.catalog.dataset import SAMPLED, Dataset, seal
from mleg_ray.catalog.shards import ShardRecord, footer_metadata, write_shard
from mleg_ray.errors import DataError
from mleg_ray.evaluation.metrics.c2st import calibration
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.datasets import from_events
from mleg_ray.evaluation.samples.sample import EventSample
from mleg_ray.evaluation.statistics.classifiers import (
    MINIMUM_EVENTS,
    Part,
    drawn,
    mlp,
    scale,
    scored,
)
from mleg_ray.evaluation.statistics.distances import effective_size
from mleg_ray.evaluation.statistics.estimate import NotComputableError
from mleg_ray.events import EventSchema, Field, unlabelled
from mleg_ray.folder import FolderPlan, SealedFolder, write_record
from mleg_ray.randomness import derive_seed, stream

SELECTING = 0.25  # of the learning events: when to stop, calibration, and where weights are cut
LARGEST = 0.999  # the quantile of the weights at which they are cut
WEIGHT = Field(
    name="weight",
    role="weight",
    description="p(truth) / p(generated) of a calibrated classifier, of mean one",
)

Mode = Literal["weights", "accept"]


@dataclass(frozen=True)
class Weigher:
    """Weights of events given by their features, of mean one over the sample it learned from.

    `largest` is where they are cut; `efficiency` is (Σw)² / nΣw², the share of the events that are
    worth as much as unweighted ones.
    """

    names: tuple[str, ...]
    logit: Callable[[FloatArray], FloatArray]
    norm: float
    largest: float
    efficiency: float

    def __call__(self, features: Mapping[str, FloatArray]) -> FloatArray:
        """Return the weights (n,) of the features of a sample."""
        logit = self.logit(np.concatenate([features[name] for name in self.names], axis=1))
        with np.errstate(over="ignore"):
            return (np.exp(-logit) / self.norm).clip(max=self.largest)


def learn_weights(truth: EventSample, generated: EventSample, *, seed: int) -> Weigher:
    """Train and calibrate a classifier (three layers of 256) on all compared columns.

    Raises:
        DataError: fewer than 500 events of either, a value that is not finite, or zero weights.
    """
    n = min(len(truth), len(generated))
    if n < MINIMUM_EVENTS:
        raise DataError(
            f"{len(truth)} true and {len(generated)} generated events are too few to learn weights "
            f"from; {MINIMUM_EVENTS} of each are needed"
        )
    rng = np.random.default_rng(derive_seed(seed, "reweight"))
    names = tuple(truth.features)
    try:
        features, weights, _ = zip(*(drawn(s, n, rng) for s in (truth, generated)), strict=True)
    except NotComputableError as error:
        raise DataError(f"no weights can be learned: {error}") from None
    mean, spread = scale(features[0])
    selected = round(SELECTING * n)
    train, select = (
        Part(
            (np.concatenate([x[part] for x in features]) - mean) / spread,
            np.concatenate([w[part] for w in weights]),
            np.repeat([False, True], len(weights[0][part])),
        )
        for part in (slice(selected, None), slice(selected))
    )
    score = mlp(train, select, derive_seed(seed, "reweight/network") % 2**31)
    slope, offset = calibration(scored(score(select.features), select))

    def logit(values: FloatArray) -> FloatArray:
        return slope * score((values - mean) / spread) + offset

    odds = np.exp(-logit(features[1][:selected]))
    cut = float(np.quantile(odds, LARGEST))
    odds = odds.clip(max=cut)
    norm = float(odds.mean())
    return Weigher(names, logit, norm, cut / norm, effective_size(odds) / len(odds))


class ReweightSpec(FolderPlan):
    """All that determines a reweighted sample: digests of both datasets, mode and seed."""

    kind: Literal["reweighted sample"] = "reweighted sample"
    format_version: Literal[1] = 1
    sample: str
    truth: str
    mode: Mode
    seed: int


@dataclass(frozen=True)
class Reweighting:
    """A sample, its weights, and the folder in which the result grows shard by shard."""

    folder: SealedFolder[ReweightSpec]
    generated: Dataset
    weigher: Weigher

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of the result: with a weight, unless events are accepted or rejected."""
        fields = unlabelled(self.generated.manifest.fields)
        has_weight = any(field.role == "weight" for field in fields)
        return fields if has_weight or self.folder.plan.mode == "accept" else (*fields, WEIGHT)

    def make(self, index: int) -> ShardRecord:
        """Weigh one shard and write it, then its record; the same bytes in any process."""
        spec, manifest = self.folder.plan, self.generated.manifest
        entry = manifest.shards[index]
        [events] = self.generated.read([entry])
        features = from_events(events, manifest).features
        weight = torch.from_numpy(self.weigher(features))
        if spec.mode == "accept":
            generator = stream(derive_seed(spec.seed, "accept", index))
            drawn = torch.rand(len(events), generator=generator, dtype=torch.float64)
            kept = events[drawn < weight / self.weigher.largest]
        else:
            kept = events.weighted(events.weight * weight)
        schema = EventSchema(self.fields, manifest.groups)
        written = write_shard(
            self.folder.uri,
            entry.file,
            of_events(kept, schema),
            schema.without({*manifest.conditions, manifest.partition}),
            footer_metadata(reweighting=spec.model_dump(), index=index),
            split=entry.split,
            seed=entry.seed,
            conditions=entry.conditions,
        )
        record = ShardRecord(plan=self.folder.digest, index=index, entry=written)
        return write_record(self.folder.uri, record)

    def finish(self, records: Mapping[int, ShardRecord], environment: Mapping[str, str]) -> Dataset:
        """Seal the folder when all shards are there; `environment` has the versions."""
        old = self.generated.manifest
        spec = self.folder.plan.model_dump(mode="json", exclude={"kind", "format_version"})
        reweighting = spec | {
            "sample_uri": self.generated.uri,
            "largest_weight": self.weigher.largest,
            "efficiency": self.weigher.efficiency,
            "environment": dict(environment),
        }
        update = {
            "fields": self.fields,
            "provenance": old.provenance | {"reweighting": reweighting},
            "shards": tuple(records[index].entry for index in range(len(old.shards))),
            "bins": None,
            "worth": None,
        }
        manifest = old.model_copy(update=update)
        return seal(self.folder.uri, SAMPLED, manifest)
