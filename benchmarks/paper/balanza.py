"""Variable-length events of typed objects by autoencoders, as R. Balanzá García has them (2023).

Tables 7.1 to 7.5 of the thesis, whose best rows are those of 8.1: experiments 0 (an α-VAE of slots,
sampled from train events), I (one of counts and one a type, sampled from a train event and its
objects), II (counts from a table and a β-VAE a type), III (one β-VAE of few jets); the last two of
top squarks too. Then, with our names, a conditional VAE and a WAE on the same events and models of
types that are given counts, missing momentum and other objects.

Figures are read as in the thesis, see `benchmarks.common.typed_objects`, and judged by the test
split of our own events, which are not the thesis's: Pythia's showers and a parametrised detector in
place of MadGraph with up to two more jets and Delphes. `thesis` columns are the printed figures;
its ms/event are those of a GPU, ours of one core, of calls for 1000 events and sustained.

What the thesis leaves open is read otherwise in rows of their own: `III stripped`, trained on
events of few jets from which all other objects are taken out; `III 0.9`, the rate reduced by a
tenth; `I 320`, codes of 320 numbers.

Beside them stand the train split (the floor); the same drawn with replacement; and true objects
that are independent, with true counts, which is what experiment II would be at best.
Ablations: what a cut at four objects of a type does, energies of massless objects in place of those
generated, φ drawn evenly, the noise of III's decoder added.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.common import typed_objects
from benchmarks.common import typed_pictures as pictures
from benchmarks.common.options import Paper, generated
from benchmarks.common.results import Results, estimate
from benchmarks.common.typed_objects import COLUMNS, Array, Criteria, independent
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.config import read_toml
from mleg_ray.errors import ConfigError
from mleg_ray.evaluation.samples.datasets import from_events
from mleg_ray.evaluation.scorecards import scorecard
from mleg_ray.events import Events
from mleg_ray.features.steps.without import WithoutConfig
from mleg_ray.models.vae import Autoencoder
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig

TYPED = ("event", *typed_objects.TYPES)  # the parts of experiments I and II that are trained


@dataclass(frozen=True)
class Experiment:
    """A recipe, what is varied, the events that the thesis generated, and its printed figures.

    Those are WD, JS, KL, invalid events in percent and ms/event, by the value.
    """

    recipe: str
    varied: str  # the setting
    events: int
    printed: Mapping[float, tuple[float, float, float, float, float]]
    best: float
    shapes: tuple[str, ...]  # whose leading objects are drawn
    copies: bool = False  # whether train events are what is perturbed
    independent: bool = False  # whether objects know nothing of each other
    subset: str = ""  # what its events are called if they are not all of the dataset
    own: tuple[str, ...] = ()  # the values by which the thesis is read otherwise

    @property
    def symbol(self) -> str:
        """What the thesis calls the setting that is varied."""
        return "α" if self.varied.endswith("alpha") else "β"

    def read_otherwise(self, *own: str, subset: str = "") -> "Experiment":
        """Return the experiment with other values where the thesis leaves them open."""
        best = {self.best: self.printed[self.best]}
        return replace(self, printed=best, own=own, subset=subset or self.subset)

    def settings(self, value: float) -> tuple[str, ...]:
        """Return the assignments that give what is varied a value, in each part if it has them."""
        keys = dict.fromkeys(self.varied.format(part=part) for part in TYPED) if self.varied else ()
        return tuple(f"{key}={value}" for key in keys)


OBJECTS, JETS = ("jet 1", "first lepton", "first photon"), ("jet 1", "jet 2", "jet 3")
EXPERIMENTS = {
    "0": Experiment(
        "avae-ttbar-paper",
        "model.alpha",
        100_000,
        {0.2: (0.002077, 0.037879, 0.013133, 1.68, 1.23)},
        0.2,
        ("jet 1", "jet 2", "first lepton", "first photon"),
        copies=True,
    ),
    "I": Experiment(
        "avae-parts-ttbar-paper",
        "model.parts.{part}.model.alpha",
        150_000,
        {
            0.1: (0.000990, 0.024372, 0.005365, 0.45, 342.29),
            0.2: (0.001080, 0.026822, 0.005618, 0.52, 344.69),
            0.3: (0.000973, 0.023365, 0.004781, 0.46, 339.90),
            0.4: (0.000995, 0.023622, 0.004974, 0.41, 341.35),
        },
        0.3,
        OBJECTS,
        copies=True,
    ),
    "II": Experiment(
        "bvae-parts-ttbar-paper",
        "objective.parts.{part}.beta",
        150_000,
        {
            0.5: (0.002969, 0.058086, 0.016235, 9.17, 75.46),
            0.7: (0.002928, 0.056739, 0.015629, 7.54, 75.26),
            1.0: (0.002800, 0.056514, 0.015833, 8.16, 74.43),
            1.2: (0.002785, 0.056112, 0.016177, 4.48, 75.81),
            1.5: (0.002771, 0.055761, 0.016530, 4.55, 74.64),
        },
        1.5,
        OBJECTS,
        independent=True,
    ),
    "III": Experiment(
        "bvae-ttbar-paper",
        "objective.beta",
        300_000,
        {
            0.5: (0.005011, 0.080478, 0.030602, 4.99, 0.92),
            0.7: (0.005045, 0.079034, 0.029801, 5.33, 0.94),
            1.0: (0.004477, 0.072933, 0.025383, 4.95, 0.95),
            1.2: (0.004469, 0.070651, 0.023814, 4.84, 0.96),
            1.5: (0.004172, 0.067629, 0.022565, 4.40, 0.95),
            2.0: (0.004218, 0.070423, 0.024934, 4.33, 0.94),
        },
        1.5,
        JETS,
        subset="few jets alone",
    ),
    "stop II": Experiment(
        "bvae-parts-stop-paper",
        "objective.parts.{part}.beta",
        150_000,
        {1.5: (0.002388, 0.050689, 0.013760, 5.35, 75.07)},
        1.5,
        OBJECTS,
        independent=True,
    ),
    "stop III": Experiment(
        "bvae-stop-paper",
        "objective.beta",
        300_000,
        {1.5: (0.003779, 0.064287, 0.020012, 2.80, 0.95)},
        1.5,
        JETS,
        subset="few jets alone",
    ),
    "CVAE": Experiment("cvae-ttbar", "", 150_000, {}, 0.0, OBJECTS),
    "WAE": Experiment("wae-ttbar", "", 150_000, {}, 0.0, OBJECTS),
    "given": Experiment("bvae-parts-ttbar", "", 150_000, {}, 0.0, OBJECTS),
}
EXPERIMENTS |= {
    "I 320": EXPERIMENTS["I"].read_otherwise(
        *(f"model.parts.{part}.model.latent_dim=320" for part in TYPED),
        *(f"model.parts.{part}.model.encoder.normalised=640" for part in TYPED),
    ),
    "III 0.9": EXPERIMENTS["III"].read_otherwise(
        "training.optimisers.autoencoder.plateau.factor=0.9"
    ),
    "III stripped": EXPERIMENTS["III"].read_otherwise(
        'where=["jet.count <= 4", "b_jet.count <= 2"]',
        "features.most_outside=0.5",  # of the selected events, which lose their other objects
        "training.steps=125_000",  # 100 epochs of the 125,000 of 180,000 events that are selected
        "training.optimisers.autoencoder.plateau.every=1250",
        "selection.every=6250",
        subset="few jets, other objects taken out",
    ),
}
# Printed matrices beside ours; the others are pictures without numbers.
THESIS = Path(__file__).parents[1] / "data" / "balanza-correlations.toml"
MATRICES = {
    "0": ("ttbar", "experiment-0"),
    "I": ("ttbar",),
    "II": ("ttbar", "experiment-II"),
    "stop II": ("stop-02",),
    "stop III": ("stop-02",),
}
PRINTED_TRUTH = {"ttbar-13tev": "ttbar", "stop-300-100": "stop-02"}
PRINTED = ("thesis WD", "thesis JS", "thesis KL", "thesis invalid %", "thesis ms/event")
NOT_PRINTED = dict.fromkeys(PRINTED, "")
# Some minutes of one CPU each: the networks stay as they are.
QUICK = {
    **dict.fromkeys(
        ("avae-ttbar-paper", "avae-parts-ttbar-paper"),
        ("training.steps=1000", "training.batch_size=250", "selection.every=250"),
    ),
    **dict.fromkeys(
        ("bvae-parts-ttbar-paper", "bvae-parts-stop-paper"),
        ("training.steps=4000", "selection.every=1000"),
    ),
    **dict.fromkeys(
        ("bvae-ttbar-paper", "bvae-stop-paper"), ("training.steps=8000", "selection.every=2000")
    ),
}
JUDGED_BY_NEIGHBOURS = 20_000
RESIDUALS = 20_000  # train events of which the residuals are, and what is made at a time
CALL, SUSTAINED = 1000, 20  # events, and calls of them


@dataclass(frozen=True, kw_only=True)
class Asked(Paper):
    """Which experiments, and with how many events."""

    experiments: Annotated[
        list[str] | None,
        typer.Option("--experiment", help=f"Of {', '.join(EXPERIMENTS)}. Repeatable; else all."),
    ] = None
    all_values: Annotated[
        bool, typer.Option("--all-values", help="All values of α or β, not the best alone.")
    ] = False
    events: Annotated[int, typer.Option(min=1000, help="Of each dataset.")] = 300_000
    most: Annotated[
        int, typer.Option(min=1000, help="Events that are generated, and compared, at most.")
    ] = 300_000

    @property
    def chosen(self) -> dict[str, Experiment]:
        """The experiments that are asked for; `ConfigError` for one that there is not."""
        names = self.experiments or self.some(list(EXPERIMENTS))
        if unknown := [name for name in names if name not in EXPERIMENTS]:
            raise ConfigError(
                f"--experiment {unknown[0]}: there is none; choose of {', '.join(EXPERIMENTS)}"
            )
        return {name: EXPERIMENTS[name] for name in names}


def measure(options: Asked, results: Results) -> None:
    """Train, generate and compare with each seed, dataset by dataset."""
    experiments = options.chosen
    runs = {
        name: RunConfig.load(one.recipe, (*one.own, *options.assigned))
        for name, one in experiments.items()
    }
    references: dict[tuple[str, str], Reference] = {}
    for name, one in experiments.items():
        run = runs[name]
        key = run.dataset, one.subset
        if key not in references:
            dataset = options.prepared(run.dataset, options.events)
            references[key] = Reference(options, dataset, run, one.subset)
            references[key].measure(results)
        for seed in options.seeds:
            _measured(options, results, references[key], name, one, seed)
    whole = {reference.whole.manifest.name: reference.whole for reference in references.values()}
    most = options.few(options.most)
    truths = {name: dataset.load("test", most) for name, dataset in whole.items()}
    results.draw(pictures.spectra, truths, name="spectra")


class Reference:
    """The truth of a dataset's events that are selected, and what is known without training.

    They are without the objects that no feature of a recipe tells.
    """

    def __init__(self, options: Asked, dataset: Dataset, run: RunConfig, subset: str) -> None:
        self.whole, self.dataset = dataset, dataset.selecting(run.where)
        self.name = ", ".join(filter(None, (dataset.manifest.name, subset)))
        steps = (step for step in run.features.steps if isinstance(step, WithoutConfig))
        no_features = [group for step in steps for group in step.groups]
        most = options.few(options.most)
        self.truth, self.train = (
            typed_objects.truncated(self.dataset.load(split, most), 0, no_features)
            for split in ("test", "train")
        )
        self.criteria = Criteria(dataset.manifest.name)
        self._subset = subset

    def figures(self, made: Events) -> dict[str, float]:
        """Return all figures of generated events."""
        return dict(typed_objects.figures(self.truth, made, self.criteria))

    def measure(self, results: Results) -> None:
        """Add what needs no generator, and how the truth itself compares with the thesis's."""
        rng, order = (torch.Generator().manual_seed(1) for _ in range(2))
        n = len(self.truth)
        again = self.train[torch.randint(len(self.train), (n,), generator=rng)]
        permutation = partial(torch.randperm, generator=order)
        rivals = {
            "train split (floor)": self.train[:n],
            "train split, with replacement": again,
            "independent objects, true counts": independent(self.train[:n], permutation),
            "cut at four of a type": typed_objects.truncated(self.train[:n], 4),
        }
        invalid = self.criteria.invalid(self.truth)
        for name, events in rivals.items():
            results.add(self.labels(name, len(events)), self.figures(events) | NOT_PRINTED)
        counts = typed_objects.counts(self.truth)
        cut = counts.max(axis=1) > 4
        results.add(
            {"truth": self.name, "events": n},
            {f"invalid by {name} %": share for name, share in invalid.items()}
            | {"more than four of a type %": 100 * float(cut.mean())}
            | _subsets(self.whole.load("test", n)),
        )
        if not self._subset:
            printed = thesis_matrix(PRINTED_TRUTH[self.whole.manifest.name])
            results.add({"correlations of": self.name}, _readings(self.truth, printed))

    def labels(self, system: str, events: int) -> dict[str, Any]:
        """Return what a row of figures is of."""
        return {"events of": self.name, "system": system, "generated": events}


