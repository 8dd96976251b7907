"""A detector that is learned, and one that is undone: small trainings of one number that close.

The detector shifts, and smears by as much as the spectra are wide, more where numbers are larger:
measured events that nobody unfolds are unlike the true ones, and who learned no more than a
spectrum folds another one wrongly.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from mleg_ray.events import Events, EventSchema, Field, Group
from mleg_ray.models.base import generate
from mleg_ray.objectives import Setting, Teacher
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from mleg_ray.space import Space
from mleg_ray.training.batches import resident
from mleg_ray.training.loop import TrainingLoop

TRUE, MEASURED = "vertex.x", "particle.x"
GROUPS = {"particle": Group(), "vertex": Group(truth_of="particle")}
PAIRS = EventSchema([Field(name=MEASURED), Field(name=TRUE, role="condition")], GROUPS)
ALONE = EventSchema([Field(name=MEASURED)], {"particle": Group()})


def width(true: torch.Tensor) -> torch.Tensor:
    """The detector's resolution, worse for larger numbers: 0.2 at -2, and 1 at 2."""
    return 0.6 + 0.2 * true.clamp(-2, 2)


class Detector:
    """x + 1/2 + σ(x) z: a teacher that is exact."""

    schema = PAIRS
    noise_space = Space.numbers(1)

    def decode(self, noise: torch.Tensor, given: Events) -> Events:
        """Return the measured events; see `Teacher`."""
        true = given.columns[TRUE]
        return given.replacing((), {MEASURED: true + 0.5 + width(true) * noise[:, 0]})


def drawn(spectrum: str, n: int, seed: int) -> torch.Tensor:
    """Draw true numbers of a flat, a normal or a falling spectrum, which begins at -1.5."""
    rng = np.random.default_rng(seed)
    made = {
        "flat": lambda: rng.uniform(-2.5, 2.5, n),
        "normal": lambda: rng.normal(0, 0.8, n),
        "falling": lambda: rng.exponential(0.8, n) - 1.5,
    }
    return torch.from_numpy(made[spectrum]())


def pairs(spectrum: str, n: int, seed: int) -> Events:
    given = Events({TRUE: drawn(spectrum, n, seed)}, {}, torch.ones(n).double())
    noise = Detector.noise_space.draw(n, torch.Generator().manual_seed(seed)).double()
    return Detector().decode(noise, given)


def trained(
    run: RunConfig, schema: EventSchema, events: Events, teacher: Teacher | None = None
) -> TrainingLoop:
    feature_map = run.features.build(schema, {}).fit([events])
    objective = run.objective.bind(Setting(schema, feature_map, {}, 1, teacher))
    model = run.build_model(feature_map)
    loop = TrainingLoop(model, feature_map, objective, run.training, torch.device("cpu"))
    batch = feature_map.encode(events, noise=Noise(torch.device("cpu")))
    minibatches = resident(batch, run.training.batch_size, run.training.seed)
    *_, progress = loop.run(minibatches, run.training.steps)
    assert progress.finite
    return loop


def made(loop: TrainingLoop, given: Events) -> Events:
    return generate(loop.ema, loop.feature_map, given, generator=torch.Generator().manual_seed(7))


def small(recipe: str, *settings: str) -> RunConfig:
    networks = ("model.generator.widths=[32, 32]", "model.critic.widths=[32, 32]")
    return RunConfig.load(recipe, (*networks, *settings))


@pytest.fixture(scope="module")
def response() -> TrainingLoop:
    """A conditional folding GAN, trained on pairs of a flat spectrum."""
    run = small(
        "fold-toy",
        "training.steps=1500",
        "training.batch_size=512",
        "training.ema_decay=0.99",
    )
    return trained(run, PAIRS, pairs("flat", 20_000, 1))


@pytest.mark.slow
@pytest.mark.parametrize("spectrum", ["normal", "falling"])
def test_a_learned_detector_folds_other_spectra(response: TrainingLoop, spectrum: str) -> None:
    """Judged by pairs: shift and spread of the error here and there, and the correlation."""
    exact = pairs(spectrum, 20_000, 2)
    folded = made(response, exact.choose([TRUE]))
    true = exact.columns[TRUE]
    for low, high in ((-2, -0.5), (-0.5, 0.5), (0.5, 2)):
        here = (true > low) & (true < high)
        ours, theirs = ((e.columns[MEASURED] - true)[here] for e in (folded, exact))
        assert ours.mean().item() == pytest.approx(theirs.mean().item(), abs=0.1)
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.15)
    ours, theirs = (np.corrcoef(e.columns[MEASURED], true)[0, 1] for e in (folded, exact))
    assert ours == pytest.approx(theirs, abs=0.03)


def ks(values: torch.Tensor, others: torch.Tensor) -> float:
    return float(stats.ks_2samp(values.numpy(), others.numpy()).statistic)


@pytest.mark.parametrize("spectrum", ["normal", "falling"])
def test_a_detector_is_undone(spectrum: str) -> None:
    """Generated events are like the true ones; measured ones, with nothing unfolded, are not."""
    data = pairs(spectrum, 20_000, 3).choose([MEASURED])
    adversary = "{ kind='lsgan', critic_updates=1, mmd_weight=20.0, mmd_bandwidths=[0.5, 2.0] }"
    run = small(
        "unfold-dis",
        f"objective.adversary={adversary}",
        "features.steps=[]",
        "features.conditions=[]",
        "model.noise_dim=2",
        "training.optimisers.generator.learning_rate=5e-3",
        "training.steps=300",
        "training.batch_size=256",
        "training.ema_decay=0.98",
    )
    loop = trained(run, ALONE, data, Detector())
    given = Events({}, {}, torch.ones(20_000).double())
    unfolded, measured = made(loop, given).columns[MEASURED], data.columns[MEASURED]
    true = drawn(spectrum, 20_000, 4)
    nothing = ks(measured, true)
    assert nothing > 0.2
    assert ks(unfolded, true) < nothing / 3
    assert measured.std() / true.std() > 1.12
    assert unfolded.std() / true.std() == pytest.approx(1, abs=0.08)
    again = loop.observed(given, generator=torch.Generator().manual_seed(8)).columns[MEASURED]
    assert ks(again, measured) < 0.03
