"""Recipes of Balanzá García have the values of the thesis, and train.

"Sec." are those of R. Balanzá García, master's thesis, Universitat Politècnica de València 2023.
What it leaves open, latent sizes and reductions among them, is told in
docs/physics/variable-multiplicity.md.
"""

import math
from collections.abc import Mapping

import pytest
import torch
from torch import nn

from benchmarks.common.typed_objects import truncated
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.config import look_up
from mleg_ray.definitions import passing
from mleg_ray.events import Events
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model
from mleg_ray.models.parts import Parts
from mleg_ray.objectives import Setting
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import resident
from mleg_ray.training.loop import TrainingLoop

SPEC = DatasetSpec.load("ttbar-13tev")
GROUPS = ("jet", "b_jet", "electron", "positron", "muon", "antimuon", "photon")
TYPED = ("event", *GROUPS)
FEW = {"jet": 4, "b_jet": 2}  # experiment III has no others
AT_MOST = {"avae-parts-ttbar-paper": dict.fromkeys(GROUPS, 4)} | dict.fromkeys(
    ("bvae-ttbar-paper", "bvae-stop-paper"), FEW
)
MEANS = {"learning_rate": 1e-3, "betas": (0.9, 0.999), "schedule": "constant", "plateau": None}
MEANS_OF_BOTH = {"kind": "beta-vae", "beta": 1.5, "reconstruction": "mean", "divergence": "mean"}
BRANCHED = {"kind": "branches", "activation": "relu"}
VALUES = {
    "avae-ttbar-paper": {  # sec. 7.3
        "model.alpha": 0.2,
        "model.latent_dim": 160,
        "model.reference_events": 100_000,
        "model.encoder.inputs": dict.fromkeys(("event", "types", "kinematics"), (512, 512)),
        "model.encoder.head": (512, 512),
        "model.encoder.normalised": 320,
        "model.decoder.head": (512, 512),
        "model.decoder.outputs": dict.fromkeys(("event", "types", "kinematics"), (512,)),
        "objective.kind": "alpha-vae",
        "objective.reconstruction": "mean",
        "training.batch_size": 1000,
        "training.steps": 50 * 180_000 // 1000,
        "training.optimisers.autoencoder": MEANS | {"kind": "adam"},
    },
    "avae-parts-ttbar-paper": {  # sec. 7.4
        "model.parts.event.beside": ("counts",),
        "model.parts.event.model.kind": "alpha-vae",
        "model.parts.event.model.encoder.inputs": dict.fromkeys(("event", "counts"), (512, 512)),
        "model.parts.event.model.decoder.outputs": {"event": (256,), "counts": (512,)},
        "training.batch_size": 1000,
        "training.steps": 50 * 180_000 // 1000,
    }
    | {f"model.parts.{part}.model.alpha": 0.3 for part in TYPED}
    | {f"model.parts.{part}.model.encoder.head": (512, 512) for part in TYPED}
    | {f"model.parts.{part}.model.encoder.normalised": 320 for part in TYPED}
    | {f"model.parts.{part}.model.latent_dim": 160 for part in TYPED}
    | {f"model.parts.{part}.model.decoder.head": (512, 512) for part in TYPED}
    | {f"model.parts.{group}.model.kind": "joint-alpha-vae" for group in GROUPS}
    | {f"model.parts.{group}.given": ("event", "place") for group in GROUPS}
    | {
        f"model.parts.{group}.model.encoder.inputs": dict.fromkeys(
            ("event", "place", group), (512, 512)
        )
        for group in GROUPS
    }
    | {
        f"model.parts.{group}.model.decoder.outputs": {
            "event": (256,),
            "place": (512,),
            group: (512,),
        }
        for group in GROUPS
    }
    | {f"objective.parts.{part}.reconstruction": "mean" for part in TYPED}
    | {f"training.optimisers.{part}-autoencoder": MEANS | {"kind": "adam"} for part in TYPED},
    "bvae-parts-ttbar-paper": {  # sec. 7.5
        "model.parts.event.model.latent_dim": 32,
        "model.parts.event.model.encoder.widths": (128, 128, 64, 64, 32),
        "model.parts.event.model.decoder.widths": (64, 64, 64),
        "training.batch_size": 100,
        "training.steps": 100 * 180_000 // 100,
    }
    | {f"model.parts.{group}.model.latent_dim": 64 for group in GROUPS}
    | {f"model.parts.{g}.model.encoder.widths": (256, 256, 128, 128, 64) for g in GROUPS}
    | {f"model.parts.{group}.model.decoder.widths": (128, 128, 128) for group in GROUPS}
    | {f"model.parts.{group}.given": () for group in (*GROUPS, "event")}
    | {
        f"model.parts.{part}.model.{side}.activation": "relu"
        for part in (*GROUPS, "event")
        for side in ("encoder", "decoder")
    }
    | {f"objective.parts.{p}.{k}": v for p in (*GROUPS, "event") for k, v in MEANS_OF_BOTH.items()}
    | {
        f"training.optimisers.{part}-autoencoder": MEANS | {"kind": "adam"}
        for part in (*GROUPS, "event")
    },
    "bvae-ttbar-paper": {  # sec. 7.6
        "model.latent_dim": 128,
        "model.encoder.head": (512, 512, 256, 256, 128),
        "model.encoder.inputs": {
            "event": (128, 64),
            **{f"jet{k}": (256, 128) for k in range(1, 5)},
            **{f"b_jet{k}": (256, 128) for k in (1, 2)},
        },
        "model.decoder.head": (256, 256, 512, 512),
        "model.decoder.outputs": dict.fromkeys(
            ("event", *(f"jet{k}" for k in range(1, 5)), "b_jet1", "b_jet2", "mask"), (64,)
        ),
        "training.batch_size": 100,
        "training.steps": 100 * 75_000 // 100,
        "training.optimisers.autoencoder.learning_rate": 1e-4,
        "training.optimisers.autoencoder.plateau": {"every": 750, "factor": 0.1, "patience": 3},
    }
    | {f"objective.{key}": value for key, value in MEANS_OF_BOTH.items()}
    | {f"model.{side}.{k}": v for side in ("encoder", "decoder") for k, v in BRANCHED.items()},
}
VALUES["avae-ttbar-paper"] |= {
    f"model.{side}.{k}": v for side in ("encoder", "decoder") for k, v in BRANCHED.items()
}
VALUES["bvae-parts-stop-paper"] = VALUES["bvae-parts-ttbar-paper"] | {"dataset": "stop-300-100"}
VALUES["bvae-stop-paper"] = VALUES["bvae-ttbar-paper"] | {  # of which fewer are selected
    "dataset": "stop-300-100",
    "training.steps": 100 * 64_000 // 100,
    "training.optimisers.autoencoder.plateau": {"every": 640, "factor": 0.1, "patience": 3},
}
OURS = ("bvae-parts-ttbar", "cvae-ttbar", "wae-ttbar")


