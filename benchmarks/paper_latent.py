"""What the hidden layers of a GAN's critic tell apart of three labelled channels of γ p -> p π⁺π⁻.

    python benchmarks/paper_latent.py

Trains the GAN and the flow of the exclusive reaction, judges both, and looks into each hidden layer
of the GAN's critic: how often an event's nearest neighbours tell its channel, in the layer and in
the critic's input, and how pure the clusters of the layer's t-SNE are. `full` has the paper's
networks and steps, for a GPU. Prints rows and writes JSON; pictures and clusters lie in the
storage folder.
"""

import argparse
import json
import os
from typing import Any

from paper_electron import RESULTS, SMALL_GAN
from tape2_quality import rounded

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint, environment
from mleg_ray.cluster.evaluate import evaluate_any
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import run_name, train
from mleg_ray.evaluation.estimate import Estimate
from mleg_ray.interpret.latent import LatentSpec
from mleg_ray.report.latent import look
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute, join

GAN, FLOW = "fatgan-photoproduction", "flow-photoproduction"
ENERGY = {"photon_energy": 3.0}  # at which generated events are judged
EVENTS = 3000


def quality(checkpoint: Checkpoint, recipe: str, dataset: Dataset, storage: str) -> dict[str, Any]:
    """Judge a checkpoint by the test split at one photon energy."""
    report = join(storage, "reports", recipe)
    truth = dataset.at(ENERGY)
    card = evaluate_any(checkpoint.uri, truth, "test", report, storage, seed=1)
    row: dict[str, Any] = {"recipe": recipe, "training_s": checkpoint.card.seconds}
    for metric in ("c2st_auc", "unphysical_rate", "ks"):
        for subject, figure in card.figures[metric].items():
            if isinstance(figure, Estimate):
                row[f"{metric}, {subject}"] = [figure.value, figure.floor, figure.floor_spread]
    return row


def layers(checkpoint: Checkpoint, storage: str) -> list[dict[str, Any]]:
    """Look into every hidden layer of the critic."""
    rows = []
    for layer in range(1, len(checkpoint.run.model.critic.widths) + 1):
        spec = LatentSpec(player="critic", layer=layer, events=EVENTS)
        found = look(checkpoint, spec, storage, join(storage, "latent", f"{GAN}-{layer}"))
        told = {where: [f.value, f.uncertainty] for where, f in found.separation["channel"].items()}
        purity = found.purity["channel"]
        row = {"number": layer, **told, "by chance": found.separation["channel"]["layer"].floor}
        clusters = [cluster for cluster in found.clusters if cluster.number >= 0]
        row |= {"clusters": len(clusters), "purity": [purity.value, purity.floor]}
        rows.append(row)
        print(rounded(row), flush=True)
    return rows


def main() -> None:
    """Train, judge, look; print the rows, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", choices=["quick", "full"], default="quick")
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage = absolute(options.storage)
    rows: list[dict[str, Any]] = []
    with ray_session():
        for recipe in (FLOW, GAN):
            small = SMALL_GAN if options.budget == "quick" and recipe == GAN else ()
            run = RunConfig.load(recipe, small)
            dataset = prepare(DatasetSpec.load(run.dataset), storage)
            checkpoint = train(run, dataset, storage, name=run_name(recipe, run, dataset))
            rows.append(quality(checkpoint, recipe, dataset, storage))
            print(rounded(rows[-1]), flush=True)
        rows += layers(checkpoint, storage)
    RESULTS.mkdir(exist_ok=True)
    result = {"cores": os.cpu_count(), "rows": rows, "with": environment()}
    place = RESULTS / f"paper-latent-{options.budget}.json"
    place.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