def _subsets(truth: Events) -> dict[str, float]:
    """Return the shares of events of at most four jets and two b-jets, percent.

    The thesis has 45.7 (42.72 of stop_02) and speaks of none of the other objects.
    """
    counts = typed_objects.counts(truth)
    few = (counts[:, 0] <= 4) & (counts[:, 1] <= 2)
    alone = few & (counts[:, 2:].sum(axis=1) == 0)
    return {
        "few jets %": 100 * float(few.mean()),
        "few jets alone %": 100 * float(alone.mean()),
    }


def _readings(truth: Events, printed: Array) -> dict[str, float]:
    """Return how far the truth's correlations are from the thesis's, by how they may be computed.

    That is the rms difference of the 55 numbers, of which the nearest tells the likeliest reading.
    """
    found: dict[str, float] = {}
    upper = np.triu_indices(len(COLUMNS), 1)
    for logarithmic in (False, True):
        for zeros in (False, True):
            for jets in (("jet",), ("jet", "b_jet")):
                matrix = typed_objects.correlations(
                    truth, logarithmic=logarithmic, zeros=zeros, jets=jets
                )
                words = ("log" if logarithmic else "linear", "zeros" if zeros else "pairs")
                off = np.square((matrix - printed)[upper])
                found[", ".join((*words, "+".join(jets)))] = float(np.sqrt(np.nanmean(off)))
    return found


