"""From a recipe to a sample of any size and the proof of its worth, in one command."""

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from mleg_ray.commands.evaluate import Drawn, evaluate
from mleg_ray.commands.options import Events, PoolSize, Storage, assigned, count, recipe_names
from mleg_ray.commands.prepare import prepare
from mleg_ray.commands.sample import sample
from mleg_ray.commands.train import train
from mleg_ray.console import console, progress_bar, say, told_seconds
from mleg_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.checkpoint import Checkpoint
    from mleg_ray.cluster.production import Stage
    from mleg_ray.evaluation.scorecards import Scorecard


@dataclass(frozen=True)
class Produced:
    """A sample, the checkpoint that made it, and its verdict."""

    checkpoint: "Checkpoint"
    generated: "Dataset"
    card: "Scorecard"
    report_uri: str

    @property
    def uri(self) -> str:
        """The folder of the sample."""
        return self.generated.uri


def produce(
    recipe: Annotated[
        str,
        typer.Argument(help="A recipe of tuning/, or a TOML file.", autocompletion=recipe_names),
    ],
    events: Events,
    *,
    storage: Storage = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override one value of the recipe: section.key=value."),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="A condition of the sample, or its spectrum, as `mleg sample` has it."),
    ] = None,
    judged_by: Drawn = None,
    seed: Annotated[int, typer.Option(help="Root seed of all shards.")] = 1,
    workers: PoolSize = None,
    shard_events: Annotated[
        int | None,
        typer.Option(parser=count, metavar="N", help="Events in a shard.", show_default="250000"),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only tell what is to be done, and how long it takes.")
    ] = False,
) -> "Produced | None":
    """Prepare, train, its teacher too, sample and judge; again completes what is missing."""
    from mleg_ray.cluster.production import judges, require_conditions, stages, trainings
    from mleg_ray.cluster.session import ray_session
    from mleg_ray.commands.judging import report_folder
    from mleg_ray.report.html import REPORT
    from mleg_ray.sampling.spectra import read_condition
    from mleg_ray.storage import join, storage_root

    started = time.monotonic()
    root = storage_root(storage)
    asked = {
        "--events": events,
        "--judged-by": judged_by,
        "--shard-events": shard_events,
        "--workers": workers,
    }
    for option, number in asked.items():
        if number is not None and number < 1:
            raise ConfigError(
                f"{option} {number}: at least one is needed, as in `mleg produce {recipe} {option} "
                "1000`"
            )
    told = assigned(condition or [])
    given = {name: read_condition(name, text, root) for name, text in told.items()}
    chain = trainings(recipe, tuple(assignments or ()), root)
    require_conditions(chain[-1], given)
    true_events = judges(chain[-1], judged_by)
    numbers = itertools.count(1)
    with ray_session():
        work: list[Stage] = []
        with progress_bar("Measuring how long it takes", 2 * len(chain) + 1) as bar:
            for stage in stages(chain, events, root, seed=seed, given=given, workers=workers):
                work.append(stage)
                bar.update(len(work))
        _tell(work, judged_by or true_events)
        if plan:
            return None

        def begin(title: str) -> None:
            say(f"\n{next(numbers)}/{len(work) + 1} {title}", style="bold")

        for name in dict.fromkeys(training.run.dataset for training in chain):
            begin(f"Events of {name}")
            dataset = prepare(name, storage=storage)
        for training in chain:
            begin(f"Training {training.recipe}")
            checkpoint = train(
                training.recipe, storage=storage, assignments=list(training.assignments)
            )
            say(f"Best snapshot: step {checkpoint.card.step}, {checkpoint.uri}")
        begin(f"Sampling {events:,} events")
        generated = sample(
            checkpoint,
            events,
            storage=storage,
            seed=seed,
            workers=workers,
            shard_events=shard_events,
            condition=condition,
        )
        assert generated is not None
        begin(f"Judging them by the {true_events:,} events of the test split")
        report = report_folder(root, [generated.uri], dataset, "test")
        card = evaluate(generated, out=report, storage=storage, events=judged_by)
    page = join(report, REPORT)
    say(f"Finished in {time.monotonic() - started:.0f} s.")
    say(f"Dataset: {generated.uri}")
    say(f"Report:  {page}")
    return Produced(checkpoint, generated, card, page)


def _tell(work: "Sequence[Stage]", true_events: int) -> None:
    """Print the plan; together is at least what is known."""
    table = Table("", "of", "takes about", box=None)
    for stage in work:
        takes = "not known" if stage.seconds is None else told_seconds(stage.seconds)
        table.add_row(stage.what, stage.amount, "there already" if stage.there else takes)
    table.add_row("judge", f"by {true_events:,} true events", "not rehearsed")
    missing = [stage.seconds for stage in work if not stage.there]
    console.print(table)
    known = [seconds for seconds in missing if seconds is not None]
    more = " and what is not known" if len(known) < len(missing) else ""
    say(f"Together about {told_seconds(sum(known))}{more}, and the judging")
    say(f"No sample can be shown to be better than {true_events:,} true events tell")
