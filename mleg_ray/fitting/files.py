"""What was found of a table as an entry of the catalog and a recipe, to be read and edited."""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from mleg_ray.catalog.sources.tables import Slots
from mleg_ray.events import COUNT
from mleg_ray.fitting.finding import Finding
from mleg_ray.fitting.look import Column, Look
from mleg_ray.fitting.slots import columns_told
from mleg_ray.fitting.tables import Table

SHARDS = 20  # of a table: as many as splits of a tenth need, and a few more
MOST_IN_SHARD = 100_000
VALIDATION, TEST, MOST_TEST = 0.1, 0.2, 0.4  # shares of the events
JUDGED = 500  # events that classifiers need
WIDTH = 100
BATCHES_AN_EPOCH = 40
OPTIMISER = {
    "kind": "adamw",
    "learning_rate": 3e-3,
    "betas": [0.9, 0.99],
    "weight_decay": 1e-2,
    "schedule": "cosine",
}
SMALLEST_BATCH, LARGEST_BATCH = 128, 1024
JUDGEMENTS = 20  # of a training
PLATEAU = {"patience": 4, "min_improvement": 0.0, "smoothing": 1}
EPOCHS = 100  # more see the same events too often


def entry(name: str, found: Look, table: Table, paths: Sequence[str]) -> str:
    """Return the catalog's entry, in TOML, of what was found in the files at `paths`."""
    fields = [_field(column) for column in found.columns]
    fields += [
        {"name": condition, "role": "condition", "dtype": "float64"}
        for condition in found.constants
    ]
    groups: dict[str, dict[str, Any]] = dict(found.groups)
    files = [{"path": path} for path in paths]
    shard_events = min(MOST_IN_SHARD, math.ceil(found.events / len(paths) / SHARDS))
    written = table.format.model_dump(exclude_none=True, exclude_defaults=True)
    lines = [
        *_comments(found.findings),
        f"name = {_inline(name)}",
        "version = 1",
        f"description = {_inline(f'{found.events:,} events of ' + ', '.join(paths))}",
        'citation = ""',
        'licence = ""',
        f"shard_events = {shard_events}",
        f"splits = {_inline(splits(found.events))}",
        "",
        "fields = [",
        *(f"  {_inline(told)}," for told in fields),
        "]",
        *_table("conditions", found.constants),
        *_table("groups", groups),
        "",
        "[source]",
        'kind = "import"',
        "seed = 1",
        f"files = {_inline(files)}",
        f"format = {_inline(written)}",
    ]
    if found.unique:
        by = [table.key(column) for column in found.unique]
        lines += [f"unique = {_inline({'by': by, 'copies': 'leave-out'})}"]
    columns = {column.field: _origin(column, table) for column in found.columns}
    lines += _table("source.columns", columns)
    lines += _table("observables", {k: {"expression": v} for k, v in found.observables.items()})
    rules = {k: _rule(v) for k, v in found.constraints.items()}
    lines += _table("constraints", rules)
    return "\n".join(lines) + "\n"


