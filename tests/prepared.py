"""Prepared datasets of toy electrons, written as `mleg prepare` would, without a generator."""

from pathlib import Path

import numpy as np

from mleg_ray.catalog.codec import of_events
from mleg_ray.catalog.dataset import PREPARED, Dataset, DatasetManifest
from mleg_ray.catalog.shards import write_shard
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.events import EventSchema, Field
from mleg_ray.storage import write_json
from tests.dis_events import FIELDS, GROUPS, electrons

WEIGHT = Field(name="weight", role="weight")


def prepared_dataset(
    folder: Path,
    shard_rows: int = 500,
    beams: tuple[float, ...] = (50.0,),
    *,
    weighted: bool = False,
    train_shards: int = 8,
) -> Dataset:
    """Write the train shards, one of validation and one of test into `folder`.

    Every third of `weighted` events has the weight -0.5, the others have random ones.
    """
    spec = DatasetSpec.load("dis-ep-50")
    splits = ["train"] * train_shards + ["validation", "test"]
    conditions = {"beam_energy": beams[0]} if len(beams) == 1 else {}
    declared = (*FIELDS, WEIGHT) if weighted else FIELDS
    schema = EventSchema(declared, GROUPS)
    stored = schema.without(conditions)
    shards = []
    for i, split in enumerate(splits):
        columns = of_events(electrons(shard_rows, seed=i, beam_energies=beams), schema)
        columns["weight"] = np.random.default_rng(i).uniform(0.5, 1.5, shard_rows)
        columns["weight"][::3] = -0.5
        shards.append(
            write_shard(str(folder), f"shards/{i:05d}.parquet", columns, stored, {}, split=split)
        )
    manifest = DatasetManifest(
        name="toy-dis",
        fields=declared,
        groups=GROUPS,
        conditions=conditions,
        **dict(spec.definitions),
        provenance={},
        shards=tuple(shards),
    )
    write_json(str(folder / PREPARED), manifest.model_dump(mode="json"))
    return Dataset.open(str(folder))
