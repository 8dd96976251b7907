"""How many more true events a generator is worth than it was trained on, region by region.

    python benchmarks/paper_amplification.py

Trains recipes on few Pythia events and judges 300,000 generated ones by as many fresh true ones,
quantile by quantile (A. Butter et al., arXiv:2008.06545). A generator that is worth `a` times its
training events makes of ten times as many generated events the worth of 10 a / (10 + a) times.
Prints a row for each recipe and number of events, writes JSON.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import environment
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.sample import default_target, sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import run_name, train
from mleg_ray.evaluation.datasets import from_dataset, from_generated, judged_by
from mleg_ray.evaluation.estimate import Estimate, Figure
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.scorecards import scorecard
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute

JUDGING_EVENTS, GENERATED_EVENTS, MORE = 2_000_000, 300_000, 10
BUDGET = ("training.steps=2000", "training.threads=1", "selection.every=100")
RESULTS = Path(__file__).parent / "results"


def events(name: str, number: int, seed: int, storage: str) -> Dataset:
    """Prepare so many events of dis-ep-50; 60% of them are the train split, 30% the test split."""
    own = (f"name={name}", f"source.events={number}", f"source.seed={seed}")
    return prepare(DatasetSpec.load("dis-ep-50", (*own, f"shard_events={number // 20}")), storage)


def worth(figure: Figure) -> dict[str, Any]:
    """Return a region's amplification and what `MORE` times the training events are worth."""
    if not isinstance(figure, Estimate):
        return {"own": figure.reason}
    together = MORE * figure.value / (MORE + figure.value)
    return {"own": [figure.value, figure.uncertainty], f"{MORE} times as many": together}


def main() -> None:
    """Train and judge each recipe on each number of events; print the rows, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="+", default=["flow-dis", "fatgan-quick"])
    parser.add_argument("--events", nargs="+", type=int, default=[6_000, 60_000])
    parser.add_argument("--set", nargs="*", default=[], dest="assignments")
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage = absolute(options.storage)
    rows: list[dict[str, Any]] = []
    with ray_session():
        truth = events("dis-ep-50-judging", JUDGING_EVENTS, 20261123, storage)
        judge = from_dataset(truth, "test", seed=1, max_events=2 * GENERATED_EVENTS)
        for number in options.events:
            dataset = events(f"dis-ep-50-few-{number}", number * 10 // 6, 20261124, storage)
            for recipe in options.recipes:
                own = (f"dataset={dataset.manifest.name}", *BUDGET, *options.assignments)
                run = RunConfig.load(recipe, own)
                checkpoint = train(run, dataset, storage, name=run_name(recipe, run, dataset))
                target = default_target(storage, checkpoint.uri, GENERATED_EVENTS, 1)
                generated = judged_by(truth, sample(checkpoint.uri, GENERATED_EVENTS, target))
                card = scorecard(
                    judge,
                    from_generated(generated, seed=1, max_events=GENERATED_EVENTS),
                    metrics={"amplification": METRICS["amplification"]},
                    seed=1,
                )
                figures = card.figures["amplification"]
                row = {"recipe": recipe, "train_events": dataset.rows("train")}
                row |= {region: worth(figure) for region, figure in figures.items()}
                rows.append(row)
                print(row, flush=True)
    RESULTS.mkdir(exist_ok=True)
    result = {"cores": os.cpu_count(), "rows": rows, "with": environment()}
    (RESULTS / "paper-amplification.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
