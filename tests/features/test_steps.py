"""The contract of every registered step: what it undoes, its Jacobian, its domain, its view."""

import math

import pytest
import torch
from torch import Tensor
from torch.func import jacrev, vmap

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events
from mleg_ray.features.steps import STEPS
from mleg_ray.features.steps.base import Layout, Quantity
from mleg_ray.features.steps.pion_pair import MASS
from mleg_ray.randomness import Noise
from tests.dis_events import ELECTRON
from tests.features.cases import CASES, JETS, SHOWERS, Case, jets, pions, showers


@pytest.fixture(
    params=[(kind, i) for kind, cases in CASES.items() for i in range(len(cases))],
    ids=lambda key: f"{key[0]} {key[1]}",
)
def case(request: pytest.FixtureRequest) -> Case:
    kind, i = request.param
    return CASES[kind][i]


# Steps that make whole numbers, sides or zeros real, shares of a sum, or nothing at all.
DISCRETE = {
    "atoms",
    "category",
    "count",
    "dequantise",
    "fraction",
    "gaussian-dequantise",
    "reflection",
    "shares",
    "slots",
    "symmetric-square",
    "typed-slots",
    "spike",
    "unary",
    "uniform-dequantise",
    "values",
    "zero-suppressed",
}


def noise(seed: int = 1) -> Noise:
    made = Noise(torch.device("cpu"))
    made.seed(seed)
    return made


def assert_same(events: Events, others: Events, tolerance: float = 1e-9) -> None:
    assert set(events.columns) == set(others.columns)
    for name, column in others.columns.items():
        found = events.columns[name].to(column.dtype)
        torch.testing.assert_close(found, column, rtol=tolerance, atol=tolerance)


def test_every_registered_step_is_tested() -> None:
    assert set(CASES) == set(STEPS)


def test_jacobians_are_compared_unless_they_are_by_other_coordinates() -> None:
    others = {kind for kind, cases in CASES.items() if not any(case.free for case in cases)}
    assert others == DISCRETE | {"mass-shell", "pion-pair", "without"}


def test_all_steps_but_the_papers_noise_are_exact() -> None:
    inexact = {kind for kind, cases in CASES.items() if not all(case.exact for case in cases)}
    assert inexact == {"gaussian-dequantise"}


