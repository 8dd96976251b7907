"""A dataset as one of Ray Data, whose tasks read its shards where they run."""

from functools import partial

import pyarrow as pa
import ray.data
from ray.data.extensions import ArrowTensorArray

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.opening import as_table

SHARD = "item"  # the column into which Ray puts what a dataset is made from


def as_ray(dataset: Dataset, split: str | None = None) -> ray.data.Dataset:
    """Return events as a dataset of Ray Data: a block a shard, in their order, read when asked for.

    Its Arrow schema has the fields' units. A group of objects is a column of lists of records, an
    image one of tensors. It works on the Ray that is connected, or on one that Ray Data starts.
    What is wrong with a shard is told when it is read.
    """
    shards = len(dataset.shards(split))
    numbers = ray.data.from_items(list(range(shards)), override_num_blocks=shards)
    events = numbers.map_batches(
        partial(_read, dataset=dataset, split=split), batch_size=1, batch_format="pyarrow"
    )
    events.context.execution_options.preserve_order = True
    return events


def _read(numbers: pa.Table, dataset: Dataset, split: str | None) -> pa.Table:
    [number] = numbers[SHARD].to_pylist()
    columns = dataset.columns(dataset.shards(split)[number])
    table = as_table(columns, dataset.schema)
    for field in dataset.schema.fields:
        if field.shape:
            place = table.column_names.index(field.name)
            tensors = ArrowTensorArray.from_numpy(columns[field.name])
            table = table.set_column(place, table.field(place).with_type(tensors.type), tensors)
    return table