def _measured(
    options: Asked,
    results: Results,
    reference: Reference,
    name: str,
    one: Experiment,
    seed: int,
) -> None:
    values = list(one.printed) if options.all_values and one.printed else [one.best]
    shown: dict[str, Events] = {}
    slug = name.replace(" ", "-")
    for value in values:
        label = f"{name}, {one.symbol} {value:g}" if one.varied else name
        checkpoint = trained(options, reference, one, seed, value)
        events = options.few(min(one.events, options.most))
        made = generated(checkpoint, events, seed)
        figures = reference.figures(made) | _milliseconds(checkpoint)
        printed = zip(PRINTED, one.printed.get(value, ()), strict=False)
        results.add(
            reference.labels(label, events), figures | NOT_PRINTED | dict(printed), seed=seed
        )
        shown[label] = made
        if one.shapes is JETS and value == one.best:
            noisy = with_noise(checkpoint, reference.dataset, events, seed)
            labels = reference.labels(f"{label}, with the decoder's noise", events)
            results.add(labels, reference.figures(noisy) | NOT_PRINTED, seed=seed)
        if one.independent and value == one.best:
            changed = {
                "E = pT cosh η": typed_objects.on_shell(made),
                "φ drawn evenly": typed_objects.turned(made, seed),
            }
            for change, others in changed.items():
                labels = reference.labels(f"{label}, {change}", events)
                results.add(labels, reference.figures(others) | NOT_PRINTED, seed=seed)
        if one.copies:
            results.add({"memorisation of": label}, _memorised(reference, made, seed), seed=seed)
        if value == one.best:
            shares = typed_objects.masks(reference.truth, made, len(reference.train))
            results.add({"masks of": label, "events of": reference.name}, shares, seed=seed)
            results.draw(pictures.masks, reference.truth, made, name=f"masks-{slug}")
            matrices = {
                "truth": typed_objects.correlations(reference.truth),
                label: typed_objects.correlations(made),
            }
            matrices |= {f"thesis, {key}": thesis_matrix(key) for key in MATRICES.get(name, ())}
            results.draw(pictures.heatmaps, matrices, name=f"correlations-{slug}")
    results.draw(pictures.shapes, reference.truth, shown, one.shapes, name=f"shapes-{slug}")


