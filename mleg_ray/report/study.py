"""The report of a study: one page that holds its pictures, with CSV, JSON and PNGs beside it."""

import csv
import io
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import tomli_w
import torch

from mleg_ray.catalog.codec import bytes_of
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.errors import DataError
from mleg_ray.evaluation.samples.datasets import from_events
from mleg_ray.folder import SealedFolder
from mleg_ray.interpret.events import SPLIT, own_dataset, random_events
from mleg_ray.memory import MIB, AtOnce
from mleg_ray.report.figures import drawable, observable_png
from mleg_ray.report.folder import FIGURES, ResultsPlan, renew
from mleg_ray.report.pages import templates
from mleg_ray.report.study_figures import LABELS, other_figures, short_path, study_pngs
from mleg_ray.storage import join, write_bytes, write_json
from mleg_ray.study.plan import DIRECTIONS
from mleg_ray.study.summary import Summary, importance

PAGE, CSV, JSON, WINNER = "study.html", "trials.csv", "study.json", "winner.toml"
SHOWN = 20  # lines of the table of trials
SHOWN_EVENTS = 20_000  # that the best trial generates, to be drawn
EVENT_BYTES = 256 * MIB  # of these, if they are images


class StudyReportPlan(ResultsPlan):
    """What the folder of a study's report is for."""

    kind: Literal["study report"] = "study report"


class StudyDocument(Summary):
    """The content of study.json: the summary, and the parameters' shares of the variance."""

    importance: dict[str, float]


def write_study_report(summary: Summary, out: str) -> str:
    """Write the report into the folder `out`; return the page's place.

    Raises:
        UserError: see `importance`, `Checkpoint.load` and `SealedFolder.work`.
    """
    of = {"study": summary.name, "dataset": summary.dataset_digest}
    results = (FIGURES, PAGE, CSV, JSON, WINNER)
    folder = SealedFolder(out, StudyReportPlan(of=of, results=results))
    with folder.work():
        shares = importance(summary)
        pictures = study_pngs(summary, shares)
        best, names = summary.ranked[0], summary.parameters
        checkpoint = Checkpoint.load(best.best_checkpoint)
        missing = ""
        try:
            dataset = own_dataset(checkpoint, summary.storage)
            pictures |= winner_pngs(checkpoint, dataset, summary.plan.study.seed)
        except DataError as error:  # a study may have been moved, or its dataset removed
            missing = str(error)
        renew(folder)
        for name, content in pictures.items():
            write_bytes(join(out, FIGURES, f"{name}.png"), content)
        winner = join(out, WINNER)
        recipe = {"run": checkpoint.run.model_dump(mode="json", exclude_none=True)}
        write_bytes(winner, tomli_w.dumps(recipe).encode())
        document = StudyDocument(**dict(summary), importance=shares)
        write_json(join(out, JSON), document.model_dump(mode="json"))
        write_bytes(join(out, CSV), to_csv(summary).encode())
        page = templates().get_template("study.html.j2")
        text = page.render(
            summary=summary,
            best=best,
            counts=Counter(trial.state for trial in summary.trials),
            diverged=sum(trial.ended == "diverged" for trial in summary.trials),
            names={name: short_path(name, names) for name in names},
            lines=summary.ranked[:SHOWN],
            figures=other_figures(summary),
            labels=LABELS,
            comparable=summary.comparable(),
            quality=summary.plan.study.quality,
            images=pictures,
            winners=[name for name in pictures if name.startswith("winner-")],
            missing=missing,
            slices=[name for name in pictures if name.startswith("slice-")],
            costs=[name for name in pictures if name.startswith("cost-")],
            environment=checkpoint.card.environment,
            winner=winner,
        )
        write_bytes(join(out, PAGE), text.encode())
    return join(out, PAGE)


def winner_pngs(checkpoint: Checkpoint, dataset: Dataset, seed: int) -> dict[str, bytes]:
    """Draw what a checkpoint generates beside validation events: what it was selected by.

    Of each validation event, at most `SHOWN_EVENTS`, one is generated under its conditions.
    """
    dataset = dataset.selecting(checkpoint.run.where)
    most = AtOnce(EVENT_BYTES, events=SHOWN_EVENTS).of(bytes_of(dataset.schema))
    true = random_events(dataset, SPLIT, min(most, dataset.rows(SPLIT)), seed)
    given = true.choose(dataset.schema.conditions)
    made = checkpoint.generate(given, generator=torch.Generator().manual_seed(seed))
    truth, generated = (from_events(events, dataset.manifest) for events in (true, made))
    names = [name for name in checkpoint.run.selection.observables if name in truth.axes]
    return {
        f"winner-{i}": observable_png(name, truth, generated)
        for i, name in enumerate(names)
        if drawable(name, truth)
    }


def to_csv(summary: Summary) -> str:
    """Return all trials, one a line, with their figures and parameters."""
    names = summary.parameters
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["name", "state", "parent", "ended", "step", *DIRECTIONS, "median", "checkpoint", *names]
    )
    for trial in summary.trials:
        figures: Mapping[str, object] = trial.figures
        writer.writerow(
            [
                *(trial.name, trial.state, trial.parent, trial.ended, trial.step),
                *(figures.get(name, "") for name in DIRECTIONS),
                *(trial.median if trial.repeats else "", trial.best_checkpoint),
                *(trial.parameters.get(name, "") for name in names),
            ]
        )
    return stream.getvalue()
