"""Judge samples against truth, one alone or several side by side."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mleg_ray.commands.home import refresh
from mleg_ray.commands.options import (
    Place,
    ReportFolder,
    Storage,
    assigned,
    count,
    target_of,
    uri_of,
)
from mleg_ray.console import tell_place
from mleg_ray.errors import ConfigError

if TYPE_CHECKING:
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.evaluation.scorecards import Scorecard

Truth = Annotated[
    str | None,
    typer.Option(help="Dataset, or DATASET:SPLIT; the test split of what it was trained on, else."),
]
Conditions = Annotated[
    list[str] | None,
    typer.Option(help="Judge at this condition: beam_energy=50; repeatable."),
]
Seed = Annotated[int, typer.Option(help="Root seed of resamples and splits.")]
Drawn = Annotated[
    int | None,
    typer.Option(
        parser=count, metavar="N", help="Events of each sample that are drawn; 100,000 by default."
    ),
]


def evaluate(
    generated: Place,
    *,
    truth: Truth = None,
    condition: Conditions = None,
    out: ReportFolder = None,
    storage: Storage = None,
    seed: Seed = 1,
    events: Drawn = None,
) -> "Scorecard":
    """Judge a sample, or a checkpoint by way of one: scorecard.json, figures and report.html."""
    from mleg_ray.commands.judging import evaluate, report_folder, sampled
    from mleg_ray.report.html import REPORT
    from mleg_ray.storage import join, storage_root

    drawn = _drawn(events)
    root, uri = storage_root(storage), uri_of(generated)
    by, split = _judge(uri, truth, condition or [], root)
    _require_enough(events, by, split)
    folder = target_of(out, report_folder(root, [uri], by, split))
    one = sampled(uri, by, split, root, seed=seed, events=drawn)
    card = evaluate(one, by, split, folder, seed=seed, events=drawn)
    refresh(root)
    tell_place(join(folder, REPORT))
    return card


def compare(
    generated: Sequence[Place],
    *,
    truth: Truth = None,
    condition: Conditions = None,
    out: ReportFolder = None,
    storage: Storage = None,
    seed: Seed = 1,
    events: Drawn = None,
) -> "dict[str, Scorecard]":
    """Put several samples, or their reports, in a table: comparison.html."""
    from mleg_ray.commands.judging import compare, report_folder
    from mleg_ray.report.html import SCORECARD
    from mleg_ray.report.side_by_side import PAGE
    from mleg_ray.storage import exists, join, storage_root

    drawn = _drawn(events)
    root, uris = storage_root(storage), [uri_of(place) for place in generated]
    new = next((uri for uri in uris if not exists(join(uri, SCORECARD))), None)
    by, split = _judge(new, truth, condition or [], root) if new or truth else (None, "test")
    if by:
        _require_enough(events, by, split)
    folder = target_of(out, report_folder(root, uris, by, split))
    cards = compare(uris, by, split, folder, root, seed=seed, events=drawn)
    refresh(root)
    tell_place(join(folder, PAGE))
    return cards


def _judge(
    uri: str | None, truth: str | None, conditions: Sequence[str], root: str
) -> "tuple[Dataset, str]":
    """Return the truth and its split: as named, or what the sample's generator learned from."""
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.commands.judging import dataset_name

    given = {name: _number(name, text) for name, text in assigned(conditions).items()}
    name, _, split = (truth or "").partition(":")
    if not name:
        assert uri is not None
        name = dataset_name(uri)
    return Dataset.prepared(root, name).at(given), split or "test"


def _drawn(events: int | None) -> int:
    """Return how many events of each sample are drawn."""
    from mleg_ray.evaluation.samples.datasets import MAX_EVENTS

    if events is not None and events < 1:
        raise ConfigError(f"--events {events}: at least one is needed; a figure says if more are")
    return MAX_EVENTS if events is None else events


def _require_enough(events: int | None, truth: "Dataset", split: str) -> None:
    """Raise `ConfigError` if the truth has fewer events than are asked for."""
    if events is not None and (rows := truth.rows(split)) < events:
        whole = math.ceil(events * truth.rows() / rows)
        raise ConfigError(
            f"--events {events:,}: the {split} split of {truth.manifest.name} has {rows:,}; to "
            f"judge by so many, prepare a dataset of {whole:,} events, or ask for {rows:,}"
        )


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ConfigError(f"--condition {name}={text}: write it as {name}=NUMBER") from None
    if not math.isfinite(number):
        raise ConfigError(f"--condition {name}={text}: a finite number is needed, as in {name}=35")
    return number