def recipe(name: str, dataset: str, found: Look, *, steps: int, seconds: float) -> str:
    """Return the recipe, in TOML, of a generator of an entry's events.

    `dataset` is how the recipe names the entry; it trains for so many steps, or `seconds`.
    """
    batch = batch_size(found.events)
    generated = [column.field for column in found.columns if column.role == "event"]
    counts = [f"{group}.{COUNT}" for group, told in found.groups.items() if "most" in told]
    observables = [*generated, *counts, *found.observables]
    lines = [
        f"# A generator of {name}: each number by a small network of its own, given those before.",
        "",
        "[run]",
        f"dataset = {_inline(dataset)}",
        "",
        "# From events to features and back, one step after the other: docs/physics/features.md.",
        "[run.features]",
        "steps = [",
        *(f"  {_inline(step)}," for step in found.steps),
        "]",
        "",
        "[run.model]",
        'kind = "autoregressive"',
        "bins = 16",
        "hidden = [64, 64]",
        "dropout = 0.05",
        f"order = {_inline(found.first)}",
        "",
        "[run.objective]",
        'kind = "likelihood"',
        "",
        "[run.training]",
        f"steps = {steps}",
        f"seconds = {seconds:g}  # at most",
        f"batch_size = {batch}",
        "ema_decay = 0.995",
        "threads = 1",
        "",
        "[run.training.optimisers]",
        f"flow = {_inline(OPTIMISER)}",
        "",
        "# The snapshot with the smallest loss of the validation split is kept. It rises where the",
        "# train events are learned by heart: training ends where it has not fallen for a while.",
        "[run.selection]",
        'by = "loss"',
        f"plateau = {_inline(PLATEAU)}",
        f"every = {max(1, steps // JUDGEMENTS)}",
        f"observables = {_inline(observables)}",
    ]
    return "\n".join(lines) + "\n"


def splits(events: int) -> dict[str, float]:
    """Return the shares of the splits: the test split of a small table is what classifiers need.

    >>> splits(2421)
    {'train': 0.65, 'validation': 0.1, 'test': 0.25}
    """
    needed = math.ceil(SHARDS * JUDGED / events) / SHARDS
    test = min(max(TEST, needed), MOST_TEST)
    return {"train": round(1 - VALIDATION - test, 2), "validation": VALIDATION, "test": test}


def batch_size(events: int) -> int:
    """Return a power of two, so that an epoch of the train split has some forty batches."""
    wanted = splits(events)["train"] * events / BATCHES_AN_EPOCH
    return int(2 ** min(max(round(math.log2(wanted)), 7), 10))


def most_steps(events: int) -> int:
    """Return the steps in which the train split is seen `EPOCHS` times."""
    return max(1, int(EPOCHS * splits(events)["train"] * events / batch_size(events)))


def _field(column: Column) -> dict[str, Any]:
    told = {"name": column.field, "unit": column.unit, "role": column.role, "dtype": column.dtype}
    usual = {"unit": "1", "role": "event", "dtype": "float32"}
    told = {key: value for key, value in told.items() if usual.get(key) != value}
    if isinstance(column.column, Slots):
        return told | {"description": f"columns {columns_told(column.column)}"}
    return told | ({"description": f"column {column.column}"} if column.column else {})


def _origin(column: Column, table: Table) -> dict[str, Any]:
    unit = {} if column.read_in == "1" else {"unit": column.read_in}
    if not isinstance(column.column, Slots):
        return {"column": table.key(column.column)} | unit
    slots = [table.key(str(key)) for key in column.column.slots]
    return {"column": {"slots": slots, "padding": column.column.padding}} | unit


def _rule(expression: str) -> dict[str, Any]:
    edge = abs(float(expression.split()[-1]))
    return {
        "expression": expression,
        "tolerance": float(f"{1e-6 * max(edge, 1.0):.3g}"),
        "reason": "no event of the table lies beyond; single-precision rounding is allowed",
    }


def _comments(findings: Sequence[Finding]) -> list[str]:
    """Return what was found as comments, each wrapped."""
    lines = ["# What was found in the table, what was decided, and what decides otherwise:", "#"]
    for finding in findings:
        lines += textwrap.wrap(
            f"- {finding}",
            WIDTH,
            initial_indent="# ",
            subsequent_indent="#   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return [*lines, ""]


def _table(name: str, values: Mapping[str, Any]) -> list[str]:
    """Return a table of TOML with an inline value in each line, nothing if there is none."""
    if not values:
        return []
    return ["", f"[{name}]", *(f"{_key(key)} = {_inline(value)}" for key, value in values.items())]


def _key(name: str) -> str:
    bare = name.replace("_", "").replace("-", "")
    return name if bare.isascii() and bare.isalnum() else json.dumps(name)


def _inline(value: object) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_inline(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