class TestContract:
    def test_inverse_undoes_forward(self, case: Case) -> None:
        step, events = case.build(), case.events(2000, 1)
        changed = step(events, noise=noise())
        assert set(changed.columns) == set(events.columns) - set(step.reads) | set(step.writes)
        if not case.exact:
            pytest.skip("noise is lost")
        undone = step.inverse(changed)
        for group, present in events.present.items():
            objects = {
                name: torch.where(present, column, 0)
                for name, column in undone.columns.items()
                if name.startswith(f"{group}.")
            }
            undone = undone.replacing((), objects)
            torch.testing.assert_close(undone.present[group], present)
        # A share near an edge of the phase space is known less well.
        close = 1e-9 if step.__class__.__name__ != "PionPair" else 0.01
        assert_same(undone, events, close)

    def test_columns_have_the_promised_shapes(self, case: Case) -> None:
        step, events = case.build(), case.events(50, 2)
        changed = step(events, noise=noise())
        for name, quantity in step.writes.items():
            assert changed.columns[name].shape == (50, *quantity.shape)
            assert changed.columns[name].is_floating_point()
            if quantity.circle:
                assert changed.columns[name].abs().max() <= 1

    def test_forward_undoes_inverse_of_any_numbers(self, case: Case) -> None:
        step = case.build()
        if not step.writes or case.config.kind in DISCRETE:
            pytest.skip("makes no real numbers of its own")
        events = step(case.events(500, 3), noise=noise())
        rng = torch.Generator().manual_seed(4)
        near = {}
        for name in step.writes:
            column = events.columns[name]
            near[name] = column * (1 + 0.01 * torch.rand(column.shape, generator=rng).double())
        moved = events.replacing((), near)
        again = step(step.inverse(moved), noise=noise())
        for name, quantity in step.writes.items():
            difference = again.columns[name] - moved.columns[name]
            if quantity.circle:
                difference = torch.remainder(difference + 1, 2) - 1
            there = events.present.get(name.partition(".")[0])
            if there is not None:
                difference = difference[there]
            good = difference.abs() < 1e-6 * (1 + difference.abs())
            assert good.double().mean() > 0.98  # some numbers lie beyond an edge then

    @pytest.mark.filterwarnings("ignore:torch.searchsorted")  # `vmap` has its own strides
    def test_jacobian_is_that_of_autograd(self, case: Case) -> None:
        if not case.free:
            pytest.skip("nothing continuous is changed, or by other coordinates")
        step, events = case.build(), case.events(60, 5)
        shapes = [events.columns[name].shape[1:] for name in case.free]
        sizes = [shape.numel() for shape in shapes]

        def made(free: Tensor, others: dict[str, Tensor]) -> Tensor:
            parts = torch.split(free, sizes)
            columns = {
                name: part.reshape(1, *shape)
                for name, part, shape in zip(case.free, parts, shapes, strict=True)
            }
            given = {name: column[None] for name, column in others.items()}
            written = step.encode(case.complete({**given, **columns}))
            return torch.cat([written[name].flatten() for name in step.writes])

        free = torch.cat(
            [events.columns[name].reshape(len(events), -1) for name in case.free], dim=1
        )
        others = {n: c for n, c in events.columns.items() if n not in case.free}
        jacobian = vmap(jacrev(made))(free, others)
        absent = torch.zeros_like(free, dtype=torch.bool)
        start = 0
        for name, size in zip(case.free, sizes, strict=True):
            there = events.present.get(name.partition(".")[0])
            if there is not None:
                absent[:, start : start + size] = ~there
            start += size
        # What belongs to an absent object counts as unchanged.
        unit = torch.eye(free.shape[1]).double()
        jacobian = torch.where(absent[:, None] | absent[:, :, None], unit, jacobian)
        expected = torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(step.log_abs_det(events), expected, rtol=1e-7, atol=1e-7)

    def test_events_of_the_domain_are_inside(self, case: Case) -> None:
        assert case.build().outside(case.events(1000, 6)).float().mean() < 1e-3

    def test_view_has_what_it_shows_with_gradients(self, case: Case) -> None:
        step, events = case.build(), case.events(200, 7)
        changed = step(events, noise=noise())
        columns = {
            name: column.float().requires_grad_() if name in step.writes else column.float()
            for name, column in changed.columns.items()
        }
        seen = step.view(columns)
        assert tuple(seen) == step.shows
        exact = step.view(changed.columns)
        leaves = [columns[name] for name in step.writes]
        for name, values in seen.items():
            torch.testing.assert_close(values.double(), exact[name], rtol=2e-3, atol=2e-3)
            gradients = torch.autograd.grad(
                values.sum(), leaves, retain_graph=True, allow_unused=True
            )
            assert all(g.isfinite().all() for g in gradients if g is not None)
            assert any((g != 0).any() for g in gradients if g is not None)

    def test_a_column_that_is_not_there_is_named(self, case: Case) -> None:
        with pytest.raises(ConfigError, match=r"^(needs|no group)"):
            case.config.build(Layout({"other": Quantity()}, case.schema.groups))

    def test_weights_and_other_columns_pass(self, case: Case) -> None:
        step, events = case.build(), case.events(20, 8)
        weighted = events.weighted(torch.linspace(-1, 1, 20).double())
        for made in (step(weighted, noise=noise()), step.inverse(step(weighted, noise=noise()))):
            assert made.weight is weighted.weight
        changed = step(events, noise=noise())
        for name in set(events.columns) - set(step.reads):
            assert changed.columns[name] is events.columns[name]


class TestCount:
    def test_number_tells_which_objects_there_are(self) -> None:
        [case] = CASES["count"]
        step, events = case.build(), jets(100, 1)
        changed = step(events, noise=noise())
        assert changed.columns["jet.count"].tolist() == events.present["jet"].sum(1).tolist()
        fewer = changed.replacing((), {"jet.count": torch.ones(100).double()})
        one = step.inverse(fewer)
        assert one.present["jet"].tolist() == [[True, False, False]] * 100
        assert not one.columns["jet.pt"][:, 1:].any()

    def test_a_group_of_one_has_no_number(self) -> None:
        with pytest.raises(
            ConfigError, match="no group 'met' of a varying number; there are jet|no group 'met'"
        ):
            STEPS["count"](group="met").build(
                Layout({"met.pt": Quantity(), "jet.pt": Quantity((3,))}, {})
            )


class TestDequantise:
    def test_levels_fill_their_intervals_evenly(self) -> None:
        [case] = CASES["dequantise"]
        step, events = case.build(), jets(20_000, 1)
        made = step(events, noise=noise()).columns["jet.level_flavour"]
        share = made.sigmoid()
        flavour = events.columns["jet.flavour"]
        for level in (0, 1):
            within = 2 * share[flavour == level] - level
            assert within.min() >= 0
            assert within.max() <= 1
            assert within.mean().item() == pytest.approx(0.5, abs=0.01)
            assert within.var().item() == pytest.approx(1 / 12, rel=0.05)

    def test_noise_decides_and_nothing_else(self) -> None:
        [case] = CASES["dequantise"]
        step, events = case.build(), jets(50, 1)
        a, b, c = (step(events, noise=noise(k)).columns["jet.level_flavour"] for k in (1, 1, 2))
        torch.testing.assert_close(a, b)
        assert not torch.equal(a, c)

    def test_numbers_that_are_no_levels_are_outside(self) -> None:
        step = STEPS["dequantise"](fields=["k"], levels=3).build(Layout({"k": Quantity()}, {}))
        k = torch.tensor([0.0, 2.0, 3.0, -1.0, 0.5]).double()
        events = Events({"k": k}, {}, torch.ones(5).double())
        assert step.outside(events).tolist() == [False, False, True, True, True]


