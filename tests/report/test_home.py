"""The home page has all that commands left in a root, and nothing that lies there breaks it."""

import itertools
import json
import os
import re
from pathlib import Path

import pytest

from mleg_ray.catalog.convert import CONVERTED
from mleg_ray.catalog.dataset import PREPARED, SAMPLED, Dataset
from mleg_ray.commands.home import refresh
from mleg_ray.commands.judging import EvaluationPlan
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.samples.sample import Origin
from mleg_ray.evaluation.scorecards import Scorecard
from mleg_ray.evaluation.statistics.estimate import Estimate
from mleg_ray.folder import PLAN
from mleg_ray.report import home
from mleg_ray.report.html import REPORT, SCORECARD
from mleg_ray.report.study import write_study_report
from mleg_ray.storage import listed
from mleg_ray.study.summary import summarise
from tests.checkpoints import small_checkpoint
from tests.prepared import prepared_dataset
from tests.study.plans import SPACE, finished_study


def write_report(folder: Path, digest: str) -> None:
    """A report by hand: one figure 7.1 sigma above its floor, one on it."""
    folder.mkdir(parents=True)
    high, low = (
        Estimate(value=value, uncertainty=0.01, floor=0.5, floor_spread=0.01, events=100)
        for value in (0.6, 0.5)
    )
    figures = {"c2st_auc": {"trees": high}, "chi2_ndf": {"q2": low}}
    card = Scorecard(
        truth=Origin(name="toy-dis", events=100, compared=100, split="test"),
        generated=Origin(name="toy-dis", events=100, compared=100, dataset_digest=digest),
        axes={},
        metrics={name: METRICS[name].texts for name in figures},
        figures=figures,
        seed=1,
        seconds=1.0,
        versions={},
    )
    (folder / SCORECARD).write_text(card.to_json())
    (folder / REPORT).write_text("")
    plan = EvaluationPlan(of={}, results=(REPORT, SCORECARD))
    (folder / PLAN).write_text(plan.model_dump_json())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    prepared_dataset(tmp_path / "datasets" / "toy-dis", shard_rows=20)
    return tmp_path


def told(root: Path) -> home.Index:
    """Write the page, and return what it says."""
    home.write_home(str(root))
    return home.Index.model_validate_json((root / home.INDEX).read_text())


def test_all_that_commands_left_is_there(root: Path) -> None:
    small_checkpoint(root / "runs" / "one" / "checkpoint")
    prepared_dataset(root / "samples" / "mine", shard_rows=10)
    (root / "samples" / "mine" / PREPARED).rename(root / "samples" / "mine" / SAMPLED)
    sample = Dataset.open(str(root / "samples" / "mine"))
    write_report(root / "reports" / "toy-dis-test" / "mine", sample.digest)
    study = finished_study(root, trials=3, space=SPACE)
    write_study_report(summarise(study), f"{study}/report")
    index = told(root)
    page = (root / home.PAGE).read_text()
    [dataset] = index.datasets
    assert dataset.events == {"train": 160, "validation": 20, "test": 20}
    assert [line.place for line in index.runs] == ["runs/one"]
    [line] = index.studies
    assert (line.trials, line.complete, line.page) == (3, 3, "studies/toy/report/study.html")
    best = [value for _, value in line.curve]
    assert best == sorted(best, reverse=True)
    [line] = index.samples
    assert (line.imitates, line.events) == ("toy-dis", 100)
    [report] = index.reports
    assert (report.name, report.truth) == ("toy-dis-test/mine", "toy-dis:test")
    assert [mark.verdict for mark in report.marks] == ["visible", "at the floor"]
    assert report.at_the_floor == 1
    assert "1 of 2 figures at the floor" in page
    links = re.findall(r'href="([^#"]+)"', page)
    assert len(links) == 6
    assert [link for link in links if not (root / link).exists()] == []
    assert not re.findall(r"https?://|<link|@import|src=", page)


