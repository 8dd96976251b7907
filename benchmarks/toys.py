"""Generators of toy jets and toy images beside the closed forms of both.

    python benchmarks/toys.py parts-toy-jets
    python benchmarks/toys.py gan-toy-images --seeds 1 2 3

Prepares the recipe's dataset, trains, samples a million events through the pool and verifies them.
Then the figures, each beside what it is for as many events of the toy itself (the floor) and for
doing nothing: of jets, events drawn without regard to their weights, with the missing momentum of
another event; of images, those of the toy at another event's energy. All are differences from
exact numbers, zero but for chance; distances are above zero by chance, as the floor tells:

    of jets     counts: ½ Σ_k |p_k - exact|; pt, leading pt and eta: the Kolmogorov-Smirnov distance
                to the exact distribution function; heavy: the share of heavy jets; correlation:
                that of H_T and the missing pt
    of images   total, row, column, share of the second layer: the mean deviation from the moment
                at an event's energy, over the exact spread at it; the same with `spread`: the
                logarithm of the mean squared deviation over its exact value; square width of
                both, relative; share of lit cells

The medians over the seeds are printed last. All is written as JSON into benchmarks/results, with a
picture of the last seed's events.
"""

import argparse
import shutil
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from common.results import Row, draw, keep, rounded
from common.toy_pictures import images_picture, jets_picture
from numpy.typing import NDArray

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.sources.toy_images import ToyImagesConfig
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.sample import sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import run_name, train
from mleg_ray.cluster.verify import verify
from mleg_ray.evaluation.distances import standard_deviation
from mleg_ray.events import Events
from mleg_ray.physics import images, toy_jets
from mleg_ray.physics.toy_images import BLOBS, ENERGIES, Blob, Moments, energies
from mleg_ray.run import RunConfig
from mleg_ray.sampling.spectra import LogUniformSpectrum
from mleg_ray.storage import absolute, join

Array = NDArray[np.float64]
Figures = dict[str, float]


def of_jets(events: Events) -> Figures:
    """Return how far events with weights are from the closed forms of toy jets."""
    weight = events.weight.numpy()
    weight = weight / weight.sum()
    present = events.present["jet"]
    number = present.sum(dim=1).numpy()
    pt = events.columns["jet.pt"].double()
    jets = present.numpy()
    of_jet = np.repeat(weight, number)
    table = np.bincount(number, weight, toy_jets.MOST + 1)
    ht, met = pt.sum(dim=1).numpy(), events.columns["met.pt"].double().numpy()
    covariance = weight @ (ht * met) - (weight @ ht) * (weight @ met)
    deviations = standard_deviation(ht, weight) * standard_deviation(met, weight)
    heavy = of_jet @ events.columns["jet.flavour"].numpy()[jets] / of_jet.sum()
    some = number > 0
    return {
        "counts": float(np.abs(table - toy_jets.number_table()).sum() / 2),
        "pt": distance(pt.numpy()[jets], of_jet, toy_jets.pt_cdf),
        "leading pt": distance(pt.numpy()[some, 0], weight[some], toy_jets.leading_pt_cdf),
        "eta": distance(events.columns["jet.eta"].numpy()[jets], of_jet, toy_jets.eta_cdf),
        "heavy": float(heavy - toy_jets.heavy_share()),
        "correlation": float(covariance / deviations - toy_jets.moments().correlation),
    }


def distance(values: Array, weights: Array, cdf: Callable[[Array], Array]) -> float:
    """Return sup |F - G| of weighted values (n,) and an exact distribution function G."""
    order = np.argsort(values)
    f = np.cumsum(weights[order]) / weights.sum()
    exact = np.concatenate([cdf(some) for some in np.array_split(values[order], 100)])
    before = f - weights[order] / weights.sum()
    return float(max(np.abs(f - exact).max(), np.abs(before - exact).max()))


def jets_for(n: int, rng: np.random.Generator) -> dict[str, Events]:
    """Return as many events of the toy, and those of doing nothing."""
    truth = toy_jets.sample(rng, n)
    met = truth.columns["met.pt"][torch.from_numpy(rng.permutation(n))]
    nothing = Events({**truth.columns, "met.pt": met}, truth.present, torch.ones(n).double())
    return {"floor": truth, "doing nothing": nothing}


