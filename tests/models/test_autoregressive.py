"""The autoregressive model: who sees whom, its density, and what is there by its levels."""

import math

import pytest
import torch
from torch import Tensor

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.definitions import violates
from mleg_ray.errors import ConfigError
from mleg_ray.events import Events
from mleg_ray.features import FeatureMap, FeatureMapConfig
from mleg_ray.models import Spaces
from mleg_ray.models.autoregressive import Autoregressive, AutoregressiveConfig
from mleg_ray.models.splines import LOG_NORMAL, Levels
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from mleg_ray.space import Part, Space
from tests.features.cases import POLAR, accepted, polar

# Of a number, an angle, a class of three, and a number that is there if the class is above 0.
EVENT = Space({"event": Part((4,), ("x", "turn", "class", "y"), circle=(1,))})
MADE_UP = Spaces(
    EVENT,
    Space.numbers(1),
    EVENT,
    levels={2: Levels(3, mean=-0.4, std=1.7)},
    presence={3: ((2, 0),)},
)
STEPS = [
    {"kind": "spike", "fields": ["iso"]},
    {"kind": "dequantise", "fields": ["process"], "levels": 3},
    {"kind": "count", "group": "jet"},
    {"kind": "dequantise", "fields": ["jet.count"], "levels": 4},
    {"kind": "logarithm", "fields": ["jet.pt"]},
    {"kind": "spike", "fields": ["jet.iso"]},
    {"kind": "angle", "fields": ["jet.phi"]},
]


def built(made_up: Spaces = MADE_UP, **settings: object) -> Autoregressive:
    torch.manual_seed(1)
    config = AutoregressiveConfig.model_validate({"bins": 5, "hidden": (12, 12), **settings})
    return config.build(made_up).eval()


def drawn(n: int, seed: int = 2) -> tuple[Tensor, Tensor]:
    """Return noise of the space, and conditions."""
    generator = torch.Generator().manual_seed(seed)
    return EVENT.draw(n, generator).double(), torch.linspace(-1, 1, n)[:, None].double()


@pytest.mark.parametrize("case", ["all", "even angle", "absent angle"])
def test_features_have_the_density(case: str) -> None:
    """Where noise goes, its own density divided by the stretch of the map is found."""
    if case == "absent angle":
        both = MADE_UP._replace(presence={1: ((2, 0),), 3: ((2, 1),)})
        model = built(both, order=("class",)).double()
    else:
        model = built(even=("turn",) if case == "even angle" else ()).double()
    noise, condition = drawn(200)
    noise.requires_grad_()
    x = model.decode(noise, condition)
    jacobian = torch.stack(
        [torch.autograd.grad(x[:, i].sum(), noise, retain_graph=True)[0] for i in range(4)], dim=1
    )
    own = 3 * LOG_NORMAL - noise[:, [0, 2, 3]].square().sum(dim=1) / 2 - math.log(2)
    torch.testing.assert_close(
        model.log_prob(x, condition), own - jacobian.det().abs().log(), atol=1e-6, rtol=1e-6
    )


def test_each_depends_on_those_before_alone() -> None:
    """Also in the order that is asked for."""
    condition = torch.zeros(1, 1).double()
    noise = torch.tensor([[0.3, 0.2, 0.5, -0.4]]).double()
    for order, chain in (((), (0, 1, 2, 3)), (("class", "x"), (2, 0, 1, 3))):
        model = built(order=order).double()
        jacobian = torch.autograd.functional.jacobian(
            lambda noise, model=model: model.decode(noise, condition)[0], noise
        )[:, 0]
        for number, i in enumerate(chain):
            for j in chain[number + 1 :]:
                assert jacobian[i, j] == 0
            assert jacobian[i, i] > 0
    assert jacobian[1, 0] != 0  # the angle sees x


def test_what_is_absent_is_noise_and_seen_by_nobody() -> None:
    """y is there if the class is 1 or 2; its density is the noise's where it is not."""
    model = built(order=("class", "y")).double()
    noise, condition = drawn(500)
    x = model.decode(noise, condition)
    levels = MADE_UP.levels[2].level(x[:, 2])
    there = levels > 0
    assert 0 < there.sum() < len(there)
    assert torch.equal(x[~there, 3], noise[~there, 3])
    assert not torch.isclose(x[there, 3], noise[there, 3]).any()
    moved = x.clone()
    moved[:, 3] += 0.5
    change = model.log_prob(moved, condition) - model.log_prob(x, condition)
    of_noise = (x[:, 3].square() - moved[:, 3].square()) / 2
    torch.testing.assert_close(change[~there], of_noise[~there])
    assert not torch.isclose(change[there], of_noise[there]).any()


