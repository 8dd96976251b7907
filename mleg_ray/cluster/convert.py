"""Convert a dataset on Ray: one task a shard."""

import functools

from mleg_ray.catalog.convert import (
    CONVERTED,
    Conversion,
    Converted,
    convert_shard,
    require_convertible,
)
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.folder import fill
from mleg_ray.console import say
from mleg_ray.folder import Record, SealedFolder
from mleg_ray.storage import absolute, join, write_json


def convert(uri: str, to: str, out: str) -> Converted:
    """Write a dataset in another format, a file a shard, or complete what is there of it.

    conversion.json comes last, with the files and their SHA-256.

    Raises:
        UserError: see `require_convertible`, `convert_shard` and `SealedFolder`.
    """
    dataset = Dataset.open(absolute(uri))
    require_convertible(dataset, to)
    plan = Conversion(source=dataset.uri, dataset=dataset.digest, to=to)
    folder = SealedFolder(absolute(out), plan)
    folder.require_own()
    files = {index: plan.file(shard) for index, shard in enumerate(dataset.shards())}
    make = functools.partial(convert_shard, folder, dataset)
    records = fill(folder, files, Record, "Converting", make)
    done = Converted(files=tuple(records[index].entry for index in files))
    write_json(join(folder.uri, CONVERTED), done.model_dump(mode="json"))
    size = sum(entry.bytes for entry in done.files)
    say(f"{dataset.rows():,} events in {len(files):,} files, {size / 1e6:,.4g} MB, in {folder.uri}")
    return done
