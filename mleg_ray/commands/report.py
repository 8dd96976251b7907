"""Write the report of a study."""

from typing import TYPE_CHECKING, Annotated

import typer

from mleg_ray.commands.home import refresh
from mleg_ray.commands.options import Place, ReportFolder, target_of, uri_of
from mleg_ray.console import tell_place

if TYPE_CHECKING:
    from mleg_ray.study.summary import Summary


def report_study(
    study: Annotated[Place, typer.Argument(help="A study's folder or URI.")],
    *,
    out: ReportFolder = None,
) -> "Summary":
    """Write a study's report, at any time: study.html, trials.csv, study.json, figures."""
    from mleg_ray.report.study import write_study_report
    from mleg_ray.storage import join
    from mleg_ray.study.summary import summarise

    folder = uri_of(study)
    summary = summarise(folder)
    page = write_study_report(summary, target_of(out, join(folder, "report")))
    if summary.storage:
        refresh(summary.storage)
    tell_place(page)
    return summary
