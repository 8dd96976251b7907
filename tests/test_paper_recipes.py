"""Recipes `*-paper` have the values of Alanazi's dissertation, and train.

"Sec." and "eq." are those of Y. Alanazi, Machine Learning-Based Event Generator, Old Dominion
University 2022. What it leaves open, "the code", is that of the repositories it names.
"""

import math

import pytest
import torch

from mleg_ray.catalog.codec import to_events
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.config import look_up, named_folders
from mleg_ray.events import Events, EventSchema
from mleg_ray.objectives import Setting
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import resident
from mleg_ray.training.loop import TrainingLoop
from tests.dis_events import HERA, HERA_SCHEMA, SCHEMA, electrons, hera_electrons
from tests.recipes import TEACHERS, features_of

OTHERS = ("ttbar", "stop")  # those of another thesis, in test_balanza_recipes.py
PAPERS = sorted(
    path.stem
    for path in named_folders("tuning")[0].glob("*-paper.toml")
    if not set(OTHERS) & set(path.stem.split("-"))
)
FIVE, EIGHT = (512,) * 5, (512,) * 8
# Sec. 7.4, and the code.
ADAM = {
    "kind": "adam",
    "learning_rate": 1e-4,
    "betas": (0.5, 0.9),
    "schedule": "constant",
    "plateau": None,
}
COMMON = {
    "model.noise_dim": 100,  # standard normal, sec. 4.3, 5.3, 6.5 and 7.4
    "model.generator.widths": FIVE,
    "model.generator.activation": "leaky-relu",
    "model.generator.negative_slope": 0.2,  # the code
    "model.generator.dropout": 0.0,
    "model.critic.widths": FIVE,
    "model.critic.activation": "leaky-relu",
    "model.critic.negative_slope": 0.2,
    "model.critic.dropout": 0.1,  # on each hidden layer
    "model.conditional_critic": True,
    "training.optimisers.generator": ADAM,
    "training.optimisers.critic": ADAM,
    "training.ema_decay": 0.0,
}
WGAN_GP = {  # eq. 13, 18 and 19; λ and the five critic updates are the code's
    "objective.kind": "wgan-gp",
    "objective.gradient_penalty": 10.0,
    "objective.one_sided": False,
    "objective.critic_updates": 5,
}
FATGAN = WGAN_GP | {
    "objective.mmd_weight": 1.0,  # η of eq. 14, which is not said
    "objective.mmd_bandwidths": (math.sqrt(0.5),),  # exp(-d²) = exp(-d²/2σ²), the code
    "training.batch_size": 16_000,  # the code
    "training.steps": 200_000,
}
LSGAN = {"a": -1.0, "b": 1.0, "c": 0.0}  # sec. 7.4: b - a = 2, b - c = 1
LIGHTCONE = {  # sec. 7.4
    "model.even_angles": True,
    "features.view": ("electron.nu1", "electron.nu2"),
    "training.steps": 100_000,
    "training.batch_size": 24_000,
}
LEAST_SQUARES = {f"objective.{key}": value for key, value in LSGAN.items()} | {
    "objective.kind": "lsgan",
    "objective.mmd_weight": 0.0,
    "objective.critic_updates": 5,
}
TOY = {  # sec. 6.3 to 6.5
    "features.steps": (),
    "features.view": ("*",),
    "training.steps": 100_000,
    "training.batch_size": 12_000,
}
VALUES = {
    "fatgan-paper": FATGAN,
    "fatgan-spherical-paper": FATGAN,
    "dsgan-paper": FATGAN,
    "cfatgan-paper": WGAN_GP
    | {
        "model.generator.widths": EIGHT,
        "model.critic.widths": EIGHT,
        "features.conditions": (),  # the energy itself, which is then standardised, sec. 5.4.1
        "objective.mmd_weight": 0.0,  # eq. 18
        "training.batch_size": 8_000,  # the code
        "training.steps": 1_200_000,
    },
    "fold-toy-paper": TOY
    | {
        "objective.kind": "vanilla-gan",  # eq. 22 and 23
        "objective.mmd_weight": 0.0,
        "objective.critic_updates": 5,
    },
    "fold-toy-direct-paper": TOY
    | LEAST_SQUARES  # "based on LSGAN", sec. 6.4
    | {"model.noise_dim": 0, "model.conditional_critic": False},
    "mleg-lightcone-paper": LIGHTCONE | LEAST_SQUARES,
    "response-paper": LIGHTCONE | LEAST_SQUARES | {"training.batch_size": 48_000},
    "unfold-paper": LIGHTCONE
    | {"teacher": "response-paper", "objective.kind": "unfolding"}
    | {f"objective.adversary.{key}": value for key, value in LSGAN.items()}
    | {"objective.adversary.kind": "lsgan", "objective.adversary.critic_updates": 5},
}
CARTESIAN = ("*", "kinematics.transverse_momentum(electron)", "electron.energy", "electron.pz")


