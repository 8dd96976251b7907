"""cFAT-GAN under the beam energy: trained, between and beyond.

It learns Pythia 8 events at 10, 20, 30, 40 and 50 GeV and is judged by fresh ones, also at energies
that it has not seen. Where the authors' tapes are at hand, another learns these and is judged by
their test halves.
"""

import energies as benchmark

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from paper.measuring import SMALL_GAN, Options, Results

RECIPE = "cfatgan"
QUICK = (*SMALL_GAN, "training.steps=4000")


def pythia(options: Options) -> Dataset:
    """Prepare what it learns."""
    events = options.few(benchmark.TRAINING_EVENTS)
    return benchmark.prepared(options.storage, events=events)


def cfatgan(options: Options, dataset: Dataset, seed: int) -> Checkpoint:
    """Train cFAT-GAN."""
    return options.trained(RECIPE, seed, quick=QUICK, dataset=dataset)


def energies(options: Options, results: Results) -> None:
    """Train on Pythia events, and on the tapes if there are any; judge at each energy."""
    datasets = [pythia(options)]
    if options.root:
        datasets.append(benchmark.prepared(options.storage, options.root))
    for dataset in datasets:
        beams = options.some(benchmark.beams(dataset))
        judging = options.few(benchmark.JUDGING_EVENTS)
        for seed in options.seeds:
            checkpoint = cfatgan(options, dataset, seed)
            for figures in benchmark.judged(checkpoint, dataset, options.storage, beams, judging):
                labels = {"dataset": dataset.manifest.name} | {
                    name: figures.pop(name) for name in ("beam_energy", "events")
                }
                results.add(labels, seed, {"training_s": checkpoint.card.seconds} | figures)
