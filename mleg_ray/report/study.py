"""The report of a study: one page that holds its pictures, with CSV, JSON and PNGs beside it."""

import csv
import io
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import tomli_w

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.folder import SealedFolder
from mleg_ray.report.folder import ResultsPlan, renew
from mleg_ray.report.html import FIGURES, page_environment
from mleg_ray.report.study_figures import LABELS, other_figures, short_path, study_pngs
from mleg_ray.storage import join, write_bytes, write_json
from mleg_ray.study.plan import DIRECTIONS
from mleg_ray.study.summary import Summary, importance

PAGE, CSV, JSON, WINNER = "study.html", "trials.csv", "study.json", "winner.toml"
SHOWN = 20  # lines of the table of trials


class StudyReportPlan(ResultsPlan):
    """What the folder of a study's report is for."""

    kind: Literal["study report"] = "study report"


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
        renew(folder)
        for name, content in pictures.items():
            write_bytes(join(out, FIGURES, f"{name}.png"), content)
        winner = join(out, WINNER)
        recipe = {"run": checkpoint.run.model_dump(mode="json", exclude_none=True)}
        write_bytes(winner, tomli_w.dumps(recipe).encode())
        write_json(join(out, JSON), summary.model_dump(mode="json") | {"importance": shares})
        write_bytes(join(out, CSV), to_csv(summary).encode())
        page = page_environment({}, {}).get_template("study.html.j2")
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
            slices=[name for name in pictures if name.startswith("slice-")],
            costs=[name for name in pictures if name.startswith("cost-")],
            environment=checkpoint.card.environment,
            winner=winner,
        )
        write_bytes(join(out, PAGE), text.encode())
    return join(out, PAGE)


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