class TestPixels:
    def test_what_is_below_the_threshold_is_empty(self) -> None:
        [case] = CASES["pixels"]
        step, events = case.build(), showers(50, 1)
        made = step(events, noise=noise())
        empty = events.columns["image"] == 0
        assert not made.columns["log1p_image"][empty].any()
        small = made.replacing((), {"log1p_image": torch.full((50, 2, 3, 3), 0.05).double()})
        assert not step.inverse(small).columns["image"].any()  # 0.1 (e^0.05 - 1) = 0.005 < 0.01
        assert SHOWERS.objects == {}
        assert JETS.objects == {"jet": 3}


BEYOND = [
    ({"kind": "logarithm", "fields": ["x"]}, {"x": [1.0, 0.0, -1.0]}),
    ({"kind": "logarithm", "fields": ["x"], "above": 2.0}, {"x": [3.0, 2.0, 1.0]}),
    ({"kind": "gap", "field": "x", "below": "c"}, {"x": [1.0, 2.0, 3.0], "c": [2.0] * 3}),
    ({"kind": "interval", "fields": ["x"], "high": 1.0}, {"x": [0.5, 0.0, 2.0]}),
    ({"kind": "ratio", "field": "x", "to": "c"}, {"x": [1.0, 0.0, 1.0], "c": [1.0, 1.0, 0.0]}),
    (
        {"kind": "pixels", "fields": ["x"], "scale": 1.0, "threshold": 0.1},
        {"x": [0.0, -1.0, -2.0]},
    ),
]


@pytest.mark.parametrize(("config", "columns"), BEYOND)
def test_what_lies_outside_is_moved_inside(config: dict, columns: dict) -> None:
    tensors = {name: torch.tensor(values).double() for name, values in columns.items()}
    step = STEPS.parse(config).build(Layout(dict.fromkeys(columns, Quantity()), {}))
    events = Events(tensors, {}, torch.ones(3).double())
    assert step.outside(events).tolist() == [False, True, True]
    assert all(c.isfinite().all() for c in step(events, noise=noise()).columns.values())


NEAR = [  # of each pair the first is inside, the second closer to an edge than the resolution
    ({"kind": "gap", "field": "x", "below": "c", "resolution": 0.1}, {"x": [9.8, 9.95]}),
    ({"kind": "interval", "fields": ["x"], "high": 2.0, "resolution": 0.1}, {"x": [1.7, 1.9]}),
    ({"kind": "interval", "fields": ["x"], "high": 2.0, "resolution": 0.1}, {"x": [0.3, 0.1]}),
]


@pytest.mark.parametrize(("config", "columns"), NEAR)
def test_what_is_closer_than_the_resolution_is_outside(config: dict, columns: dict) -> None:
    tensors = {name: torch.tensor(values).double() for name, values in columns.items()}
    events = Events({**tensors, "c": torch.full((2,), 10.0)}, {}, torch.ones(2).double())
    step = STEPS.parse(config).build(Layout(dict.fromkeys(events.columns, Quantity()), {}))
    assert step.outside(events).tolist() == [False, True]


@pytest.mark.parametrize(
    ("config", "x", "made"),
    [
        ({"kind": "gap", "field": "x", "below": "c", "resolution": 0.1}, 9.95, math.log(0.1)),
        ({"kind": "gap", "field": "x", "below": "c", "resolution": 0.1}, 12.0, math.log(0.1)),
        ({"kind": "interval", "fields": ["x"], "high": 2.0, "resolution": 0.1}, 1.9, math.log(9)),
        ({"kind": "interval", "fields": ["x"], "high": 2.0, "resolution": 0.1}, -1.0, -math.log(9)),
        ({"kind": "pixels", "fields": ["x"], "scale": 1.0, "threshold": 0.1}, -1.0, 0.0),
    ],
)
def test_what_is_too_close_is_moved_to_the_edge_of_the_domain(
    config: dict, x: float, made: float
) -> None:
    step = STEPS.parse(config).build(Layout({"x": Quantity(), "c": Quantity()}, {}))
    columns = {"x": torch.tensor([x]).double(), "c": torch.tensor([10.0]).double()}
    [value] = step.encode(columns).values()
    assert value.item() == pytest.approx(made, rel=1e-6, abs=1e-12)


