"""FAT-GAN on what an experiment sees: how many electrons leak into the holes of the detector.

    python benchmarks/paper_acceptance.py

Trains `fatgan-clas` on electrons of 5.5 GeV off protons at rest between the coils of a toroid
(`electrons-clas`), and counts the share of generated events that fails each cut of the acceptance
beside that of true ones, which the detector's resolution carries over its edges. `full` has the
paper's networks and steps, for a GPU. Prints a row for each seed and writes JSON; the pictures lie
in the reports.
"""

import argparse
import json
import os
from typing import Any

from paper_electron import RESULTS, SMALL_GAN
from tape2_quality import rounded

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import environment
from mleg_ray.cluster.evaluate import evaluate
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.sample import default_target, sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import run_name, train
from mleg_ray.evaluation.estimate import Estimate
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute, join

RECIPE = "fatgan-clas"


def main() -> None:
    """Train, sample, judge; print the row, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", choices=["quick", "full"], default="quick")
    parser.add_argument("--set", nargs="*", default=[], dest="assignments")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage = absolute(options.storage)
    budget = SMALL_GAN if options.budget == "quick" else ()
    rows: list[dict[str, Any]] = []
    with ray_session():
        for seed in options.seeds:
            run = RunConfig.load(RECIPE, (*budget, *options.assignments, f"training.seed={seed}"))
            dataset = prepare(DatasetSpec.load(run.dataset), storage)
            checkpoint = train(run, dataset, storage, name=run_name(RECIPE, run, dataset))
            events = 10 * dataset.rows("test")
            target = default_target(storage, checkpoint.uri, events, seed)
            generated = sample(checkpoint.uri, events, target, seed=seed)
            report = join(storage, "reports", target.rsplit("/", 1)[-1])
            card = evaluate(generated.uri, dataset, "test", report, seed=seed)
            row: dict[str, Any] = {"seed": seed, "training_s": checkpoint.card.seconds}
            for metric in ("c2st_auc", "unphysical_rate", "invalid_event_rate", "chi2_ndf"):
                for subject, figure in card.figures[metric].items():
                    if isinstance(figure, Estimate):
                        row[f"{metric}, {subject}"] = figure.value
                        row[f"{metric}, {subject}, truth"] = figure.floor
            rows.append(row)
            print(rounded(row), flush=True)
    RESULTS.mkdir(exist_ok=True)
    result = {"cores": os.cpu_count(), "rows": rows, "with": environment()}
    place = RESULTS / f"paper-acceptance-{options.budget}.json"
    place.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
