"""Generators of toy jets and images beside closed forms.

Prepares the recipe's dataset, trains, samples a million events through the pool and verifies them.
Then the figures, each beside what it is for as many events of the toy itself (the floor) and for
doing nothing: of jets, events drawn without regard to their weights, with the missing momentum of
another event; of images, those of the toy at another event's energy. All are differences from
exact numbers, zero but for chance; distances are above zero by chance, as the floor tells.

Of jets: counts: ½ Σ_k |p_k - exact|; pt, leading pt and eta: the Kolmogorov-Smirnov distance to the
exact distribution function; heavy: the share of heavy jets; correlation: that of H_T and the
missing pt.

Of images: total, row, column, share of the second layer: the mean deviation from the moment at an
event's energy, over the exact spread at it; the same with `spread`: the logarithm of the mean
squared deviation over its exact value; square width of both, relative; share of lit cells.

The picture is of the last seed's events.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.common import exact_jets
from benchmarks.common.exact_images import Moments, moments
from benchmarks.common.options import Training
from benchmarks.common.results import Results, timed
from benchmarks.common.toy_pictures import images_picture, jets_picture
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.sources.toys import ToyImagesConfig
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.cluster.sample import sample
from mleg_ray.cluster.verify import verify
from mleg_ray.commands.options import Events as Number
from mleg_ray.evaluation.statistics.distances import standard_deviation
from mleg_ray.events import Events
from mleg_ray.physics import images, toy_jets
from mleg_ray.physics.toy_images import BLOBS, ENERGIES, Blob, energies
from mleg_ray.run import RunConfig
from mleg_ray.sampling.spectra import LogUniformSpectrum
from mleg_ray.storage import join

JUDGED = 300_000  # events of the sample

Array = NDArray[np.float64]
Figures = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Asked(Training):
    """What is trained and sampled."""

    recipe: Annotated[str, typer.Argument(help="One on toy-jets, toy-images or toy-layers.")]
    events: Number = 1_000_000


def measure(options: Asked, results: Results) -> None:
    """Train, sample and compare with each seed."""
    run = RunConfig.load(options.recipe, options.assigned)
    source = DatasetSpec.load(run.dataset).source
    dataset = options.prepared(run.dataset)
    labels = {"recipe": options.recipe, "dataset": run.dataset}
    for seed in options.seeds:
        made, seconds = generated(options, seed, dataset)
        events = made.load(max_events=JUDGED)
        rng = np.random.default_rng(seed)
        if isinstance(source, ToyImagesConfig):
            blob = BLOBS[source.layers]
            compared = {"generated": events, **images_for(len(events), rng, blob)}
            figures = {name: of_images(some, blob) for name, some in compared.items()}
            picture = partial(images_picture, compared, blob)
        else:
            compared = {"generated": events, **jets_for(len(events), rng)}
            figures = {name: of_jets(some) for name, some in compared.items()}
            picture = partial(jets_picture, compared)
        for name, found in figures.items():
            results.add({**labels, "events": name}, found, seed=seed)
        results.add({**labels, "sampled": options.events}, seconds, seed=seed)
        results.draw(picture, name=f"{options.recipe}-on-{run.dataset}")


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
        "counts": float(np.abs(table - exact_jets.number_table()).sum() / 2),
        "pt": distance(pt.numpy()[jets], of_jet, exact_jets.pt_cdf),
        "leading pt": distance(pt.numpy()[some, 0], weight[some], exact_jets.leading_pt_cdf),
        "eta": distance(events.columns["jet.eta"].numpy()[jets], of_jet, exact_jets.eta_cdf),
        "heavy": float(heavy - exact_jets.heavy_share()),
        "correlation": float(covariance / deviations - exact_jets.moments().correlation),
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
    exact = moments(blob, energy)
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


def generated(options: Asked, seed: int, dataset: Dataset) -> tuple[Dataset, Figures]:
    """Train the recipe with a seed, sample it at energies as the toy's, and verify the sample."""
    checkpoint, training = timed(partial(options.trained, options.recipe, seed, dataset=dataset))
    low, high = ENERGIES
    spectra = {name: LogUniformSpectrum(low=low, high=high) for name in dataset.schema.conditions}
    target = join(options.place, "samples", f"benchmark-{options.recipe}-{seed}")
    shutil.rmtree(target, ignore_errors=True)
    events = options.few(options.events, 400)
    found, sampling = timed(
        partial(sample, checkpoint.uri, events, target, seed=seed, conditions=spectra)
    )
    verify(found.uri)
    return found, {"training s": training, "sampling s": sampling}