def trained(
    options: Asked, reference: Reference, one: Experiment, seed: int, value: float
) -> Checkpoint:
    """Train an experiment's recipe with a value of α or β."""
    own = (*one.own, *options.quick(*QUICK.get(one.recipe, ())), *one.settings(value))
    return options.trained(one.recipe, seed, *own, dataset=reference.whole)


def with_noise(checkpoint: Checkpoint, dataset: Dataset, events: int, seed: int) -> Events:
    """Return generated events to whose features the spread of reconstructions is added.

    A β-VAE emits the mean of its decoder's density; its own variance is that of the residuals.
    """
    model, feature_map = checkpoint.model, checkpoint.feature_map
    assert isinstance(model, Autoencoder)
    rng = torch.Generator().manual_seed(seed)
    batch = feature_map.encode(dataset.load("train", RESIDUALS), noise=Noise(checkpoint.device))
    noise = torch.randn(len(batch), model.latent_dim, generator=rng)
    code, _ = model.code(batch.x, batch.condition, noise)
    spread = (batch.x - model.decode(code, batch.condition)).std(dim=0)
    for part in feature_map.space.parts:
        for classes in feature_map.space.classes_of(part):
            spread[list(classes)] = 0.0
    made = []
    for given in checkpoint.given(events).split(RESIDUALS):
        x = model.sample(len(given), feature_map.condition(given), generator=rng)
        x = x + spread * torch.randn(x.shape, generator=rng)
        made.append(feature_map.decode(x, given))
    return Events.concatenate(made)


