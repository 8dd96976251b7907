"""A trial of a study on several workers of a real local Ray."""

from pathlib import Path

import pytest

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.tune import run_study
from mleg_ray.study.measures import c2st_auc
from tests.prepared import prepared_dataset
from tests.study.plans import small_plan

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(600)]

WHERE = "pt >= 2"
STUDY = """
workers = 2
objectives = ["ks_sum", "c2st_auc"]
search = { kind = "nsga-ii" }
"""


@pytest.mark.slow
def test_a_trial_trains_on_and_is_measured_by_what_its_run_selects(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "data", shard_rows=2000)
    selected = dataset.selecting((WHERE,))
    plan = small_plan(tmp_path, STUDY, trials=1, run=(f'where=["{WHERE}"]',))
    [trial] = run_study(plan, dataset, str(tmp_path), name="selected").trials
    checkpoint = Checkpoint.load(trial.checkpoint)
    assert checkpoint.card.train_events == selected.rows("train") < dataset.rows("train")
    expected = c2st_auc(checkpoint, selected)
    assert trial.figures["c2st_auc"] == pytest.approx(expected, abs=1e-3)
    assert c2st_auc(checkpoint, dataset) != pytest.approx(expected, abs=1e-2)
