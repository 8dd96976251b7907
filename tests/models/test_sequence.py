"""A sequence of objects: its density by hand, its symmetry, its order, and what it refuses."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from mleg_ray.config import parse
from mleg_ray.errors import ConfigError
from mleg_ray.features.field import FieldMap
from mleg_ray.features.steps.elementwise import Angle, Interval, Logarithm
from mleg_ray.models import Spaces
from mleg_ray.models.balance import Before
from mleg_ray.models.second import Second
from mleg_ray.models.sequence import Sequence, SequenceConfig
from mleg_ray.models.splines import Levels
from mleg_ray.space import Part, Space

# Two numbers of objects, a missing momentum, up to three jets and up to two leptons, which have no
# mass between others: the vector has the places 0 to 3, 4 to 12 and 13 to 16.
SPACE = Space(
    {
        "event": Part((4,), ("jet.level_count", "lepton.level_count", "met", "met_turn"), (3,)),
        "jet": Part((3, 3), ("jet.pt", "jet.mass", "jet.turn"), (2,)),
        "lepton": Part((2, 2), ("lepton.pt", "lepton.turn"), (1,)),
    }
)
COUNTS = [0, 1]
ANGLES = [3, 6, 9, 12, 14, 16]
PRESENCE = {4 + i: ((0, i // 3),) for i in range(9)} | {13 + i: ((1, i // 2),) for i in range(4)}
Presence = Mapping[int, tuple[tuple[int, int], ...]]
SMALL = {"width": 16, "hidden": 8, "magnitudes": 3, "places": 4, "bins": 4}
FULL = {**SMALL, "descending": "pt", "isotropic": True}


def spaces(conditions: int = 0, space: Space = SPACE, **changed: Any) -> Spaces:
    levels = {0: Levels(4, mean=0.2, std=1.5), 1: Levels(3)}
    numbers = Space.numbers(conditions)
    own = Spaces(space, numbers, space, levels, PRESENCE)
    return own._replace(**changed)


def config(**settings: Any) -> SequenceConfig:
    return parse(SequenceConfig, {"kind": "sequence", **FULL, **settings}, "model")


def built(conditions: int = 0, **settings: Any) -> Sequence:
    """Build a model in double precision whose networks say something of every number."""
    torch.manual_seed(1)
    model = config(**settings).build(spaces(conditions))
    for name, parameter in model.named_parameters():
        if ".out." in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.double().eval()


def drawn(model: Sequence, n: int, seed: int = 2) -> Tensor:
    return model.draw(n, generator=torch.Generator().manual_seed(seed)).double()


def numbers(x: Tensor) -> Tensor:
    """Return how many jets and leptons there are, (B, 2), by `dequantise`."""
    jets = (4 * (0.2 + 1.5 * x[:, 0]).sigmoid()).floor()
    return torch.stack([jets, (3 * x[:, 1].sigmoid()).floor()], dim=1).long()


def present(x: Tensor, presence: Presence = PRESENCE) -> Tensor:
    """Return which numbers of each event are there, (B, n)."""
    there = torch.ones(x.shape, dtype=torch.bool)
    counts = numbers(x)
    for place, ((count, k),) in presence.items():
        there[:, place] = counts[:, count] > k
    return there


@pytest.mark.parametrize(
    "settings", [{}, {"isotropic": False}, {"descending": ""}, {"order": ["lepton", "jet"]}]
)
def test_density_is_that_of_the_noise_over_the_stretch_of_the_map(settings: dict) -> None:
    require_true_density(built(**settings), ANGLES, PRESENCE)


def require_true_density(model: Sequence, angles: list[int], presence: Presence) -> None:
    """log p(x) = log p(z) - log |det dx/dz|, over the numbers that are there."""
    noise = drawn(model, 8)
    made = model.decode(noise, noise.new_zeros(8, 0)).detach()
    found = model.log_prob(made, noise.new_zeros(8, 0)).detach()
    for z, x, log_prob in zip(noise, made, found, strict=True):

        def one(z: Tensor) -> Tensor:
            return model.decode(z[None], z.new_zeros(1, 0))[0]

        there = present(x[None], presence)[0]
        jacobian = torch.autograd.functional.jacobian(one, z)[there][:, there]
        lines = there.clone()
        lines[angles] = False
        log_noise = -z[lines].square().sum() / 2 - lines.sum() * math.log(2 * math.pi) / 2
        log_noise = log_noise - (there.sum() - lines.sum()) * math.log(2)
        expected = log_noise - torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(log_prob, expected, rtol=1e-5, atol=1e-5)


def test_absent_objects_are_the_noise_and_cost_nothing() -> None:
    model = built()
    noise = drawn(model, 200)
    made = model.decode(noise, noise.new_zeros(200, 0))
    there = present(made)
    assert (~there).any(dim=0)[4:].all()
    assert torch.equal(made[~there], noise[~there])
    others = torch.where(there, made, torch.randn_like(made).clamp(-0.99, 0.99))
    none = noise.new_zeros(200, 0)
    torch.testing.assert_close(model.log_prob(others, none), model.log_prob(made, none))


def test_an_event_does_not_depend_on_others_beside_it() -> None:
    model = built()
    noise = drawn(model, 50)
    together = model.decode(noise, noise.new_zeros(50, 0))
    alone = [model.decode(z[None], z.new_zeros(1, 0)) for z in noise]
    torch.testing.assert_close(together, torch.cat(alone))
    apart = torch.cat([model.log_prob(x, x.new_zeros(1, 0)) for x in alone])
    torch.testing.assert_close(model.log_prob(together, noise.new_zeros(50, 0)), apart)


class TestSymmetry:
    @staticmethod
    def turned(x: Tensor, angle: float) -> Tensor:
        made = x.clone()
        made[:, ANGLES] = torch.remainder(made[:, ANGLES] + angle + 1, 2) - 1
        return torch.where(present(x), made, x)

    @pytest.mark.parametrize("isotropic", [True, False])
    def test_turning_all_angles_changes_no_density_if_isotropic(self, isotropic: bool) -> None:
        model = built(isotropic=isotropic)
        noise = drawn(model, 100)
        none = noise.new_zeros(100, 0)
        made = model.decode(noise, none)
        some = numbers(made).sum(dim=1) > 0  # without objects no angle is measured from another
        before = model.log_prob(made, none)[some]
        after = model.log_prob(self.turned(made, 0.7), none)[some]
        assert torch.allclose(before, after) is isotropic

    def test_the_first_angle_is_that_of_the_noise(self) -> None:
        """So it is uniform. The first object is the first jet, or the first lepton of none."""
        model = built()
        noise = drawn(model, 200)
        made = model.decode(noise, noise.new_zeros(200, 0))
        jets, leptons = numbers(made).unbind(1)
        first = torch.where(jets > 0, made[:, 6], made[:, 14]) - torch.where(
            jets > 0, noise[:, 6], noise[:, 14]
        )
        torch.testing.assert_close(first[jets + leptons > 0].abs().max().item(), 0.0)


@pytest.mark.parametrize(("descending", "all_descend"), [("pt", True), ("", False)])
def test_a_descending_feature_descends_within_each_group(
    descending: str, all_descend: bool
) -> None:
    model = built(descending=descending)
    noise = drawn(model, 500)
    made = model.decode(noise, noise.new_zeros(500, 0))
    there = present(made)
    pairs = [(4, 7), (7, 10), (13, 15)]
    steps = torch.stack([made[:, a] - made[:, b] for a, b in pairs], dim=1)
    both = torch.stack([there[:, b] for _, b in pairs], dim=1)
    assert both.any(dim=0).all()
    assert bool((steps[both] > 0).all()) is all_descend
    # The first of a group is below no other: some first leptons are above the first jet.
    assert (made[:, 13] > made[:, 4])[there[:, 4] & there[:, 13]].any()


def test_numbers_of_objects_come_as_often_as_their_probability() -> None:
    """Without weights the biases are logarithms of probabilities: 1 : 2 : 3 : 4, and 1 : 2 : 1.

    Of 20,000 events the spread of a share is at most 0.0035.
    """
    model = built()
    with torch.no_grad():
        for own, p in zip(model.counts.out, ([1.0, 2, 3, 4], [1.0, 2, 1]), strict=True):
            own.weight.zero_()
            own.bias.copy_(torch.tensor(p).log())
    noise = drawn(model, 20_000)
    counts = numbers(model.decode(noise, noise.new_zeros(len(noise), 0)))
    table = torch.zeros(4, 3).index_put(tuple(counts.T), torch.ones(20_000), accumulate=True)
    expected = torch.outer(torch.tensor([1.0, 2, 3, 4]) / 10, torch.tensor([1.0, 2, 1]) / 4)
    torch.testing.assert_close(table / 20_000, expected, atol=0.014, rtol=0)


def test_an_object_knows_the_vector_sum_of_those_before() -> None:
    """With magnitudes 1 the sums of jets at 0 and 60° are 2 and (3/2, √3/2): a quarter of each.

    The layer of sums passes them on.
    """
    model = built(magnitudes=1)
    with torch.no_grad():
        for layer in (model.magnitudes[0], model.magnitudes[2]):
            layer.weight.zero_()
            layer.bias.zero_()  # e^0 = 1
        model.sums.weight.copy_(torch.eye(16, 3))
    jets = torch.tensor([[0.3, 1.0, 0.0], [-0.2, 2.0, 1 / 3]], dtype=torch.float64)  # half turns
    shown = model._shown(torch.zeros(2, dtype=torch.long), jets)
    told = model._summed(shown).sum(dim=0)
    expected = torch.zeros(16).double()
    expected[:3] = torch.tensor([1 / 2, 3 / 8, math.sqrt(3) / 8], dtype=torch.float64)
    torch.testing.assert_close(told, expected, atol=1e-12, rtol=0)


def test_an_object_knows_the_one_before_in_its_group() -> None:
    model = built()
    with torch.no_grad():
        model.behind.weight.copy_(torch.eye(16, 6))
    before = torch.tensor([[0.3, 1.0, 1 / 3], [0.3, 1.0, 1 / 3]], dtype=torch.float64)
    told = model._behind(torch.tensor([1, 1]), torch.tensor([0, 1]), before)
    expected = torch.zeros(2, 16).double()
    expected[1, :6] = torch.tensor([0.3, 1.0, 0.5, math.sqrt(3) / 2, 0.0, 1.0])
    torch.testing.assert_close(told, expected, atol=1e-7, rtol=0)


def test_sums_before_each_momentum_by_hand() -> None:
    """Of 3 GeV, 4 GeV a quarter turn further, and 2 GeV back along the first."""
    momenta = torch.tensor([[3, 4j, -2]], dtype=torch.complex128)
    before = Before.each(momenta)
    torch.testing.assert_close(before.vector, torch.tensor([[0, 3, 3 + 4j]]).to(momenta))
    torch.testing.assert_close(before.scalar, torch.tensor([[0.0, 3, 7]]).double())
    sums = Before.nothing(2, momenta.device)
    for momentum in momenta[0]:
        sums = sums.then(momentum[None])  # the second event has no objects
    torch.testing.assert_close(sums.vector, torch.tensor([1 + 4j, 0]).to(momenta))
    torch.testing.assert_close(sums.scalar, torch.tensor([9.0, 0]).double())
    torch.testing.assert_close(
        before.turn[0, 1:], torch.tensor([0, math.atan2(4, 3) / math.pi]).double()
    )


class TestPhysicalCoordinates:
    """Jets of p_T above 20 GeV and |η| < 2.8, the second placed by the mass of the first two.

    Leptons have no η. Missing momentum is learned as what balances not all of them. The layout is
    that of `SPACE`.
    """

    NAMES = {
        "event": ("jet.level_count", "lepton.level_count", "met.log_pt", "met.turn_phi"),
        "jet": ("jet.log_pt", "jet.logit_eta", "jet.turn_phi"),
        "lepton": ("lepton.log_pt", "lepton.turn_phi"),
    }
    SPACE = Space({name: replace(SPACE.parts[name], names=names) for name, names in NAMES.items()})
    BOTH: ClassVar = {
        "descending": "log_pt",
        "order": ["lepton", "jet"],
        "pairs": ["jet"],
        "balance": "met",
    }

    @classmethod
    def spaces(cls, **changed: Any) -> Spaces:
        double = partial(torch.tensor, dtype=torch.float64)
        above, angle = partial(Logarithm, fields=("pt",)), (Angle(fields=("phi",)),)
        inside = Interval(fields=("eta",), low=-2.8, high=2.8)
        fields = {
            "jet.pt": FieldMap("jet.log_pt", (above(above=20.0),), double(3.0), double(0.9)),
            "jet.eta": FieldMap("jet.logit_eta", (inside,), double(0.1), double(1.2)),
            "jet.phi": FieldMap("jet.turn_phi", angle),
            "lepton.pt": FieldMap("lepton.log_pt", (above(above=15.0),), double(2.5)),
            "lepton.phi": FieldMap("lepton.turn_phi", angle),
            "met.pt": FieldMap("met.log_pt", (above(),), double(3.5), double(0.7)),
            "met.phi": FieldMap("met.turn_phi", angle),
        }
        return spaces(space=cls.SPACE, **{"fields": fields, **changed})

    @classmethod
    def built(cls, **settings: Any) -> Sequence:
        torch.manual_seed(1)
        model = config(**{**cls.BOTH, **settings}).build(cls.spaces())
        for name, parameter in model.named_parameters():
            if ".out." in name:
                torch.nn.init.normal_(parameter, std=0.3)
        return model.double().eval()

    @staticmethod
    def made(model: Sequence) -> Tensor:
        noise = drawn(model, 300)
        return model.decode(noise, noise.new_zeros(300, 0)).detach()

    @pytest.mark.parametrize("logit", [-60.0, 60.0])
    @pytest.mark.parametrize("settings", [{}, {"balance": "", "isotropic": False}])
    def test_density_is_that_of_the_noise_over_the_stretch_of_the_map(
        self, settings: dict, logit: float
    ) -> None:
        """Of both kinds of second jets, where one is certain."""
        model = self.of_particle(self.built(**settings), logit)
        require_true_density(model, ANGLES, PRESENCE)

    def test_density_without_pairs_is_that_of_the_noise_too(self) -> None:
        require_true_density(self.built(pairs=[]), ANGLES, PRESENCE)

    def test_a_second_jet_is_of_either_kind(self) -> None:
        """The density is that of the mixture, here 0.3 and 0.7; fewer jets have no share in it."""
        model = self.built()
        x, none = self.made(model), torch.zeros(300, 0).double()
        one, other, both = (
            self.of_particle(model, logit).log_prob(x, none)
            for logit in (60.0, -60.0, math.log(0.3 / 0.7))
        )
        expected = torch.logaddexp(math.log(0.3) + one, math.log(0.7) + other)
        torch.testing.assert_close(both, expected)
        pairs = numbers(x)[:, 0] > 1
        assert (one - other).abs()[pairs].min() > 1e-6
        assert torch.equal(one[~pairs], other[~pairs])

    def test_the_noise_of_p_t_tells_of_which_kind(self) -> None:
        """With a share of 0.3: u = 0.12 is 0.4 of the one kind, u = 0.72 is 0.6 of the other."""
        model = self.built()
        noise = drawn(model, 300)
        normal = torch.distributions.Normal(0.0, 1.0)
        for u, v, logit in ((0.12, 0.4, 60.0), (0.72, 0.6, -60.0)):
            made = []
            for at, own in ((u, math.log(0.3 / 0.7)), (v, logit)):
                noise[:, 7] = normal.icdf(torch.tensor(at, dtype=torch.float64))
                self.of_particle(model, own)
                made.append(model.decode(noise, noise.new_zeros(300, 0)))
            pairs = numbers(made[0])[:, 0] > 1
            torch.testing.assert_close(made[0][pairs], made[1][pairs])
            assert pairs.sum() > 50

    @staticmethod
    def of_particle(model: Sequence, logit: float) -> Sequence:
        """Make the share of second jets that are of the first one's particle certain."""
        [second] = model.seconds
        assert isinstance(second, Second)
        with torch.no_grad():
            second.share.weight.zero_()
            second.share.bias.fill_(logit)
        return model

    def test_turning_all_angles_changes_no_density(self) -> None:
        model = self.built()
        x, none = self.made(model), torch.zeros(300, 0).double()
        some = numbers(x).sum(dim=1) > 0
        turned = model.log_prob(TestSymmetry.turned(x, 0.7), none)[some]
        torch.testing.assert_close(turned, model.log_prob(x, none)[some])

    def test_the_second_jet_has_the_mass_that_its_chain_made(self) -> None:
        """It is made certain, 80 GeV: then of four-momenta it is so, whatever else differs.

        But for the bend, and in units of 1.6 about log m² of two usual jets at a right angle.
        """
        model = self.of_particle(self.built(), 60.0)
        [second] = model.seconds
        assert isinstance(second, Second)
        with torch.no_grad():
            certain = second.chain.out[second.eta]
            certain.weight.zero_()
            certain.bias.zero_()  # so the number is the noise
        noise = drawn(model, 300)
        noise[:, 8] = (2 * math.log(80) - math.log(2 * (20 + math.exp(3)) ** 2)) / 1.6
        made = model.decode(noise, noise.new_zeros(300, 0)).detach()
        made = made[numbers(made)[:, 0] > 1]
        assert len(made) > 50
        pt = self.jet(made[:, [4, 7]])
        eta = 2.8 * (2 * (0.1 + 1.2 * made[:, [5, 8]]).sigmoid() - 1)
        phi = math.pi * made[:, [6, 9]]
        d = (eta[:, 0] - eta[:, 1]).cosh() - (phi[:, 0] - phi[:, 1]).cos()
        most = (2.8 + eta[:, 0].abs()).cosh() + 1
        mass2 = 2 * pt.prod(dim=1) * d / (1 - (d / most).square())
        torch.testing.assert_close(mass2, torch.full_like(mass2, 6400.0))

    def test_momenta_of_objects_by_hand(self) -> None:
        balance = self.built().balance
        assert balance is not None
        x = torch.tensor([[0.5, 0.25, -1.0], [0.5, -0.5, 7.0]], dtype=torch.float64)
        found = balance.momenta(x, torch.tensor([1, 0]))  # a jet and a lepton
        pt = torch.tensor([20 + math.exp(3.45), 15 + math.exp(3.0)]).double()
        turn = torch.tensor([0.25, -0.5]).double()
        torch.testing.assert_close(found, torch.polar(pt, math.pi * turn))

    def test_what_is_told_of_momenta_by_hand(self) -> None:
        """5 and 7 times the usual e^3.5 GeV, and the sum a sixth of a turn from the object."""
        model = self.built()
        with torch.no_grad():
            model.pull.weight.copy_(torch.eye(16, 4))
        usual = math.exp(3.5)
        before = Before(torch.tensor([5j * usual]), torch.tensor([7 * usual]).double())
        jet = torch.tensor([[0.3, 1 / 6, -0.4]]).double()
        told = model._pulled(before, jet)[0]
        expected = torch.zeros(16).double()
        expected[:4] = torch.tensor([math.log(6), math.log(8), 1 / 2, math.sqrt(3) / 2])
        torch.testing.assert_close(told, expected, atol=1e-6, rtol=0)

    def test_an_azimuth_is_measured_from_the_sum_of_momenta_before(self) -> None:
        """That of a third jet, which is made certain: a quarter turn from the sum."""
        model = self.built()
        with torch.no_grad():
            certain = model.objects.out[model._azimuth]
            certain.weight.zero_()
            certain.bias.zero_()
        noise = drawn(model, 300)
        noise[:, 12] = 0.5
        made = model.decode(noise, noise.new_zeros(300, 0)).detach()
        made = made[numbers(made)[:, 0] > 2]
        assert len(made) > 30
        there = present(made)
        total = torch.zeros(len(made), dtype=torch.complex128)
        for pt, phi, at in (
            (13, 14, self.lepton),
            (15, 16, self.lepton),
            (4, 6, self.jet),
            (7, 9, self.jet),
        ):
            own = torch.polar(at(made[:, pt]), math.pi * made[:, phi])
            total += torch.where(there[:, pt], own, 0)
        third = torch.polar(torch.ones(len(made)).double(), math.pi * made[:, 12])
        torch.testing.assert_close(third / total * total.abs(), torch.full_like(total, 1j))

    @staticmethod
    def jet(x: Tensor) -> Tensor:
        return 20 + (3.0 + 0.9 * x).exp()

    @staticmethod
    def lepton(x: Tensor) -> Tensor:
        return 15 + (2.5 + x).exp()

    def test_missing_momentum_balances_objects_but_for_the_soft_term(self) -> None:
        """Which is made certain: half the usual e^3.5 GeV, a quarter turn from the objects' sum."""
        model = self.built()
        assert model.rest is not None
        with torch.no_grad():
            for certain in model.rest.out:
                certain.weight.zero_()
                certain.bias.zero_()  # so numbers are the noise
        noise = drawn(model, 300)
        noise[:, 2], noise[:, 3] = -math.log(2), 0.5
        made = model.decode(noise, noise.new_zeros(300, 0)).detach()
        pt = torch.cat([self.jet(made[:, 4:13:3]), self.lepton(made[:, 13::2])], dim=1)
        there = torch.cat([present(made)[:, 4:13:3], present(made)[:, 13::2]], dim=1)
        phi = math.pi * torch.cat([made[:, 6:13:3], made[:, 14::2]], dim=1)
        total = torch.polar(torch.where(there, pt, 0.0), phi).sum(dim=1)
        missing = torch.polar((3.5 + 0.7 * made[:, 2]).exp(), math.pi * made[:, 3])
        some = there.any(dim=1)
        soft = ((missing + total) / total)[some]
        expected = torch.complex(
            torch.zeros(some.sum()).double(), math.exp(3.5) / 2 / total[some].abs()
        )
        torch.testing.assert_close(soft, expected)

    @pytest.mark.parametrize(
        ("settings", "changed", "message"),
        [
            ({"pairs": ["tau"]}, {}, "no objects 'tau'; they have lepton, jet"),
            ({"balance": ""}, {"fields": {}}, "pairs: 'jet.pt' must be a field that steps change"),
            ({"pairs": []}, {"fields": {}}, "balance: 'met.pt' must be a field that steps change"),
        ],
    )
    def test_what_it_must_know(self, settings: dict, changed: dict, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            config(**{**self.BOTH, **settings}).build(self.spaces(**changed))

    @pytest.mark.parametrize("one", ["pairs", "balance"])
    def test_an_azimuth_must_be_an_angle(self, one: str) -> None:
        fields = {**self.spaces().fields, "jet.phi": FieldMap("jet.logit_eta", ())}
        settings = {"pairs": [], "balance": "", one: self.BOTH[one]}
        with pytest.raises(
            ConfigError, match=f"{one}: 'jet.phi' must be a feature by step 'angle'"
        ):
            config(**{**self.BOTH, **settings}).build(self.spaces(fields=fields))


class TestContract:
    def test_same_seed_same_sample(self) -> None:
        torch.manual_seed(3)
        model = config().build(spaces(1)).eval()
        condition = torch.zeros(40, 1)
        samples = [
            model.sample(40, given, generator=torch.Generator().manual_seed(seed))
            for given, seed in ((condition, 1), (condition, 1), (condition, 2), (condition + 3, 1))
        ]
        assert samples[0].shape == (40, SPACE.width)
        assert samples[0].dtype == torch.float32
        assert samples[0].isfinite().all()
        assert torch.equal(samples[0], samples[1])
        assert not torch.equal(samples[0], samples[2])
        assert not torch.equal(samples[0], samples[3])

    def test_what_it_learned_survives_a_state_dict(self) -> None:
        """Also by what the numbers of objects were standardised."""
        model = config().build(spaces())
        fresh = spaces(levels={0: Levels(4), 1: Levels(3)})
        other = config().build(fresh)
        other.load_state_dict(model.state_dict())
        generators = [torch.Generator().manual_seed(1) for _ in range(2)]
        none = torch.zeros(30, 0)
        assert torch.equal(
            model.sample(30, none, generator=generators[0]),
            other.sample(30, none, generator=generators[1]),
        )

    def test_every_weight_is_used(self) -> None:
        """Replicas that train side by side wait for the gradient of each."""
        model = built(1)
        noise = drawn(model, 100)
        condition = torch.ones(100, 1).double()
        (-model.log_prob(model.decode(noise, condition).detach(), condition).mean()).backward()
        assert tuple(model.players()) == SequenceConfig.players
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name

    def test_an_event_may_have_no_object_and_nothing_else(self) -> None:
        bare = Space({"event": Part((1,), ("jet.level_count",)), "jet": Part((1, 1), ("jet.pt",))})
        own = Spaces(bare, Space.numbers(0), bare, {0: Levels(2)}, {1: ((0, 0),)})
        model = config(isotropic=False, descending="").build(own)
        none = torch.zeros(64, 0)
        made = model.sample(64, none, generator=torch.Generator().manual_seed(1))
        assert model.log_prob(made, none).isfinite().all()
        alone = torch.full((5, 2), -2.0)  # no jets at all
        assert model.log_prob(alone, none[:5]).isfinite().all()
        assert torch.equal(model.decode(alone, none[:5])[:, 1], alone[:, 1])


class TestRefuses:
    def refused(self, message: str, own: Spaces | None = None, **settings: Any) -> None:
        with pytest.raises(ConfigError, match=message):
            config(**settings).build(own or spaces())

    def test_features_without_objects(self) -> None:
        self.refused("^the features have no objects", spaces(space=Space.numbers(3)))

    def test_images(self) -> None:
        image = Space({**SPACE.parts, "image": Part((1, 2, 2), ("image",))})
        self.refused("^'image' is an image", spaces(space=image))

    def test_an_order_of_other_groups(self) -> None:
        self.refused("^order: the features have objects of jet, lepton", order=["jet"])

    def test_an_unknown_descending_feature(self) -> None:
        self.refused("^descending: objects have no 'mas'; they have pt", descending="mas")

    def test_a_descending_feature_that_is_not_the_order(self) -> None:
        fields = {"jet.energy": FieldMap("jet.pt", ()), "jet.pt": FieldMap("jet.mass", ())}
        config().build(spaces(fields=fields, orders={"jet": "jet.energy"}))
        self.refused(
            "^descending: 'jet' are in the order of jet.pt, .* make jet.mass, and 'jet.pt' need",
            spaces(fields=fields, orders={"jet": "jet.pt"}),
        )
        self.refused(
            "^descending: 'jet' are in the order of jet.pt, .* make none alone",
            spaces(orders={"jet": "jet.pt"}),
        )

    def test_objects_that_nothing_counts(self) -> None:
        self.refused("^a sequence must know of each 'jet'", spaces(presence={}))

    def test_more_levels_than_objects(self) -> None:
        levels = {0: Levels(4), 1: Levels(4)}  # of at most three jets and two leptons
        self.refused(
            "^lepton.count has 4 levels, .* at most 2 'lepton': .* levels = 3",
            spaces(levels=levels),
        )

    def test_isotropy_without_angles(self) -> None:
        flat = Space({name: Part(part.shape, part.names) for name, part in SPACE.parts.items()})
        self.refused("^isotropic: objects have no angle", spaces(space=flat))

    def test_objects_of_two_angles(self) -> None:
        jet = Part((3, 3), SPACE.parts["jet"].names, (0, 1))
        self.refused(
            "^objects have more than one angle", spaces(space=Space({**SPACE.parts, "jet": jet}))
        )
