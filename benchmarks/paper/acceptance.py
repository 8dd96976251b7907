"""How many electrons leak into the holes of a detector.

FAT-GAN in both coordinates, one that knows of six sectors, and a flow learn electrons of 5.5 GeV
off protons at rest, seen between the coils of a toroid (`electrons-clas`). What counts is the share
of generated events that fails each cut of the acceptance beside that of true ones, which the
detector's resolution carries over its edges.
"""

from benchmarks.common.options import SMALL_GAN, Paper
from benchmarks.common.results import Results, estimates
from benchmarks.common.transverse import planes, transverse

REACH = 1.6  # GeV, of px and py
PLAIN = "model.noise_harmonics=[]"
SEEN = """'electron.px', 'electron.py', 'electron.pz', 'electron.energy',
  'kinematics.transverse_momentum(electron)', 'kinematics.cot_theta(electron)'"""
CARTESIAN = (
    """features.steps=[
      { kind = 'mass-shell', group = 'electron' },
      { kind = 'gap', field = 'electron.pz', below = 'beam_energy' },
    ]""",
    f"features.view=['electron.log_gap_pz', {SEEN}]",
)
SPHERICAL = (
    """features.steps=[
      { kind = 'spherical', group = 'electron' },
      { kind = 'gap', field = 'electron.momentum', below = 'beam_energy' },
      { kind = 'interval', fields = ['electron.theta'], high = 3.141592653589793 },
    ]""",
    f"features.view=['electron.log_gap_momentum', 'electron.logit_theta', 'electron.phi', {SEEN}]",
)
SYSTEMS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    # recipe, quick budget, values of its own
    "Cartesian": ("fatgan-clas", SMALL_GAN, (*CARTESIAN, PLAIN)),
    "spherical": ("fatgan-clas", SMALL_GAN, (*SPHERICAL, PLAIN)),
    "sectors": ("fatgan-clas", SMALL_GAN, ()),
    "flow": ("flow-clas", (), ()),
}


def measure(options: Paper, results: Results) -> None:
    """Train, sample and judge each system; draw its px-py plane."""
    options.require("fatgan-clas", "flow-clas")
    dataset = options.prepared("electrons-clas")
    truth = transverse(dataset.load("test"))
    momenta = {"truth": truth}
    for name, (recipe, quick, own) in options.some(list(SYSTEMS.items())):
        for seed in options.seeds:
            values = (*options.quick(*quick), *own)
            checkpoint = options.trained(recipe, seed, *values, dataset=dataset)
            generated, card = options.judged(checkpoint, dataset, seed)
            metrics = ("c2st_auc", "unphysical_rate", "invalid_event_rate", "chi2_ndf")
            figures = {"training s": checkpoint.card.seconds} | estimates(card, *metrics)
            results.add({"system": name}, figures, seed=seed)
            if name not in momenta:
                momenta[name] = transverse(generated.load(max_events=len(truth)))
                results.draw(planes, momenta, REACH)