def drawn(n: int, seed: int, at_most: Mapping[str, int] | None = None) -> Events:
    """Draw events of random objects, each type's by falling pt; so many of it if asked."""
    rng = torch.Generator().manual_seed(seed)
    columns: dict[str, torch.Tensor] = {}
    present = {}
    for group, most in SPEC.schema_.objects.items():
        most_drawn = most if at_most is None else min(most, at_most.get(group, 0))
        number = torch.randint(0, most_drawn + 1, (n, 1), generator=rng)
        there = torch.arange(most) < number
        u = torch.rand(3, n, most, generator=rng, dtype=torch.float64)
        pt = (25 - 30 * u[0].sort(dim=1).values.log()).float().double()
        eta, phi = 5 * u[1] - 2.5, math.pi * (2 * u[2] - 1)
        made = {"pt": pt, "eta": eta, "phi": phi, "energy": pt * eta.cosh() + 1}
        columns |= {f"{group}.{k}": torch.where(there, v, 0) for k, v in made.items()}
        present[group] = there
    columns["met.pt"] = -40 * torch.rand(n, generator=rng, dtype=torch.float64).log() + 1
    columns["met.phi"] = math.pi * (2 * torch.rand(n, generator=rng, dtype=torch.float64) - 1)
    return Events(columns, present, torch.ones(n).double())


