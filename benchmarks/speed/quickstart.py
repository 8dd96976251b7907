"""The main job: seconds of each of its stages, and how good its events are.

What `mleg quickstart` does, in a new folder that is deleted.
"""

import tempfile

from benchmarks.common.options import FEW_EVENTS, FEW_STEPS, Options
from benchmarks.common.results import Results, estimate, estimates, timed
from mleg_ray.cluster.session import ray_session
from mleg_ray.commands.evaluate import evaluate
from mleg_ray.commands.prepare import prepare
from mleg_ray.commands.quickstart import SHARD_EVENTS
from mleg_ray.commands.sample import sample
from mleg_ray.commands.train import train
from mleg_ray.evaluation.scorecards import worst

RECIPE, DATASET = "fatgan-quick", "dis-ep-50"
EVENTS = 1_000_000


def measure(options: Options, results: Results) -> None:
    """Go through the stages."""
    few = [f"source.events={FEW_EVENTS}", f"shard_events={FEW_EVENTS // 10}"]
    prepared, trained = (few, list(FEW_STEPS)) if options.small else ([], [])
    with tempfile.TemporaryDirectory() as storage, ray_session():
        dataset, events_s = timed(lambda: prepare(DATASET, storage=storage, assignments=prepared))
        checkpoint, training_s = timed(lambda: train(RECIPE, storage=storage, assignments=trained))
        asked, shard = options.few(EVENTS), options.few(SHARD_EVENTS, 500)
        generated, sampling_s = timed(
            lambda: sample(checkpoint, asked, storage=storage, shard_events=shard)
        )
        assert generated is not None
        card, judging_s = timed(lambda: evaluate(generated, storage=storage))
    results.add(
        {"stage": "seconds"},
        {
            f"{dataset.rows():,} Pythia 8 events": events_s,
            f"{RECIPE}, {checkpoint.run.training.steps:,} steps": training_s,
            f"{generated.rows():,} generated events": sampling_s,
            f"scorecard of {len(card.figures)} metrics, and report": judging_s,
            "all": events_s + training_s + sampling_s + judging_s,
        },
    )
    classifier, auc = worst(card.figures["c2st_auc"])
    figures = {"classifier": classifier, "auc": estimate(auc)}
    figures |= estimates(card, chi2_ndf=["x_bj, q2"], chi2_all=["x_bj"], unphysical_rate=["any"])
    results.add({"stage": "its events"}, figures)
