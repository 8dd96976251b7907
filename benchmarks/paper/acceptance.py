"""How many electrons leak into the holes of a detector.

FAT-GAN in both coordinates, one that knows of six sectors, and a flow, as it is and with the GANs'
steps and batches, learn electrons of 5.5 GeV off protons at rest, seen between the coils of a
toroid (`electrons-clas`). What counts is the share of generated events that fails each cut of the
acceptance beside that of true ones, which the detector's resolution carries over its edges.
"""

from benchmarks.common.options import SMALL_GAN, SMALL_STEPS, Paper
from benchmarks.common.results import Results, budget, estimates
from benchmarks.common.transverse import planes, transverse

REACH = 1.6  # GeV, of px and py
OBSERVABLES = """selection.observables=[
  'electron.px', 'electron.py', 'electron.pz', 'electron.energy',
  'pt', 'theta', 'phi', 'q2', 'w', 'coil_distance',
]"""
SYSTEMS: dict[str, tuple[str, tuple[str, ...]]] = {  # recipe, and the values of its quick budget
    "Cartesian": ("fatgan", SMALL_GAN),
    "spherical": ("fatgan-spherical", SMALL_GAN),
    "sectors": ("fatgan-clas", SMALL_GAN),
    "flow": ("flow-clas", ()),
    "flow at equal steps": ("flow-clas", SMALL_STEPS),
}


def measure(options: Paper, results: Results) -> None:
    """Train, sample and judge each system; draw its px-py plane."""
    options.require(*(options.for_budget(recipe) for recipe, _ in SYSTEMS.values()))
    dataset = options.prepared("electrons-clas")
    truth = transverse(dataset.load("test"))
    momenta = {"truth": truth}
    for name, (recipe, quick) in options.some(list(SYSTEMS.items())):
        for seed in options.seeds:
            values = (OBSERVABLES, *options.quick(*quick))
            checkpoint = options.trained(options.for_budget(recipe), seed, *values, dataset=dataset)
            generated, card = options.judged(checkpoint, dataset, seed)
            metrics = ("c2st_auc", "unphysical_rate", "invalid_event_rate", "chi2_ndf")
            figures = budget(checkpoint) | estimates(card, *metrics)
            results.add({"system": name}, figures, seed=seed)
            if name not in momenta:
                momenta[name] = transverse(generated.load(max_events=len(truth)))
                results.draw(planes, momenta, REACH)