def _milliseconds(checkpoint: Checkpoint) -> dict[str, float]:
    """Return the time of an event in a call for 1000, and in one call after the other."""
    generated(checkpoint, CALL, 0)  # what is set up once
    seconds = []
    for call in range(SUSTAINED):
        start = time.perf_counter()
        generated(checkpoint, CALL, call)
        seconds.append(time.perf_counter() - start)
    return {
        "ms/event, 1000": 1000 * seconds[0] / CALL,
        "ms/event, sustained": 1000 * float(np.mean(seconds)) / CALL,
    }


def _memorised(reference: Reference, made: Events, seed: int) -> dict[str, object]:
    """Return how near generated events are to training events: value, floor and its spread."""
    samples = [
        from_events(events[:JUDGED_BY_NEIGHBOURS], reference.whole.manifest)
        for events in (reference.truth, made, reference.train)
    ]
    truth, copies, train = samples
    card = scorecard(truth, copies, training=train, seed=seed, metrics=("memorisation",))
    [figure] = card.figures["memorisation"].values()
    return {"distance to train events": estimate(figure)}


def thesis_matrix(name: str) -> Array:
    """Return a printed matrix of correlations (11, 11), of which the upper triangle is printed."""
    printed = read_toml(THESIS)[name]
    matrix = np.eye(len(COLUMNS))
    for row, values in enumerate(printed):
        matrix[row, row + 1 :] = matrix[row + 1 :, row] = values
    return matrix