def test_networks_see_which_level_it_is_and_no_more() -> None:
    model = built().double()
    noise, condition = drawn(100)
    x = model.decode(noise, condition)
    within = x.clone()
    kind = MADE_UP.levels[2]
    within[:, 2] = kind.middle(x[:, 2])

    def of_others(x: Tensor) -> Tensor:
        share = (kind.mean + kind.std * x[:, 2]).sigmoid()
        return model.log_prob(x, condition) - (share * (1 - share)).log()

    torch.testing.assert_close(of_others(x), of_others(within))


def test_an_even_angle_is_the_noise() -> None:
    model = built(even=("turn",)).double()
    noise, condition = drawn(50)
    x = model.decode(noise, condition)
    assert torch.equal(x[:, 1], noise[:, 1])
    turned = x.clone()
    turned[:, 1] *= -1
    torch.testing.assert_close(model.log_prob(turned, condition), model.log_prob(x, condition))


def test_all_networks_at_once_are_each_by_itself() -> None:
    """In training as in sampling: the mask hides what the slice leaves out."""
    model = built().double()
    [line] = [stack for stack in model.flow if stack.positions == [0, 3]]
    seen = torch.randn(7, 6).double()
    at_once = line.log_prob(seen, torch.zeros(2, 7).double())
    changed = seen.clone()
    changed[:, 1:] += 1  # x sees the condition alone, y all
    torch.testing.assert_close(line.log_prob(changed, torch.zeros(2, 7).double())[0], at_once[0])
    x = line.decode(1, seen[:, :5], torch.full((7,), 0.3).double())
    found = line.log_prob(seen, x.expand(2, 7))[1]
    noise = torch.full((7,), 0.3).double().requires_grad_()
    [stretch] = torch.autograd.grad(line.decode(1, seen[:, :5], noise).sum(), noise)
    torch.testing.assert_close(found, LOG_NORMAL - 0.045 - stretch.log())


