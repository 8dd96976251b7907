"""Mirror images in the likelihood: which features change their signs, and what is refused."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch, Events, EventSchema, Field, Group
from mleg_ray.features import FeatureMap, FeatureMapConfig
from mleg_ray.objectives.base import Setting
from mleg_ray.objectives.likelihood import Likelihood
from mleg_ray.randomness import Noise

SCHEMA = EventSchema(
    [Field(name=name) for name in ("jet.pt", "jet.eta", "jet.phi", "eta", "met")],
    {"jet": Group(most=2, ordered_by="pt")},
)
STEPS = [
    {"kind": "count", "group": "jet"},
    {"kind": "dequantise", "fields": ["jet.count"], "levels": 3},
    {"kind": "interval", "fields": ["jet.eta"], "low": -2.5, "high": 2.5},
    {"kind": "angle", "fields": ["jet.phi"]},
    {"kind": "logarithm", "fields": ["jet.pt", "met"]},
]
ETA, PHI = ("jet.logit_eta", "eta"), ("jet.turn_phi",)


def flat(n: int) -> Events:
    """Return events of two jets."""
    u = 2 * torch.rand(n, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 1
    pt = torch.stack([60 + u[:, 0], 30 + u[:, 1]], dim=1)
    columns = {"jet.pt": pt, "jet.eta": 2.4 * u[:, 2:4], "jet.phi": 3.1 * u[:, 4:]}
    columns |= {"eta": u[:, 0].clone(), "met": 20 + u[:, 1]}
    present = {"jet": torch.ones(n, 2, dtype=torch.bool)}
    return Events(columns, present, torch.ones(n, dtype=torch.float64))


def places(feature_map: FeatureMap, names: tuple[str, ...]) -> list[int]:
    return [place for name in names for place in feature_map.space.positions[name]]


def bound(mirrored: tuple[str, ...], *more: dict) -> tuple[FeatureMap, Likelihood]:
    feature_map = FeatureMapConfig.model_validate({"steps": [*STEPS, *more]}).build(SCHEMA, {})
    feature_map.fit([flat(1000)])
    return feature_map, Likelihood(mirrored=mirrored).bind(Setting(SCHEMA, feature_map, {}, 1))


class Drawn:
    """Noise of u = 0.1, 0.9 for the first event, 0.9, 0.1 for the second."""

    def uniform(self, n: int, width: int) -> Tensor:
        """Return u (2, 2); see `Noise`."""
        assert (n, width) == (2, 2)
        return torch.tensor([[0.1, 0.9], [0.9, 0.1]])


def test_each_mirror_changes_the_signs_of_its_own_by_hand() -> None:
    """u below one half is the mirror image: all η of the first event, φ of the second."""
    feature_map, objective = bound(("eta", "phi"))
    seen = []
    flow = SimpleNamespace(log_prob=lambda x, condition: seen.append(x) or torch.zeros(len(x)))
    width = feature_map.space.width
    x = torch.arange(1.0, 1 + 2 * width).view(2, width)
    batch = Batch(x, torch.zeros(2, 0), torch.ones(2))
    objective.loss("flow", flow, feature_map, batch, noise=Drawn())
    expected = x.clone()
    expected[0, places(feature_map, ETA)] *= -1
    expected[1, places(feature_map, PHI)] *= -1
    assert (expected < 0).sum() == 3 + 2
    torch.testing.assert_close(seen[0], expected)


def test_features_of_a_mirror_image_are_mirrored_but_for_the_mean() -> None:
    feature_map, _ = bound(("eta",))
    events = flat(1000)
    signs = {name: -events.columns[name] for name in ("jet.eta", "eta")}
    x, image = (
        feature_map.encode(one, noise=Noise(torch.device("cpu"))).x
        for one in (events, events.replacing((), signs))
    )
    mean = (feature_map.feature_mean / feature_map.feature_std).float()
    for place in places(feature_map, ETA):
        torch.testing.assert_close(image[:, place], -x[:, place] - 2 * mean[place])
        assert abs(mean[place]) < 4 / 1000**0.5


def test_half_of_the_events_are_mirrored_by_each() -> None:
    feature_map, objective = bound(("eta", "phi"))
    x = torch.ones(20_000, feature_map.space.width)
    signs = objective._at_random(x, Noise(torch.device("cpu")))
    first, second = places(feature_map, ETA), places(feature_map, PHI)
    eta, phi = signs[:, first[0]], signs[:, second[0]]
    for mean in (eta.mean(), phi.mean(), (eta * phi).mean()):
        assert abs(mean) < 4 / 20_000**0.5
    assert torch.equal(signs[:, first], eta[:, None].expand(-1, 3))
    assert torch.equal(signs[:, second], phi[:, None].expand(-1, 2))
    others = set(range(feature_map.space.width)) - {*first, *second}
    assert signs[:, list(others)].eq(1).all()


def test_without_mirrors_no_noise_is_drawn() -> None:
    feature_map, objective = bound(())
    x = torch.ones(3, feature_map.space.width)
    assert objective._at_random(x, SimpleNamespace()) is x


@pytest.mark.parametrize(
    ("mirrored", "steps", "words"),
    [
        (("theta",), [], "no field is called 'theta'"),
        (("met",), [], "'met' and minus 'met' must become x and -x"),
        (
            ("eta",),
            [{"kind": "interval", "fields": ["eta"], "low": -1.5, "high": 2.5}],
            "'eta' and minus 'eta' must become x and -x",
        ),
        (
            ("eta",),
            [{"kind": "quantile", "fields": ["eta"], "tail": 0.05}],
            "'eta' and minus 'eta' must become x and -x",
        ),
    ],
)
def test_what_steps_do_not_mirror_is_refused(
    mirrored: tuple[str, ...], steps: list[dict], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        bound(mirrored, *steps)
