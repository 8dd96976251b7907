"""FAT-GAN on what an experiment sees: how many electrons leak into the holes of the detector.

    python benchmarks/paper_acceptance.py

Trains FAT-GAN in both coordinates, one that knows of six sectors, and a flow on electrons of
5.5 GeV off protons at rest, seen between the coils of a toroid (`electrons-clas`), and counts the
share of generated events that fails each cut of the acceptance beside that of true ones, which the
detector's resolution carries over its edges. `full` has the paper's networks and steps, for a GPU.
Prints their rows, writes JSON and a picture of the planes px-py; more lie in the reports.
"""

import argparse
import json
import os
from typing import Any

import numpy as np
import torch
from matplotlib import style
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
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
from mleg_ray.report.drawing import STYLE, png
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute, join

PLAIN = "model.noise_harmonics=[]"
ROWS = {
    "Cartesian": ("fatgan-clas", ("features={ kind = 'dis-cartesian' }", PLAIN)),
    "spherical": ("fatgan-clas", ("features={ kind = 'dis-spherical' }", PLAIN)),
    "sectors": ("fatgan-clas", ()),
    "flow": ("flow-clas", ()),
}


def planes(momenta: dict[str, torch.Tensor]) -> bytes:
    """Draw px-py of as many events (n, 2) of each name, in GeV."""
    with style.context(STYLE):
        figure = Figure(figsize=(2.6 * len(momenta), 2.9), layout="constrained")
        axes = figure.subplots(1, len(momenta), sharey=True)
        for axis, (name, events) in zip(axes, momenta.items(), strict=True):
            edges = np.linspace(-1.6, 1.6, 81)
            axis.hist2d(*events.T.numpy(), bins=[edges, edges], norm=LogNorm(1, 300), cmin=1)
            axis.set_title(name)
            axis.set_aspect("equal")
            axis.set_xlabel("px [GeV]")
        axes[0].set_ylabel("py [GeV]")
        return png(figure)


def main() -> None:
    """Train, sample, judge; print the row, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", choices=["quick", "full"], default="quick")
    parser.add_argument("--set", nargs="*", default=[], dest="assignments")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage = absolute(options.storage)
    rows: list[dict[str, Any]] = []
    momenta: dict[str, torch.Tensor] = {}
    with ray_session():
        for name in options.rows:
            recipe, own = ROWS[name]
            small = SMALL_GAN if options.budget == "quick" and recipe == "fatgan-clas" else ()
            run = RunConfig.load(recipe, (*small, *own, *options.assignments))
            dataset = prepare(DatasetSpec.load(run.dataset), storage)
            checkpoint = train(run, dataset, storage, name=run_name(recipe, run, dataset))
            events = 10 * dataset.rows("test")
            target = default_target(storage, checkpoint.uri, events, 1)
            generated = sample(checkpoint.uri, events, target)
            report = join(storage, "reports", target.rsplit("/", 1)[-1])
            card = evaluate(generated.uri, dataset, "test", report, seed=1)
            row: dict[str, Any] = {"row": name, "training_s": checkpoint.card.seconds}
            for metric in ("c2st_auc", "unphysical_rate", "invalid_event_rate", "chi2_ndf"):
                for subject, figure in card.figures[metric].items():
                    if isinstance(figure, Estimate):
                        row[f"{metric}, {subject}"] = figure.value
                        row[f"{metric}, {subject}, truth"] = figure.floor
            rows.append(row)
            truth = dataset.load("test").x[:, :2]
            momenta |= {"truth": truth, name: generated.load(max_events=len(truth)).x[:, :2]}
            print(rounded(row), flush=True)
    RESULTS.mkdir(exist_ok=True)
    result = {"cores": os.cpu_count(), "rows": rows, "with": environment()}
    place = RESULTS / f"paper-acceptance-{options.budget}.json"
    place.write_text(json.dumps(result, indent=2) + "\n")
    place.with_suffix(".png").write_bytes(planes(momenta))


if __name__ == "__main__":
    main()