def test_a_pixel_above_the_threshold_stays() -> None:
    config = {"kind": "pixels", "fields": ["x"], "scale": 2.0, "threshold": 1.0}
    step = STEPS.parse(config).build(Layout({"x": Quantity()}, {}))
    pixels = torch.tensor([0.999, 1.001, 2.0], dtype=torch.float64)
    [restored] = step.decode({"log1p_x": (1 + pixels / 2).log()}).values()
    assert restored.tolist() == pytest.approx([0.0, 1.001, 2.0])


def test_one_object_that_is_there_puts_an_event_outside() -> None:
    layout = Layout({"jet.pt": Quantity((2,))}, JETS.groups)
    step = STEPS["logarithm"](fields=["jet.pt"], above=20.0).build(layout)
    pt = torch.tensor([[30.0, 0.0], [30.0, 10.0], [10.0, 30.0]]).double()
    present = torch.tensor([[True, False], [True, True], [True, True]])
    events = Events({"jet.pt": pt}, {"jet": present}, torch.ones(3).double())
    assert step.outside(events).tolist() == [False, True, True]


@pytest.mark.parametrize("kind", ["difference", "ratio", "gap"])
def test_objects_are_not_relative_to_a_number_of_the_event(kind: str) -> None:
    other = "below" if kind == "gap" else "to"
    layout = Layout({"jet.pt": Quantity((3,)), "energy": Quantity()}, JETS.groups)
    with pytest.raises(ConfigError, match=r"jet\.pt and energy differ in shape"):
        STEPS.parse({"kind": kind, "field": "jet.pt", other: "energy"}).build(layout)


def momenta(*rows: tuple[float, float, float, float]) -> Events:
    """Return electrons of these four-momenta, under 50 GeV."""
    columns = dict(zip(ELECTRON, torch.tensor(rows).double().T, strict=True))
    beam = torch.full((len(rows),), 50.0).double()
    return Events({**columns, "beam_energy": beam}, {}, torch.ones(len(rows)).double())


def test_energies_off_the_mass_shell_are_outside() -> None:
    [case] = CASES["mass-shell"]
    events = momenta((3.0, 0.0, 4.0, 5.0002), (3.0, 0.0, 4.0, 5.002), (3.0, 0.0, 4.0, 4.998))
    assert case.build().outside(events).tolist() == [False, True, True]


def test_momenta_across_one_axis_have_an_azimuth() -> None:
    [case] = CASES["spherical"]
    events = momenta((1.0, 0.0, 1.0, 2**0.5), (0.0, 1.0, 1.0, 2**0.5), (0.0, 0.0, 1.0, 1.0))
    assert case.build().outside(events).tolist() == [False, False, True]


def test_electrons_beyond_each_edge_of_the_phase_space_are_outside() -> None:
    """Of beams of 50 GeV: Q² = 1 GeV², x = 0.51/0.49, and y = 1, where x is as small as can be."""
    plus, minus = 40.0, 0.01
    low = ((plus * minus) ** 0.5, 0.0, (plus - minus) / 2, (plus + minus) / 2)
    events = momenta((3.0, 0.0, 4.0, 5.0), low, (51.0, 0.0, 0.0, 51.0), (0.0, 0.0, -5.0, 5.0))
    step = CASES["dis-kinematic"][0].build()
    assert step.outside(events).tolist() == [False, True, True, True]


def test_electrons_that_lost_nothing_or_fly_along_the_beam_are_outside() -> None:
    case = CASES["dis-lightcone"][0]
    pt = 10.0  # with E' + pz = 2 E_b and E' - pz = 1 GeV, so y = 0
    events = momenta((pt, 0.0, 49.5, 50.5), (0.0, 0.0, 20.0, 20.0), (pt, 0.0, 0.0, pt))
    assert case.build().outside(events).tolist() == [True, True, False]


def test_pairs_at_an_end_of_their_mass_range_are_outside() -> None:
    [case] = CASES["pion-pair"]
    step, events = case.build(), pions(50, 1)
    for end in (-14.0, 14.0):  # a share of 8e-7 of the range, and of as much less than 1
        there = step.encode(events.columns) | {MASS: torch.full((50,), end).double()}
        made = step.decode({**there, "photon_energy": events.columns["photon_energy"]})
        assert step.outside(events.replacing((), made)).all()


def test_number_is_the_nearest_whole_one() -> None:
    [case] = CASES["count"]
    mask = case.build().mask({"jet.count": torch.tensor([1.9, 2.1, 0.2])})
    assert mask.sum(dim=1).tolist() == [2, 2, 0]
