"""γ p -> p π⁺π⁻ by FAT-GAN and a flow.

Both learn events at photon energies of 2, 3 and 4 GeV and are judged at 3 GeV: FAT-GAN nine momenta
and the flow the five numbers that conservation leaves free, each with its own steps; then FAT-GAN
these five numbers, and the flow FAT-GAN's steps and batches. The pictures show masses of pairs and
the Dalitz plane, true events by their channels.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from benchmarks.common.options import SMALL_GAN, SMALL_STEPS, Paper
from benchmarks.common.results import Results, budget, estimates
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.sources.photoproduction import CHANNEL
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.commands.judging import evaluate, sampled
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.report.drawing import GENERATED
from mleg_ray.storage import join

GAN, FLOW = "fatgan-photoproduction", "flow-photoproduction"
ENERGY = {"photon_energy": 3.0}  # at which generated events are judged
FREE = (  # the flow's features, for the GAN
    "features.steps=[{ kind = 'pion-pair' }]",
    "features.conditions=[{ kind = 'logarithm', fields = ['photon_energy'] }]",
)
SYSTEMS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    # recipe, the values of its quick budget, and its own
    "flow": (FLOW, (), ()),
    "flow at equal steps": (FLOW, SMALL_STEPS, ()),
    "GAN": (GAN, SMALL_GAN, ()),
    "GAN of five numbers": (GAN, SMALL_GAN, FREE),
}
CHANNELS = {"Δ⁺⁺π⁻": "#d98e04", "pρ⁰": "#1d2733", "phase space": "#8a3b78"}  # by their numbers
PAIRS = {"m_p_pip": "m(pπ⁺)", "m_p_pim": "m(pπ⁻)", "m_pip_pim": "m(π⁺π⁻)"}
DALITZ = ("m_p_pip", "m_pip_pim")
DOTS = 4000  # events of a Dalitz plane


def measure(options: Paper, results: Results) -> None:
    """Train both, and judge them by the test split at one photon energy."""
    options.require(FLOW, GAN)
    truth = options.prepared("gamma-p-to-p-pi-pi").at(ENERGY)
    for system in options.some(list(SYSTEMS)):
        for seed in options.seeds:
            checkpoint = trained(options, system, seed)
            report = join(options.place, "reports", f"exclusive-{checkpoint.digest[:8]}-{seed}")
            generated = sampled(checkpoint.uri, truth, "test", options.place, seed=seed)
            card = evaluate(generated, truth, "test", report, seed=seed)
            figures = budget(checkpoint) | estimates(card, "c2st_auc", "unphysical_rate", "ks")
            results.add({"system": system}, figures, seed=seed)
            shown = numbers(truth, "test"), numbers(Dataset.open(generated))
            results.draw(resonances, *shown, system, name=system.replace(" ", "-"))


def trained(options: Paper, system: str, seed: int) -> Checkpoint:
    """Train one of the `SYSTEMS`."""
    recipe, quick, own = SYSTEMS[system]
    return options.trained(recipe, seed, *options.quick(*quick), *own)


def numbers(dataset: Dataset, split: str | None = None) -> dict[str, FloatArray]:
    """Return the masses of pairs of each event (n,), GeV, and its channel if it has that label."""
    columns = dataset.manifest.joined(dataset.load(split)).columns
    return {name: columns[name].double().numpy() for name in (*PAIRS, CHANNEL) if name in columns}


def resonances(
    true: Mapping[str, FloatArray], made: Mapping[str, FloatArray], system: str
) -> Figure:
    """Draw the masses of pairs, channel upon channel, and the Dalitz plane of both samples.

    The dots of the true plane have the colour of their channel: the bands of the Δ⁺⁺ at fixed
    m(pπ⁺) and of the ρ⁰ at fixed m(π⁺π⁻), which overlap.
    """
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    spectra, (true_plane, made_plane, blank) = figure.subplots(2, len(PAIRS))
    colours = np.array(list(CHANNELS.values()))
    for axes, (name, label) in zip(spectra, PAIRS.items(), strict=True):
        edges = np.linspace(true[name].min(), true[name].max(), 61)
        channels = [true[name][true[CHANNEL] == number] for number in range(len(CHANNELS))]
        weights = [np.full(len(values), 1 / len(true[name])) for values in channels]
        look = {"stacked": True, "color": list(colours), "label": list(CHANNELS)}
        axes.hist(channels, edges, weights=weights, **look)
        shares = np.histogram(made[name], edges)[0] / len(made[name])
        axes.plot((edges[1:] + edges[:-1]) / 2, shares, ".", color=GENERATED, label=system)
        axes.set(xlabel=f"{label} [GeV]")
    spectra[0].set_ylabel("share of events")
    blank.legend(*spectra[0].get_legend_handles_labels(), loc="center")
    blank.set_axis_off()
    channel = true[CHANNEL][:DOTS].astype(int)
    planes = (true_plane, "truth", true, colours[channel]), (made_plane, system, made, GENERATED)
    for axes, title, events, colour in planes:
        x, y = (np.square(events[name][:DOTS]) for name in DALITZ)
        axes.scatter(x, y, s=2, c=colour, alpha=0.6, linewidth=0)
        axes.set(xlabel="m²(pπ⁺) [GeV²]", ylabel="m²(π⁺π⁻) [GeV²]", title=title)
    return figure