def of_images(events: Events, blob: Blob) -> Figures:
    """Return how far images are from the moments at their energies."""
    image, energy = events.columns["image"], events.columns["energy"].numpy()
    exact = blob.moments(energy)
    found = {
        "total": (images.total(image), exact.total, exact.total_variance),
        "row": (images.barycentre(image, -2), *_axis(exact, 0)),
        "column": (images.barycentre(image, -1), *_axis(exact, 1)),
    }
    if blob.layers > 1:
        share = exact.layer_share[:, 1]
        variance = share * (1 - share) / (exact.shape + 1)  # of a beta distribution
        found["second layer"] = (images.share(image, 1), share, variance)
    figures: Figures = {}
    for name, (values, mean, variance) in found.items():
        pull = (values.numpy() - mean) / np.sqrt(variance)
        figures[name] = float(pull.mean())
        figures[f"{name}, spread"] = float(np.log(np.square(pull).mean()))
    for axis, name in enumerate(("row", "column")):
        square = images.width(image, axis - 2).square().numpy()
        figures[f"square width, {name}"] = float((square / exact.square_width[:, axis]).mean() - 1)
    lit = images.occupancy(image, 0.0).numpy()
    figures["occupancy"] = float((lit - exact.occupancy).mean())
    return figures


def _axis(exact: Moments, axis: int) -> tuple[Array, Array]:
    return exact.barycentre[:, axis], exact.barycentre_variance[:, axis]


def images_for(n: int, rng: np.random.Generator, blob: Blob) -> dict[str, Events]:
    """Return as many images of the toy, and those of doing nothing."""
    energy = energies(rng, n)
    image, ones = torch.from_numpy(blob.sample(rng, energy)), torch.ones(n).double()
    pairs = {"floor": energy, "doing nothing": rng.permutation(energy)}
    return {
        name: Events({"image": image, "energy": torch.from_numpy(told)}, {}, ones)
        for name, told in pairs.items()
    }


def generated(
    recipe: str, assignments: Sequence[str], seed: int, events: int, storage: str, dataset: Dataset
) -> tuple[Dataset, Figures]:
    """Train a recipe with a seed, sample it at energies as the toy's, and verify the sample."""
    run = RunConfig.load(recipe, (*assignments, f"training.seed={seed}"))
    started = time.monotonic()
    checkpoint = train(run, dataset, storage, name=run_name(recipe, run, dataset))
    trained = time.monotonic()
    low, high = ENERGIES
    varying = dataset.schema.conditions
    spectra = {name: LogUniformSpectrum(low=low, high=high) for name in varying}
    target = join(absolute(storage), "samples", f"benchmark-{recipe}-{seed}")
    shutil.rmtree(target, ignore_errors=True)
    found = sample(checkpoint.uri, events, target, seed=seed, conditions=spectra)
    sampled = time.monotonic()
    verify(found.uri)
    return found, {"training s": trained - started, "sampling s": sampled - trained}


def main() -> None:
    """Measure with each seed; print, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="one on toy-jets, toy-images or toy-layers")
    parser.add_argument("--events", type=int, default=1_000_000, help="to sample")
    parser.add_argument("--judged", type=int, default=300_000, help="of them")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--set", nargs="*", default=[], dest="assignments", metavar="KEY=VALUE")
    parser.add_argument("--prepared", nargs="*", default=[], metavar="KEY=VALUE", help="dataset")
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    parser.add_argument("--name", help="of the files with the results; toys-RECIPE if not given")
    options = parser.parse_args()
    run = RunConfig.load(options.recipe, tuple(options.assignments))
    spec = DatasetSpec.load(run.dataset, tuple(options.prepared))
    rows: list[Row] = []
    with ray_session():
        dataset = prepare(spec, options.storage)
        for seed in options.seeds:
            made, seconds = generated(
                options.recipe, options.assignments, seed, options.events, options.storage, dataset
            )
            events = made.load(max_events=options.judged)
            rng = np.random.default_rng(seed)
            if isinstance(spec.source, ToyImagesConfig):
                blob = BLOBS[spec.source.layers]
                compared = {"generated": events, **images_for(len(events), rng, blob)}
                figures = {name: of_images(some, blob) for name, some in compared.items()}
                picture = images_picture(compared, blob)
            else:
                compared = {"generated": events, **jets_for(len(events), rng)}
                figures = {name: of_jets(some) for name, some in compared.items()}
                picture = jets_picture(compared)
            rows += [{"of": name, "seed": seed, **row} for name, row in figures.items()]
            rows.append({"of": "time", "seed": seed, **seconds})
            for row in rows[-4:]:
                print(rounded(row), flush=True)
    medians = {of: _medians([row for row in rows if row["of"] == of]) for of in (*figures, "time")}
    for of, row in medians.items():
        print(of, rounded(row), flush=True)
    name = options.name or f"toys-{options.recipe}"
    keep(name, {"events": options.events, "rows": rows, "medians": medians})
    draw(name, picture)


def _medians(rows: list[Row]) -> Row:
    return {
        name: statistics.median(row[name] for row in rows)
        for name in rows[0]
        if name not in ("of", "seed")
    }


if __name__ == "__main__":
    main()