def test_what_is_not_whole_is_told_and_what_is_foreign_is_not(root: Path) -> None:
    small_checkpoint(root / "runs" / "one" / "checkpoint")
    for name in ("begun", "foreign", "broken", "other"):
        (root / "runs" / name / "checkpoint").mkdir(parents=True)
    (root / "runs" / "begun" / PLAN).write_text("{}")
    for name, files in (("mine-csv", (PLAN, CONVERTED)), ("mine-root", (PLAN,))):
        (root / "samples" / name).mkdir(parents=True)
        for file in files:
            (root / "samples" / name / file).write_text("{}")
    (root / "runs" / "broken" / "checkpoint" / "card.json").write_text("{")
    (root / "runs" / "other" / "checkpoint" / "card.json").write_text("[1]")
    (root / "datasets" / "<script>alert(1)").mkdir()
    (root / "datasets" / "<script>alert(1)" / PREPARED).write_text("{}")
    (root / "runs" / "file").write_text("")
    (root / "reports" / "judge" / "mine").mkdir(parents=True)
    plan = EvaluationPlan(of={}, results=(REPORT, SCORECARD))
    (root / "reports" / "judge" / "mine" / PLAN).write_text(plan.model_dump_json())
    index = told(root)
    assert [line.place for line in index.runs] == ["runs/one"]
    assert set(index.unfinished) == {"samples/mine-root", "runs/begun", "reports/judge/mine"}
    assert set(index.faults) == {"runs/broken", "runs/other", "datasets/<script>alert(1)"}
    page = (root / home.PAGE).read_text()
    assert "foreign" not in page
    assert "<script>alert" not in page


def test_only_what_is_new_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    whole = home.RunLine._read.__func__  # type: ignore[attr-defined]

    def counted(cls: type, root: str, place: str, written: object) -> home.Line:
        read.append(place)
        return whole(cls, root, place, written)

    monkeypatch.setattr(home.RunLine, "_read", classmethod(counted))
    small_checkpoint(root / "runs" / "one" / "checkpoint")
    told(root)
    page = os.stat(root / home.PAGE)
    told(root)
    assert os.stat(root / home.PAGE).st_mtime_ns == page.st_mtime_ns  # nothing to say
    small_checkpoint(root / "runs" / "two" / "checkpoint")
    assert [line.place for line in told(root).runs] == ["runs/two", "runs/one"]
    assert read == ["runs/one", "runs/two"]
    os.utime(root / "runs" / "one" / "checkpoint" / "card.json", (1, 1))
    assert [line.place for line in told(root).runs] == ["runs/two", "runs/one"]
    assert read == ["runs/one", "runs/two", "runs/one"]
    (root / home.INDEX).write_text('{"format_version": 0}')
    assert len(told(root).runs) == 2
    (root / "runs" / "one" / "checkpoint" / "card.json").unlink()
    assert [line.place for line in told(root).runs] == ["runs/two"]


def test_what_comes_while_the_page_is_written_is_on_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command ends, and writes its page, before this one's hides it."""
    late = itertools.chain([True], itertools.repeat(False))
    render = home.render

    def slow(index: home.Index, place: str) -> str:
        page = render(index, place)
        if next(late):
            small_checkpoint(root / "runs" / "late" / "checkpoint")
            home.write_home(str(root))
        return page

    monkeypatch.setattr(home, "render", slow)
    assert [line.place for line in told(root).runs] == ["runs/late"]
    assert "runs/late" in (root / home.PAGE).read_text()


def test_a_refresh_that_fails_is_told_and_no_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refresh(str(tmp_path / "absent"))
    assert not list(tmp_path.iterdir())
    (tmp_path / home.PAGE).mkdir()
    (tmp_path / home.PAGE / "in the way").write_text("")
    refresh(str(tmp_path))
    assert "The home page was not written" in capfd.readouterr().err


def test_curves_are_short_and_end_where_they_end() -> None:
    points = [(float(k), 1.0) for k in range(121)]
    assert [x for x, _ in home.thinned(points)] == [3.0 * k for k in range(41)]
    assert home.thinned(points[:-1])[-2:] == ((117.0, 1.0), (119.0, 1.0))
    assert home.thinned(points[:2]) == ((0.0, 1.0), (1.0, 1.0))
    assert home.thinned([]) == ()
    # 10, 1, 0.1 are equally far apart, the largest on top; the step 3 of 4 is at three quarters.
    assert home.path(((0, 10), (3, 1), (4, 0.1))) == "0.0,0.0 75.0,12.0 100.0,24.0"
    assert home.path(((1, 2), (2, 2))) == "0.0,12.0 100.0,12.0"


def test_listings_have_the_times_of_files_and_none_of_folders(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    os.utime(tmp_path / "file", (86400, 86400))
    found = listed(str(tmp_path))
    assert set(found) == {"folder", "file"}
    assert found["folder"] is None
    assert found["file"].isoformat() == "1970-01-02T00:00:00+00:00"
    assert listed(str(tmp_path / "absent")) == {}


def test_the_index_is_for_programs_too(root: Path) -> None:
    told(root)
    document = json.loads((root / home.INDEX).read_text())
    assert document["datasets"][0]["place"] == "datasets/toy-dis"
