"""From a file of events to a generator of such events, without a word of configuration."""

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mleg_ray.commands.evaluate import evaluate
from mleg_ray.commands.options import Storage
from mleg_ray.commands.prepare import prepare
from mleg_ray.commands.sample import sample
from mleg_ray.commands.train import train
from mleg_ray.console import say
from mleg_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.evaluation.scorecards import Scorecard
    from mleg_ray.fitting.look import Choices, Look
    from mleg_ray.fitting.tables import Table

if TYPE_CHECKING:
    Events = str | Path | Sequence[str] | Any
else:  # a command line has texts only
    Events = list[str]

SPENT = 0.8  # of the minutes that training is to take: the rest goes into judging snapshots


@dataclass(frozen=True)
class Fitted:
    """A generator of a table's events: what it was trained on, where it lies, and its verdict."""

    name: str
    dataset: "Dataset"
    checkpoint: str
    generated: "Dataset"
    card: "Scorecard"
    report_uri: str
    storage: str | None

    @property
    def uri(self) -> str:
        """The folder of the checkpoint."""
        return self.checkpoint

    def sample(self, events: int, *, seed: int = 1) -> "Dataset":
        """Generate events; see `mleg.sample`, which can do more."""
        made = sample(self.checkpoint, events, storage=self.storage, seed=seed)
        assert made is not None
        return made

    def report(self) -> str:
        """Return the page that compares generated events with those kept back."""
        return self.report_uri


def fit(
    events: Annotated[
        Events, typer.Argument(metavar="FILE...", help="Tables of events: files, patterns, s3://.")
    ],
    *,
    name: Annotated[str | None, typer.Option(help="Name of dataset, recipe and run.")] = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="How long to train.")] = 5.0,
    given: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A condition of the generator; repeatable."),
    ] = None,
    weight: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The events' weight, also negative.")
    ] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Not a part of events; repeatable.")
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--as",
            metavar="COLUMN=KIND",
            help="What a column is: number, values, count, angle, degrees or label; repeatable.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    overwrite: Annotated[
        bool, typer.Option(help="Write entry and recipe anew, and replace the dataset.")
    ] = False,
    storage: Storage = None,
) -> "Fitted | None":
    """Learn a table: look at it, write entry and recipe, train, sample, and judge."""
    from mleg_ray.cluster.session import ray_session
    from mleg_ray.commands.judging import report_folder
    from mleg_ray.fitting.frames import write_frame
    from mleg_ray.fitting.look import Choices
    from mleg_ray.report.html import REPORT
    from mleg_ray.storage import join, storage_root

    started = time.monotonic()
    root = storage_root(storage)
    files = _paths(events)
    name = _name(name, files)
    if not files:
        files = [write_frame(events, root, name)]
    choices = Choices(tuple(given or ()), weight, tuple(leave_out or ()), _kinds(kinds or []))
    entry, recipe = Path("data_catalog", f"{name}.toml"), Path("tuning", f"{name}.toml")
    found, table = _looked(files, choices)
    if not (yes or _agreed(found)):
        say("Nothing was written.")
        return None
    _write_entry(entry, name, found, table, files, overwrite=overwrite)
    with ray_session():
        dataset = prepare(str(entry), storage=storage, overwrite=overwrite)
        _write_recipe(recipe, name, found, dataset, minutes, overwrite=overwrite)
        say(f"\nTraining for {minutes:g} minutes at most, by {recipe}", style="bold")
        checkpoint = train(str(recipe), storage=storage)
        if varying := dataset.schema.varying(dataset.manifest.conditions):
            say(f"Sampling at each test event's {', '.join(varying)}", style="bold")
            generated = sample(checkpoint, particles=f"{name}:test", storage=storage)
        else:
            say(f"\nSampling {dataset.rows():,} events", style="bold")
            generated = sample(checkpoint, dataset.rows(), storage=storage)
        assert generated is not None
        say(f"\nJudging by {dataset.rows('test'):,} events that were kept back", style="bold")
        report = report_folder(root, [generated.uri], dataset, "test")
        card = evaluate(generated, out=report, storage=storage)
    page = join(report, REPORT)
    say(f"\nFinished in {time.monotonic() - started:.0f} s.", style="bold")
    say(f"Report:      {page}")
    say(f"Entry:       {entry}, to be edited; then mleg fit again, or mleg prepare {name}")
    say(f"Recipe:      {recipe}, to be edited; then mleg train {name}")
    say(f"More events: mleg sample {checkpoint.uri} --events 1e6")
    return Fitted(name, dataset, checkpoint.uri, generated, card, page, storage)