@pytest.mark.parametrize("recipe", PAPERS)
def test_values(recipe: str) -> None:
    run = RunConfig.load(recipe).model_dump()
    for key, value in (COMMON | VALUES[recipe]).items():
        assert look_up(run, key) == value, key


def test_views_of_the_critics() -> None:
    """Table 4 and sec. 4.4; the products of pairs of momenta are those of the code."""
    fatgan, cfatgan = (RunConfig.load(f"{name}-paper").features for name in ("fatgan", "cfatgan"))
    assert fatgan.view == (*CARTESIAN, "kinematics.cot_theta(electron)")
    pairs = ("electron.px, electron.py", "electron.px, electron.pz", "electron.py, electron.pz")
    assert cfatgan.view == (*fatgan.view, *(f"kinematics.product({pair})" for pair in pairs))
    assert fatgan.steps == cfatgan.steps
    assert [step.kind for step in fatgan.steps] == ["mass-shell", "gap"]
    assert RunConfig.load("dsgan-paper").features.view == ("*",)


def test_an_epoch_is_a_step() -> None:
    """The five critic updates of a step see as many events as the train split has.

    Of those of a spectrometer, as many as it would have if it lost none.
    """
    for recipe in ("fold-toy-paper", "mleg-lightcone-paper", "response-paper", "unfold-paper"):
        run = RunConfig.load(recipe)
        spec = DatasetSpec.load(run.dataset)
        events = spec.source.planned_events()
        assert events is not None
        assert 5 * run.training.batch_size == spec.splits.train * events


def drawn(name: str) -> tuple[EventSchema, dict[str, float], Events]:
    """Return schema, fixed conditions and 500 events of a catalog's entry that is drawn."""
    spec = DatasetSpec.load(name, ("source.of.events=500", "shard_events=500"))
    columns = spec.source.open(spec.schema_, spec.conditions, spec.shard_events).shard(0)
    return spec.schema_, spec.conditions, to_events(columns, spec.schema_, spec.conditions)


def events_for(recipe: str) -> tuple[EventSchema, dict[str, float], Events]:
    """Return what a recipe can be trained on without a generator of physics."""
    if recipe.startswith("fold-toy"):
        return drawn("folding-toy-normal-2d")
    if recipe == "response-paper":
        return drawn("folding-hera-flat")
    if recipe in ("mleg-lightcone-paper", "unfold-paper"):
        beams = {f"{name}_beam": energy for name, energy in HERA.items()}
        return HERA_SCHEMA, beams, hera_electrons(500, 1, y_min=0.05)
    if recipe == "cfatgan-paper":
        return SCHEMA, {}, electrons(500, 1, (10.0, 30.0, 50.0))
    return SCHEMA, {"beam_energy": 50.0}, electrons(500, 1)


@pytest.mark.parametrize("steps", [1, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("recipe", PAPERS)
def test_it_trains(recipe: str, steps: int) -> None:
    """Networks of the paper's size, and batches of 32, for time."""
    run = RunConfig.load(recipe, (f"training.steps={steps}", "training.batch_size=32"))
    schema, fixed, events = events_for(recipe)
    feature_map = run.features.build(schema, fixed).fit([events])
    features = features_of(feature_map, events)
    model = run.build_model(feature_map)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    setting = Setting(schema, feature_map, {}, 1, TEACHERS.get(run.objective.kind))
    loop = TrainingLoop(
        model, feature_map, run.objective.bind(setting), run.training, torch.device("cpu")
    )
    [progress] = loop.run(resident(features, 32, 1), steps)
    assert progress.finite
    moved = [name for name, value in model.state_dict().items() if not value.equal(before[name])]
    # A Wasserstein critic's last bias cancels in its loss.
    assert len(before) - len(moved) <= 1