def mapped(recipe: str, n: int = 400) -> tuple[RunConfig, FeatureMap, Events]:
    keeping = [f"parts.{part}.model." for part in TYPED] if "parts" in recipe else [""]
    few = [f"model.{of}reference_events=50" for of in keeping if recipe.startswith("avae")]
    run = RunConfig.load(recipe, ("training.steps=1", "training.batch_size=32", *few))
    events = drawn(n, 1, AT_MOST.get(recipe))
    events = events[sum(there.sum(dim=1) for there in events.present.values()) <= 20]
    return run, run.features.build(SPEC.schema_, {}).fit([events]), events


@pytest.mark.parametrize("recipe", VALUES)
def test_values(recipe: str) -> None:
    run = RunConfig.load(recipe).model_dump()
    for key, value in (VALUES[recipe] | {"training.ema_decay": 0.0}).items():
        assert look_up(run, key) == value, key


def sizes(model: nn.Module) -> list[tuple[int, int]]:
    return [tuple(m.weight.shape[::-1]) for m in model.modules() if isinstance(m, nn.Linear)]


def test_layers_of_experiment_three() -> None:
    """The missing momentum's 64, six jets' 128 each and six bits meet in the trunk."""
    run, feature_map, _ = mapped("bvae-ttbar-paper")
    model = run.build_model(feature_map)
    assert isinstance(model, Model)
    encoder = sizes(model.autoencoder["encoder"])
    assert encoder.count((4, 256)) == encoder.count((256, 128)) - 1 == 6
    assert (64 + 6 * 128 + 6, 512) in encoder
    assert encoder[-1] == (128, 2 * 128)
    decoder = sizes(model.autoencoder["decoder"])
    assert decoder[0] == (128, 256)
    assert decoder.count((64, 4)) == 6
    assert decoder.count((64, 6)) == decoder.count((64, 2)) == 1


def test_layers_of_experiment_zero() -> None:
    """Twenty slots of eight types and four numbers; 320 normalised numbers, and a code of 160."""
    run, feature_map, _ = mapped("avae-ttbar-paper")
    assert {n: p.width for n, p in feature_map.space.parts.items()} == {
        "types": 160,
        "kinematics": 80,
        "event": 2,
    }
    encoder = sizes(run.build_model(feature_map).autoencoder["encoder"])
    assert encoder[-3:] == [(512, 512), (512, 320), (320, 160)]
    assert (3 * 512, 512) in encoder


def test_layers_of_experiment_one() -> None:
    """Missing momentum, four bits and four numbers; 320 normalised numbers, and a code of 160."""
    run, feature_map, _ = mapped("avae-parts-ttbar-paper")
    model = run.build_model(feature_map)
    assert isinstance(model, Parts)
    photon = model.model_of("photon").autoencoder
    encoder, decoder = sizes(photon["encoder"]), sizes(photon["decoder"])
    assert [n for n, wide in encoder if wide == 512] == [2, 512, 4, 512, 4, 512, 3 * 512, 512]
    assert encoder[-2:] == [(512, 320), (320, 160)]
    assert decoder[:2] == [(160, 512), (512, 512)]
    assert sorted(decoder[2:]) == [(256, 2), (512, 4), (512, 4), (512, 256), *[(512, 512)] * 2]
    event = model.model_of("event").autoencoder
    assert [n for n, wide in sizes(event["encoder"]) if wide == 512] == [2, 512, 28, 512, 1024, 512]
    assert sorted(sizes(event["decoder"])[2:]) == [(256, 2), (512, 28), (512, 256), (512, 512)]