def test_dropout_is_of_training() -> None:
    model = built(dropout=0.5).double()
    noise, condition = drawn(20)
    once, again = (model.log_prob(noise, condition) for _ in range(2))
    assert torch.equal(once, again)
    model.train()
    once, again = (model.log_prob(noise, condition) for _ in range(2))
    assert not torch.isclose(once, again).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"even": ("x",)}, "even: 'x' is no angle of the event; those are turn"),
        ({"order": ("z",)}, "order: 'z' is no feature; those are x, turn, class, y"),
        ({"order": ("y",)}, "order: 'class' tells whether there is a 'y'; put it before"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        built(**settings)


def test_something_is_left_to_learn() -> None:
    with pytest.raises(ConfigError, match="nothing is left to learn"):
        alone = Space({"event": Part((1,), ("turn",), circle=(0,))})
        AutoregressiveConfig(even=("turn",)).build(Spaces(alone, Space.numbers(0), alone))


@pytest.fixture(scope="module")
def events() -> Events:
    return polar(2000, 1)


@pytest.fixture(scope="module")
def fitted(events: Events) -> FeatureMap:
    return mapped().fit([events])


def mapped(*steps: dict[str, object]) -> FeatureMap:
    chosen = {"steps": steps or STEPS}
    return FeatureMapConfig.model_validate(chosen).build(POLAR, {})


class TestFeatureMap:
    def test_tells_what_is_a_level_and_what_may_be_absent(self, fitted: FeatureMap) -> None:
        """Positions by hand: two muons and the missing momentum are 8, then iso's class and log."""
        names = fitted.space.positions
        assert names["has_iso"] == (8,)
        assert names["log_iso"] == (9,)
        [process], [count] = names["level_process"], names["jet.level_count"]
        has, log = names["jet.has_iso"], names["jet.log_iso"]
        assert fitted.levels == {8: 2, process: 3, count: 4, **dict.fromkeys(has, 2)}
        expected = {9: ((8, 0),)}
        for name in ("jet.log_pt", "jet.eta", "jet.turn_phi", "jet.has_iso"):
            expected |= {place: ((count, k),) for k, place in enumerate(names[name])}
        expected |= {place: ((count, k), (has[k], 0)) for k, place in enumerate(log)}
        assert fitted.presence == expected

    def test_levels_of_features_are_the_numbers(self, fitted: FeatureMap, events: Events) -> None:
        noise = Noise(torch.device("cpu"))
        x = fitted.encode(events, noise=noise).x
        levels = Spaces.of(fitted).levels
        [process], [count] = (
            fitted.space.positions[n] for n in ("level_process", "jet.level_count")
        )
        assert torch.equal(levels[process].level(x[:, process]), events.columns["process"].long())
        assert torch.equal(levels[count].level(x[:, count]), events.present["jet"].sum(dim=1))
        assert torch.equal(levels[8].level(x[:, 8]), (events.columns["iso"] > 0).long())

    def test_a_count_that_is_no_level_tells_nothing(self) -> None:
        steps = [
            STEPS[0],
            STEPS[1],
            STEPS[2],
            {"kind": "logarithm", "fields": ["jet.count"], "above": -1},
        ]
        built = FeatureMapConfig.model_validate({"steps": steps}).build(POLAR, {})
        assert set(built.presence) == {9}

    def test_weights_carry_the_levels_of_the_fitted_map(self, fitted: FeatureMap) -> None:
        """A checkpoint builds its model by a map that knows nothing yet."""
        config = AutoregressiveConfig(bins=4, hidden=(8,))
        torch.manual_seed(1)
        model = config.build(Spaces.of(fitted)).eval()
        other = config.build(Spaces.of(mapped())).eval()
        other.load_state_dict(model.state_dict())
        x, condition = torch.randn(20, fitted.space.width), torch.zeros(20, 0)
        assert torch.equal(model.log_prob(x, condition), other.log_prob(x, condition))


def dimuons(n: int) -> Events:
    """Draw pairs of muons as `zmumu-13tev` has them: p_T > 20, |η| < 2, 50 < M < 150."""
    many = accepted(4 * n, 3)
    mass = many.columns["pair.mass"]
    drawn = many[(mass > 50.001) & (mass < 150)][:n].columns
    assert len(drawn["pair.mass"]) == n
    rng = torch.Generator().manual_seed(4)
    u = torch.rand(12, n, generator=rng, dtype=torch.float64)
    opening = (drawn["mu1.eta"] - drawn["mu2.eta"]).cosh()
    opening = opening + (math.pi * drawn["pair.acoplanarity"]).cos()
    pt1 = drawn["pair.mass"] / (2 * drawn["pair.log_ratio_pt"].exp() * opening).sqrt()
    phi1 = math.pi * (2 * u[0] - 1)
    phi2 = phi1 + math.pi * (1 + drawn["pair.acoplanarity"])
    columns = {"n_vtx": (40 * u[1]).floor(), "met.px": 50 * u[2] - 25, "met.py": 50 * u[3] - 25}
    pts = (pt1, pt1 * drawn["pair.log_ratio_pt"].exp())
    for i, (pt, phi) in enumerate(zip(pts, (phi1, phi2), strict=True)):
        muon, eta = f"mu{i + 1}", drawn[f"mu{i + 1}.eta"]
        momentum = (pt * phi.cos(), pt * phi.sin(), pt * eta.sinh())
        columns |= {f"{muon}.p{axis}": p for axis, p in zip("xyz", momentum, strict=True)}
        columns[f"{muon}.energy"] = ((pt * eta.cosh()).square() + 0.1056584**2).sqrt()
        columns[f"{muon}.isolation"] = torch.where(u[4 + i] < 0.4, 0.0, -0.1 * u[6 + i].log())
    present = torch.arange(5) < (6 * u[8]).floor()[:, None]
    pt = (
        10
        + (-20 * torch.rand(n, 5, generator=rng, dtype=torch.float64).log())
        .sort(dim=1, descending=True)
        .values
    )
    columns["jet.pt"] = torch.where(present, pt, 0.0)
    return Events(columns, {"jet": present}, torch.ones(n).double())


def test_muon_pairs_come_back_from_the_recipes_features() -> None:
    """Round trip in single precision; what the model makes of noise passes the selection."""
    run = RunConfig.load("autoregressive-zmumu", ("model.bins=4", "model.hidden=[8]"))
    spec = DatasetSpec.load(run.dataset)
    events = dimuons(12_000)
    fitted = run.features.build(spec.schema_, {}).fit([events])
    assert fitted.outside_fraction < 1e-3
    few = events[:2000]
    batch = fitted.encode(few, noise=Noise(torch.device("cpu")))
    back = fitted.decode(batch.x, Events({}, {}, few.weight))
    assert torch.equal(back.present["jet"], few.present["jet"])
    for name in spec.schema_.event:
        found, expected = (some.columns[name].double() for some in (back, few))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-3)
    model = run.build_model(fitted).eval()
    made = model.sample(2000, torch.zeros(2000, 0), generator=torch.Generator().manual_seed(5))
    generated = spec.joined(fitted.decode(made, Events({}, {}, few.weight)))
    for name, rule in spec.constraints.items():
        assert not violates(rule, generated).any(), name
