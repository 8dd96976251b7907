"""Recipes `*-paper` have the values of their papers, and train.

"Sec." and "eq." are those of Y. Alanazi, Machine Learning-Based Event Generator, Old Dominion
University 2022. What it leaves open, "the code", is that of the repositories it names. Those of
muon pairs are of B. Hashemi et al., arXiv:1901.05282, and of its authors' code.
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

# Those of other theses, in tests of their own: of balanza, shower and albergo recipes.
OTHERS = ("ttbar", "stop", "showers", "toys", "smearing")
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
ADADELTA = {  # sec. 5; the constants are what Keras had by default
    "kind": "adadelta",
    "learning_rate": 1.0,
    "schedule": "constant",
    "plateau": None,
    "rho": 0.95,
    "epsilon": 1e-7,
}
VANILLA = {  # one move of each player; the critic's of 256 true and 256 generated events
    "kind": "vanilla-gan",
    "critic_updates": 1,
    "critic_share": 0.5,
    "mmd_weight": 0.0,
    "mmd_bandwidths": (1.0,),
}
HASHEMI = {
    "features.standardise": False,
    "model.noise_dim": 17,
    "model.even_angles": True,
    "model.generator.widths": (64, 128, 256, 512, 256, 128),
    "model.critic.widths": (128, 128, 256, 256, 128, 64, 32, 16, 8),
    "model.generator.initial": "glorot",  # as Keras does it
    "model.critic.initial": "glorot",
    "model.critic.dropout": 0.0,
    "training.optimisers.generator": ADADELTA,
    "training.optimisers.critic": ADADELTA,
    "training.steps": 100_000,
    "training.batch_size": 512,
    "selection.every": 100,
    "selection.keep": 20,
}
REDUCED = HASHEMI | {"model.noise_dim": 7, "training.steps": 40_000}
PLAIN = {f"objective.{key}": value for key, value in VANILLA.items()}
MASS = "photoproduction.pair_mass(mu1, mu2)"
TERMS = {
    "features.measured": (MASS,),
    "objective.kind": "regression",
    "objective.to": VANILLA,
    "objective.terms": (
        {
            "column": MASS,
            "weight": pytest.approx(
                1e-4 * 7.7**2
            ),  # c of the standardised mass: that of GeV⁻² times σ², GeV²
            "match": ("mean", "width"),
            "to": "train-split",
        },
    ),
}
VALUES = {
    "zmumu-gan-paper": HASHEMI | PLAIN,
    "zmumu-gan-terms-paper": HASHEMI | TERMS,
    "dimuon-gan-paper": REDUCED | PLAIN,
    "dimuon-gan-terms-paper": REDUCED | TERMS,
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


def test_what_is_made_at_the_vertex_and_by_the_response() -> None:
    """Sec. 7.4: ν1 and ν2, eq. 24, of HERA's beam; the response sees those at the vertex."""
    made, response = (RunConfig.load(f"{n}-paper").features for n in ("mleg-lightcone", "response"))
    [step], [seen] = made.steps, response.conditions
    assert response.steps == RunConfig.load("unfold-paper").features.steps == made.steps
    for of, group in ((step, "electron"), (seen, "vertex")):
        assert (of.kind, of.electron_beam, of.group) == ("dis-lightcone", "electron_beam", group)


def test_numbers_of_muon_pairs() -> None:
    """Sec. 3: seven of both muons, of which the softer one has no py, and ten more.

    Which muon is turned, and that the missing momentum is not, is the code's; sec. 5 has the three
    whose distances choose.
    """
    full, reduced = (RunConfig.load(f"{name}-gan-paper") for name in ("zmumu", "dimuon"))
    muons = (
        *("mu1.energy", "mu1.turned_px", "mu1.turned_py", "mu1.pz"),
        *("mu2.energy", "mu2.pt", "mu2.pz"),
    )
    others = ("blurred_n_vtx", "mu1.isolation", "mu2.isolation", "met.px", "met.py")
    assert reduced.features.view == muons
    assert full.features.view == (*muons, *others, *(f"jet.pt_{k}" for k in range(1, 6)))
    turn, blur, slots = (step.model_dump() for step in full.features.steps)
    assert turn == {"kind": "rotation", "along": "mu2", "groups": ("mu1",), "angle": "feature"}
    assert blur == {"kind": "gaussian-dequantise", "fields": ("n_vtx",), "sigma": 0.5}
    assert slots == {"kind": "slots", "group": "jet", "above": 0.0}
    assert [step.model_dump() for step in reduced.features.steps] == [turn]
    assert full.selection.observables == ("m_ll", "met_phi", "mu1.isolation")
    assert reduced.selection.observables[0] == "m_ll"
    assert len(reduced.selection.observables) == 1 + 7  # as the caption of fig. 4 has it


def test_networks_of_muon_pairs_have_the_papers_size() -> None:
    """340,497 and 161,537 weights of 17 features, 338,567 and 160,257 of 7, by hand.

    Of a layer from n to m there are m (n + 1): 64 x 18 + 128 x 65 + 256 x 129 + 512 x 257 +
    256 x 513 + 128 x 257 + 17 x 129, and 128 x 18 + 128 x 129 + 256 x 129 + 256 x 257 + 128 x 257 +
    64 x 129 + 32 x 65 + 16 x 33 + 8 x 17 + 9.
    """
    expected = {"zmumu-gan": (340_497, 161_537), "dimuon-gan": (338_567, 160_257)}
    for name, sizes in expected.items():
        for recipe in (f"{name}-paper", f"{name}-terms-paper"):
            schema, fixed, _ = events_for(recipe)
            run = RunConfig.load(recipe)
            players = run.build_model(run.features.build(schema, fixed)).players()
            found = [sum(p.numel() for p in player.parameters()) for player in players.values()]
            assert tuple(found) == sizes, recipe


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


def muon_pairs(recipe: str) -> tuple[EventSchema, dict[str, float], Events]:
    """Return 500 muon pairs of some GeV, with what the recipe's dataset has beside them."""
    spec = DatasetSpec.load(RunConfig.load(recipe).dataset)
    rng = torch.Generator().manual_seed(1)
    schema = spec.schema_.without(spec.schema_.labels)
    columns = {
        name: 10 * torch.randn(500, *schema.shapes[name], generator=rng).double()
        for name in schema.event
    }
    for muon in ("mu1", "mu2"):
        momentum = [columns[f"{muon}.{part}"] for part in ("px", "py", "pz")]
        columns[f"{muon}.energy"] = torch.stack(momentum).norm(dim=0)
    present = {}
    if "jet.pt" in columns:
        present["jet"] = torch.arange(5) < torch.randint(0, 6, (500, 1), generator=rng)
        pt = 10 + columns["jet.pt"].abs().sort(dim=1, descending=True).values
        columns["jet.pt"] = torch.where(present["jet"], pt, 0)
        columns["n_vtx"] = columns["n_vtx"].abs().round()
    return schema, {}, Events(columns, present, torch.ones(500).double())


def events_for(recipe: str) -> tuple[EventSchema, dict[str, float], Events]:
    """Return what a recipe can be trained on without a generator of physics."""
    if recipe.startswith("fold-toy"):
        return drawn("folding-toy-normal-2d")
    if recipe == "response-paper":
        return drawn("folding-hera-flat")
    if recipe in ("mleg-lightcone-paper", "unfold-paper"):
        beams = {f"{name}_beam": energy for name, energy in HERA.items()}
        return HERA_SCHEMA, beams, hera_electrons(500, 1, y_min=0.05)
    if "mu-gan" in recipe or recipe.startswith("dimuon"):
        return muon_pairs(recipe)
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
