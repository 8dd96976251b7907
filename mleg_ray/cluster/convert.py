"""Convert a dataset on Ray: one task a shard."""

from collections.abc import Iterator
from typing import Literal

import ray

from mleg_ray.catalog.convert import convert_shard, require_convertible
from mleg_ray.catalog.dataset import Dataset, DatasetManifest, read_json, write_json
from mleg_ray.catalog.shards import FileEntry, ShardEntry
from mleg_ray.cluster.session import in_parallel
from mleg_ray.config import Config, parse
from mleg_ray.console import say
from mleg_ray.errors import ConfigError
from mleg_ray.storage import (
    absolute,
    exists,
    join,
    remove_partials,
    require_vacant,
    require_writable,
)

CONVERSION = "conversion.json"


class Conversion(Config):
    """The content of conversion.json: what was converted, and to which files once all are there.

    `dataset` is the digest of the one at `source`.
    """

    format_version: Literal[1] = 1
    source: str
    dataset: str
    to: str
    files: tuple[FileEntry, ...] = ()


def convert(uri: str, to: str, out: str) -> Conversion:
    """Write a dataset in another format, a file a shard, or complete what is there of it.

    conversion.json comes first, and once more at the end with the files and their SHA-256.

    Raises:
        UserError: see `require_convertible` and `convert_shard`; a folder with other files.
    """
    dataset = Dataset.open(absolute(uri))
    require_convertible(dataset, to)
    out = absolute(out)
    asked = Conversion(source=dataset.uri, dataset=dataset.digest, to=to)
    _require_same(out, asked)
    require_writable(out)
    write_json(join(out, CONVERSION), asked.model_dump(mode="json"))
    remove_partials(out)
    manifest = dataset.manifest.model_copy(update={"shards": ()})
    work = dataset.uri, manifest, to, out
    made: Iterator[FileEntry] = in_parallel("Converting", _convert, work, dataset.shards())
    files = tuple(sorted(made, key=lambda entry: entry.file))
    done = asked.model_copy(update={"files": files})
    write_json(join(out, CONVERSION), done.model_dump(mode="json"))
    size = sum(entry.bytes for entry in files)
    say(f"{dataset.rows():,} events in {len(files):,} files, {size / 1e6:,.4g} MB, in {out}")
    return done


def _require_same(out: str, asked: Conversion) -> None:
    place = join(out, CONVERSION)
    if exists(place):
        there = parse(Conversion, read_json(place, "choose another --out"), place)
        if (there.dataset, there.to) != (asked.dataset, asked.to):
            raise ConfigError(f"{out}: holds another conversion; choose another --out")
    else:
        require_vacant(out, CONVERSION)


@ray.remote(num_cpus=1, max_retries=3)
def _convert(work: tuple[str, DatasetManifest, str, str], shard: ShardEntry) -> FileEntry:
    uri, manifest, to, out = work
    return convert_shard(uri, manifest, shard, to, out)