def test_experiment_one_cuts_at_four_of_a_type_and_counts_such_events() -> None:
    """Bits above 0.1 count: 1, 0.2, 0.11 and 0.09 are three."""
    run = RunConfig.load("avae-parts-ttbar-paper")
    events = drawn(400, 1)
    feature_map = run.features.model_copy(update={"most_outside": 1.0})
    feature_map = feature_map.build(SPEC.schema_, {}).fit([events])
    counts = torch.tensor(_counts(events))
    share = (counts > 4).any(dim=1).double().mean()
    assert feature_map.outside_fraction == pytest.approx(share.item())
    batch = feature_map.encode(events, noise=Noise(torch.device("cpu")))
    back = feature_map.decode(batch.x, events)
    assert torch.equal(torch.tensor(_counts(back)), counts.clamp(max=4))
    kept = truncated(events, 4)
    for name, column in kept.columns.items():
        torch.testing.assert_close(back.columns[name], column, rtol=1e-3, atol=1e-4)
    places = feature_map.space.positions
    for k, bit in enumerate((1.0, 0.2, 0.11, 0.09), start=1):
        batch.x[:, places[f"jet.at_least_{k}_count"]] = bit
    assert set(feature_map.decode(batch.x, events).counts["jet.count"].tolist()) == {3}


def test_what_is_selected() -> None:
    where = RunConfig.load("bvae-ttbar-paper").where
    others = drawn(300, 1, {"jet": 6, "b_jet": 4, "muon": 1})
    both = Events.concatenate([others, drawn(300, 2, FEW)])
    found = passing(where, SPEC.definitions.joined(both))
    counts = torch.stack([both.present[group].sum(dim=1) for group in GROUPS], dim=1)
    few = (counts[:, 0] <= 4) & (counts[:, 1] <= 2) & (counts[:, 2:].sum(dim=1) == 0)
    assert torch.equal(found, few)
    assert found[300:].all()
    assert 0 < found[:300].sum() < 300


@pytest.mark.parametrize("recipe", VALUES)
def test_features_are_logarithms_of_energies_and_transverse_momenta(recipe: str) -> None:
    """Sec. 7.2: those are nearly normal then; η and φ stay as they are."""
    _, feature_map, _ = mapped(recipe)
    parts = feature_map.space.parts.values()
    fields = {name.rpartition(".")[2] for part in parts for name in part.names}
    assert {name for name in fields if not name.startswith(("is_", "at_least_"))} == {
        "log_energy", "log_pt", "eta", "phi"
    }  # fmt: skip


@pytest.mark.parametrize("recipe", [*VALUES, *OURS])
def test_features_give_the_events_back(recipe: str) -> None:
    _, feature_map, events = mapped(recipe)
    batch = feature_map.encode(events, noise=Noise(torch.device("cpu")))
    back = feature_map.decode(batch.x, events)
    for group, there in events.present.items():
        assert torch.equal(back.present[group], there), group
    for name, column in events.columns.items():
        torch.testing.assert_close(back.columns[name], column, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("recipe", [*VALUES, *OURS])
def test_it_trains_and_makes_events(recipe: str) -> None:
    run, feature_map, events = mapped(recipe)
    batch = feature_map.encode(events, noise=Noise(torch.device("cpu")))
    model = run.build_model(feature_map)
    model.remember(batch.x, batch.condition, feature_map.present(batch.x))
    before = {name: value.clone() for name, value in model.named_parameters()}
    objective = run.objective.bind(Setting(SPEC.schema_, feature_map, {}, 1))
    loop = TrainingLoop(model, feature_map, objective, run.training, torch.device("cpu"))
    [progress] = loop.run(resident(batch, 32, 1), 1)
    assert progress.finite
    same = [name for name, value in model.named_parameters() if value.equal(before[name])]
    assert same == []
    made = loop.observed(events, generator=torch.Generator().manual_seed(1))
    assert len(made) == len(events)
    if recipe.startswith("bvae-parts"):  # counts are those of some train event
        known = {tuple(row) for row in _counts(events)}
        assert {tuple(row) for row in _counts(made)} <= known


def _counts(events: Events) -> list[list[int]]:
    counts = torch.stack([events.present[group].sum(dim=1) for group in GROUPS], dim=1)
    return counts.tolist()
