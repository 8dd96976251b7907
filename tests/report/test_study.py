"""The report of a study holds what it says, at every size, and nothing of the input is markup."""

import csv
import json
from pathlib import Path

import pytest

from mleg_ray.report.study import write_study_report
from mleg_ray.report.study_figures import front_of, short_path
from mleg_ray.run import RunConfig
from mleg_ray.study.ledger import Ledger, read_plan
from mleg_ray.study.summary import summarise
from tests.prepared import prepared_dataset
from tests.study.plans import SPACE, begun, finished_study

ASKED = """
pruning = { kind = "median", startup = 5, first = 20 }
repeats = { best = 2, seeds = 3 }
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = finished_study(tmp_path_factory.mktemp("study"), ASKED)
    return Path(write_study_report(summarise(folder), f"{folder}/report")).parent


def test_page_names_the_winner_and_its_commands(report: Path) -> None:
    summary = summarise(str(report.parent))
    page = (report / "study.html").read_text()
    best = summary.ranked[0]
    assert f"mleg sample {best.best_checkpoint}" in page
    assert f"{best.median:.4f}" in page
    assert "http://" not in page
    for picture in report.glob("figures/*.png"):
        assert picture.stat().st_size > 5000
    names = {picture.stem for picture in report.glob("figures/*.png")}
    assert names >= {"history", "curves", "importance", "contour", "parallel", "repeats"}
    assert {name for name in names if name.startswith("slice-")} == {f"slice-{i}" for i in range(8)}


def test_what_the_best_generates_is_drawn_beside_its_own_events(tmp_path: Path) -> None:
    """Without its dataset the page says why there are no such pictures."""
    folder = finished_study(tmp_path, trials=1, space=SPACE)
    report = Path(write_study_report(summarise(folder), f"{folder}/report")).parent
    assert "no dataset &#39;dis-ep-50&#39;" in (report / "study.html").read_text()
    dataset = prepared_dataset(tmp_path / "datasets" / "dis-ep-50", shard_rows=50)
    [place] = Path(folder).glob("runs/*/checkpoint/card.json")
    card = json.loads(place.read_text())
    card["dataset"]["dataset_digest"] = dataset.digest
    place.write_text(json.dumps(card))
    write_study_report(summarise(folder), str(report))
    assert (report / "figures" / "winner-0.png").stat().st_size > 5000
    page = (report / "study.html").read_text()
    assert "no dataset" not in page
    assert page.count('alt="density and ratio') == len(list(report.glob("figures/winner-*.png")))


def test_choices_and_few_values_stand_in_rows(report: Path) -> None:
    """They are lower than panels, of whatever length their names are."""
    heights = {height(picture) for picture in report.glob("figures/slice-*.png")}
    assert max(heights) > 2 * min(heights)


def height(picture: Path) -> int:
    return int.from_bytes(picture.read_bytes()[20:24])  # of the PNG's header


def test_winner_can_be_trained(report: Path) -> None:
    assert RunConfig.load(str(report / "winner.toml")).model.kind == "beta-vae"


def test_csv_and_json_have_every_trial(report: Path) -> None:
    with (report / "trials.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    study = json.loads((report / "study.json").read_text())
    assert [line["name"] for line in lines] == [trial["name"] for trial in study["trials"]]
    assert float(lines[0]["ks_sum"]) == study["trials"][0]["figures"]["ks_sum"]
    assert sum(study["importance"].values()) == pytest.approx(1)


@pytest.mark.parametrize("trials", [1, 2, 6])
def test_small_studies_have_a_report_too(tmp_path: Path, trials: int) -> None:
    folder = finished_study(tmp_path, trials=trials)
    assert Path(write_study_report(summarise(folder), str(tmp_path / "report"))).exists()


def test_one_parameter(tmp_path: Path) -> None:
    space = SPACE.strip().splitlines()[1]
    folder = finished_study(tmp_path, trials=6, space=space)
    write_study_report(summarise(folder), str(tmp_path / "report"))
    assert not (tmp_path / "report" / "figures" / "parallel.png").exists()


def test_trial_that_was_never_judged(tmp_path: Path) -> None:
    space = SPACE + '"model.latent_dim" = { kind = "int", low = 2, high = 4, when = { "x" = 1 } }'
    space = space.replace('{ "x" = 1 }', '{ "training.batch_size" = 16 }')
    study = 'points = [{ "training.batch_size" = 20 }]'
    folder = finished_study(tmp_path, study, trials=1, space=space)
    plan = read_plan(folder).plan
    longer = plan.model_copy(update={"study": plan.study.model_copy(update={"trials": 2})})
    record = begun(longer, folder, resume=True)
    record.enqueue_trial({"training.batch_size": 16})
    ledger = Ledger(longer, record)
    job = ledger.ask()
    assert job
    assert "model.latent_dim" in record.trials[-1].params
    ledger.close()
    write_study_report(summarise(folder), str(tmp_path / "report"))


def test_front_is_beaten_by_none(tmp_path: Path) -> None:
    trials = summarise(finished_study(tmp_path, 'objectives = ["ks_sum", "throughput"]')).ranked
    front = front_of(trials, "throughput")
    assert front[0] == min(trials, key=lambda trial: trial.figures["ks_sum"])
    for trial in trials:
        beaten = [
            other
            for other in trials
            if other.figures["ks_sum"] < trial.figures["ks_sum"]
            and other.figures["throughput"] > trial.figures["throughput"]
        ]
        assert not (trial in front and beaten)


def test_short_paths_stay_distinct() -> None:
    names = ["a.b.rate", "a.c.rate", "a.c.width", "d"]
    assert [short_path(name, names) for name in names] == ["b.rate", "c.rate", "width", "d"]
