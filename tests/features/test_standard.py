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
