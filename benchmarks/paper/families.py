"""A GAN, a flow and autoencoders on the same events.

Recipes of some minutes of one CPU, each with its own steps and batches, trained on 45% of tape2.txt
and judged by its test half. The conditional VAE and the conditional flow, with equal steps, batches
and features, learn 45% of the cFAT-GAN authors' events at five beam energies, and are judged by the
test half of those at 50 GeV.
"""

from benchmarks.common.options import OnTapes
from benchmarks.common.results import Results, budget
from benchmarks.physics import energies
from benchmarks.physics.tape2_quality import compare, quoted
from mleg_ray.commands.judging import evaluate, sampled
from mleg_ray.storage import join

RECIPES = ("fatgan-quick", "flow-dis", "bvae-dis", "avae-dis", "wae-dis", "swae-dis")
CONDITIONAL = ("cvae-dis-energies", "flow-dis-energies")
ENERGY = {"beam_energy": 50.0}  # at which they are judged


def measure(options: OnTapes, results: Results) -> None:
    """Train, judge and draw the six, then train and judge the conditional two."""
    options.require(*CONDITIONAL)
    compare(RECIPES, options.root, options, results, *options.quick("training.threads=1"))
    dataset = energies.prepared(options, options.root)
    truth = dataset.at(ENERGY)
    for recipe in options.some(CONDITIONAL):
        for seed in options.seeds:
            checkpoint = options.trained(recipe, seed, dataset=dataset)
            report = join(options.place, "reports", f"{recipe}-{checkpoint.digest[:8]}-{seed}")
            generated = sampled(checkpoint.uri, truth, "test", options.place, seed=seed)
            card = evaluate(generated, truth, "test", report, seed=seed)
            labels = {"recipe": recipe, "of five beam energies, judged at GeV": 50}
            results.add(labels, budget(checkpoint) | quoted(card), seed=seed)