def _paths(events: Any) -> list[str]:  # noqa: ANN401 - a path, several, or any frame
    """Return the files that are named, with patterns resolved; none if it is a frame."""
    from mleg_ray.catalog.sources.files import InputFiles, inputs

    if isinstance(events, (str, Path)):
        events = [events]
    if not isinstance(events, (list, tuple)) or not all(isinstance(e, (str, Path)) for e in events):
        return []
    found = inputs([InputFiles(path=str(path)) for path in events], ".")
    return list(dict.fromkeys(file.uri for file in found))


def _name(name: str | None, files: "Sequence[str]") -> str:
    if name is None:
        stem = PurePosixPath(files[0]).stem if files else "frame"
        return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "frame"
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        usable = "-".join(re.findall(r"[a-z0-9._]+", name.lower())) or "my-events"
        raise ConfigError(
            f"--name {name!r}: small letters, digits, '.', '_' and '-' only, as in --name {usable}"
        )
    return name


def _kinds(assignments: "Sequence[str]") -> "Mapping[str, Any]":
    from mleg_ray.commands.options import assigned

    return assigned(assignments, "--as")


def _looked(files: "Sequence[str]", choices: "Choices") -> "tuple[Look, Table]":
    """Read all files and look at them; say what was found."""
    from mleg_ray.fitting.look import look
    from mleg_ray.fitting.tables import joined, read_all

    table = joined([read_all(file) for file in files], files)
    found = look(table, choices)
    say(f"{found.events:,} events with {len(table.columns)} columns:", style="bold")
    for finding in found.findings:
        say(f"  {finding}")
    return found, table


def _agreed(found: "Look") -> bool:
    """Ask on a terminal whether that is right."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    return typer.confirm(
        f"Go on with these {len(found.findings)} decisions?", default=True, err=True
    )


def _write_entry(
    place: Path,
    name: str,
    found: "Look",
    table: "Table",
    files: "Sequence[str]",
    *,
    overwrite: bool,
) -> None:
    from mleg_ray.fitting.files import entry

    if place.exists() and not overwrite:
        say(f"{place} is there, and is read as it says; --overwrite writes it anew")
        return
    place.parent.mkdir(exist_ok=True)
    place.write_text(entry(name, found, table, files), encoding="utf-8")
    say(f"Wrote {place}")


def _write_recipe(
    place: Path,
    name: str,
    found: "Look",
    dataset: "Dataset",
    minutes: float,
    *,
    overwrite: bool,
) -> None:
    """Write the recipe, with as many steps as fit into the minutes on this machine."""
    from mleg_ray.config import parse, parse_toml
    from mleg_ray.fitting.files import most_steps, recipe
    from mleg_ray.run import RunConfig
    from mleg_ray.training.pace import steps_a_second

    if place.exists() and not overwrite:
        say(f"{place} is there, and trained as it says; --overwrite writes it anew")
        return
    seconds, most = 60 * minutes, most_steps(found.events)
    trial = recipe(name, name, found, steps=most, seconds=seconds)
    run = parse(RunConfig, parse_toml(trial.encode(), str(place))["run"], str(place))
    pace = steps_a_second(run, dataset, seconds=min(3.0, seconds / 20))
    steps = max(1, min(most, int(SPENT * seconds * pace)))
    place.parent.mkdir(exist_ok=True)
    place.write_text(recipe(name, name, found, steps=steps, seconds=seconds), encoding="utf-8")
    say(f"Wrote {place}: {steps:,} steps, of {pace:.0f} a second here")
