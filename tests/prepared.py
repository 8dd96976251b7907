"""Prepared datasets of toy electrons, written as `mleg prepare` would, without a generator."""

from pathlib import Path

from mleg_ray.catalog.dataset import PREPARED, Dataset, DatasetManifest, write_json
from mleg_ray.catalog.shards import write_shard
from mleg_ray.catalog.spec import DatasetSpec
from tests.dis_events import FIELDS, electrons


def prepared_dataset(
    folder: Path, shard_rows: int = 500, beams: tuple[float, ...] = (50.0,)
) -> Dataset:
    """Write eight train shards, one of validation and one of test into `folder`."""
    spec = DatasetSpec.load("dis-ep-50")
    splits = ["train"] * 8 + ["validation", "test"]
    conditions = {"beam_energy": beams[0]} if len(beams) == 1 else {}
    fields = [field for field in FIELDS if field.name not in conditions]
    shards = []
    for i, split in enumerate(splits):
        batch = electrons(shard_rows, seed=i, beam_energies=beams)
        columns = dict(zip(("px", "py", "pz", "energy"), batch.x.T.numpy(), strict=True))
        columns["beam_energy"] = batch.context[:, 0].numpy()
        shards.append(
            write_shard(str(folder), f"shards/{i:05d}.parquet", columns, fields, {}, split=split)
        )
    manifest = DatasetManifest(
        name="toy-dis",
        fields=FIELDS,
        conditions=conditions,
        **dict(spec.definitions),
        provenance={},
        shards=tuple(shards),
    )
    write_json(str(folder / PREPARED), manifest.model_dump(mode="json"))
    return Dataset.open(str(folder))
