"""Features of any dataset: round trips, Jacobians, what the critic sees, bad configurations."""

import pytest
import torch
from torch.func import jacrev, vmap

from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import Batch, EventSchema, Field
from mleg_ray.features.standard import StandardMap, StandardMapConfig

SCHEMA = EventSchema(
    [
        Field(name="px", unit="GeV"),
        Field(name="py", unit="GeV"),
        Field(name="vertex_px", unit="GeV", role="condition"),
    ]
)
EVERYTHING = StandardMapConfig(
    logarithms=("px", "vertex_px"),
    differences={"px": "vertex_px"},
    augmented=("kinematics.transverse_momentum(px, py)",),
)


def events(n: int = 500) -> Batch:
    rng = torch.Generator().manual_seed(1)
    z = torch.randn(n, 3, generator=rng, dtype=torch.float64)
    vertex = z[:, 2:].exp()
    x = torch.cat([vertex * (0.1 * z[:, :1]).exp(), z[:, 1:2]], dim=1)
    return Batch(x, vertex, torch.ones(n).double())


def fitted(config: StandardMapConfig) -> StandardMap:
    return config.build(SCHEMA, {}).fit([events()])


@pytest.mark.parametrize("config", [StandardMapConfig(), EVERYTHING])
def test_round_trip_and_jacobian(config: StandardMapConfig) -> None:
    feature_map, batch = fitted(config), events(50)
    features = feature_map(batch.x, batch.context)
    torch.testing.assert_close(feature_map.inverse(features, batch.context), batch.x)
    jacobian = vmap(jacrev(lambda x, c: feature_map(x[None], c[None])[0]))(batch.x, batch.context)
    torch.testing.assert_close(
        jacobian.det().abs().log(), feature_map.log_abs_det_jacobian(batch.x, batch.context)
    )


def test_difference_of_logarithms_is_a_ratio() -> None:
    feature_map, batch = fitted(EVERYTHING), events()
    features = feature_map(batch.x, batch.context)
    ratio = (batch.x[:, 0] / batch.context[:, 0]).log()
    torch.testing.assert_close(features[:, 0], (ratio - ratio.mean()) / ratio.std(unbiased=False))
    condition = feature_map.condition(batch.context)[:, 0]
    torch.testing.assert_close(
        condition, (batch.context[:, 0].log() - batch.context.log().mean()) / condition_spread()
    )


def condition_spread() -> torch.Tensor:
    return events().context.log().std(unbiased=False)


def test_critic_sees_the_expressions_with_gradients() -> None:
    feature_map, batch = fitted(EVERYTHING), events()
    features = feature_map(batch.x, batch.context).float().requires_grad_()
    view = feature_map.augment(features, batch.context.float())
    assert view.shape == (500, 3)
    pt = batch.x.norm(dim=1)
    expected = (pt - pt.mean()) / pt.std(unbiased=False)
    torch.testing.assert_close(view[:, 2].double(), expected, rtol=1e-3, atol=1e-4)
    (gradient,) = torch.autograd.grad(view[:, 2].sum(), features)
    assert (gradient != 0).all()


def test_fixed_conditions_leave_the_networks_none() -> None:
    feature_map = StandardMapConfig().build(SCHEMA, {"vertex_px": 1.0})
    assert feature_map.n_conditions == 0
    assert feature_map.condition(events().context).shape == (500, 0)


PAIR = EventSchema(
    [
        *(Field(name=f"{x}_{k}", unit="GeV") for x in "ab" for k in ("px", "py", "pz", "energy")),
        Field(name="beam", unit="GeV", role="condition"),
    ]
)
MASSES = {"a": 0.938, "b": 0.0}


def pairs(n: int = 200) -> Batch:
    p = torch.randn(n, 2, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    mass = torch.tensor(list(MASSES.values())).double()
    energy = (p.square().sum(dim=2) + mass.square()).sqrt()
    x = torch.cat([p, energy[..., None]], dim=2).flatten(1)
    return Batch(x, torch.ones(n, 1).double(), torch.ones(n).double())


def test_energies_follow_from_momenta_and_masses() -> None:
    mass_of_both = "photoproduction.pair_mass(" + ", ".join(PAIR.event) + ")"
    config = StandardMapConfig(masses=MASSES, augmented=(mass_of_both,))
    batch = pairs()
    feature_map = config.build(PAIR, {"beam": 1.0}).fit([batch])
    assert (feature_map.n_features, feature_map.n_augmented) == (6, 7)
    assert feature_map.outside_fraction == 0
    features = feature_map(batch.x, batch.context)
    torch.testing.assert_close(feature_map.inverse(features, batch.context), batch.x)
    generated = feature_map.inverse(torch.randn(100, 6), batch.context[:100]).unflatten(1, (2, 4))
    squared = generated[..., 3].square() - generated[..., :3].square().sum(dim=2)
    torch.testing.assert_close(squared, torch.tensor([[0.938**2, 0.0]]).double().expand(100, 2))
    total = batch.x.unflatten(1, (2, 4)).sum(dim=1)
    mass = (total[:, 3].square() - total[:, :3].square().sum(dim=1)).sqrt()
    seen = feature_map.augment(features, batch.context)[:, -1]
    torch.testing.assert_close(seen, (mass - mass.mean()) / mass.std(unbiased=False))


def test_particles_of_another_mass_are_refused() -> None:
    wrong = StandardMapConfig(masses={"a": 0.5, "b": 0.0})
    with pytest.raises(DataError, match="100.0% of the train events lie outside"):
        wrong.build(PAIR, {"beam": 1.0}).fit([pairs()])
    with pytest.raises(ConfigError, match=r"features.masses.c needs the fields c_px"):
        StandardMapConfig(masses={"c": 0.5}).build(PAIR, {})
    both = StandardMapConfig(masses=MASSES, logarithms=("a_energy",))
    with pytest.raises(ConfigError, match="a_energy follows from the momentum"):
        both.build(PAIR, {})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"logarithms": ("pz",)}, "features.logarithms needs the fields pz"),
        ({"differences": {"px": "py"}}, "features.differences.px: 'py' is taken.*of vertex_px"),
        ({"augmented": ("kinematics.transverse_mass",)}, "no such function"),
        (
            {"augmented": ("kinematics.transverse_momentum(px, pz)",)},
            "'pz' is neither a finite number nor one of",
        ),
    ],
)
def test_what_the_dataset_lacks_is_named(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StandardMapConfig(**settings).build(SCHEMA, {})


def test_logarithm_of_what_is_negative_is_refused() -> None:
    with pytest.raises(DataError, match="of the train events lie outside the domain of Standard"):
        fitted(StandardMapConfig(logarithms=("py",)))
