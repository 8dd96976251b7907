"""What steps of hadron collisions promise beside the contract of all steps."""

import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch
from torch import Tensor

from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import Events, EventSchema, Field, Group
from mleg_ray.features import FeatureMap, FeatureMapConfig
from mleg_ray.features.steps import STEPS, Step
from mleg_ray.features.steps.base import Layout, Quantity
from mleg_ray.models import Spaces
from mleg_ray.models.flow import FlowConfig
from mleg_ray.randomness import Noise
from tests.features.cases import CASES, DIMUONS, MUON, POLAR, dimuons, energetic, jets, polar

N = 100_000


def noise(seed: int = 1) -> Noise:
    made = Noise(torch.device("cpu"))
    made.seed(seed)
    return made


def numbers(**columns: Tensor) -> Events:
    """Return events of these columns."""
    doubles = {name: column.double() for name, column in columns.items()}
    return Events(doubles, {}, torch.ones(len(next(iter(doubles.values())))).double())


def built(kind: str, *names: str, **settings: object) -> Step:
    """Build a step of numbers of the event."""
    return STEPS.parse({"kind": kind, **settings}).build(
        Layout(dict.fromkeys(names, Quantity()), {})
    )


def normal(n: int, seed: int = 1) -> Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mapped(schema: EventSchema, *steps: dict) -> FeatureMap:
    return FeatureMapConfig.model_validate({"steps": steps}).build(schema, {})


class TestAcceptance:
    def columns(self) -> dict[str, Tensor]:
        """M = 100, back to back, a ratio of 0.4: η2 may be from -1.06 to 3.06, and to 2.5."""
        of_pair = {"pair.mass": 100, "pair.acoplanarity": 0, "pair.log_ratio_pt": math.log(0.4)}
        return {n: torch.full((1,), v).double() for n, v in {**of_pair, "mu1.eta": 1.0}.items()}

    def step(self) -> Step:
        names = (*self.columns(), "mu2.eta")
        return built("acceptance", *names, groups=["mu1", "mu2"], pt=20.0, eta=2.5)

    def test_events_that_do_not_pass_are_outside(self) -> None:
        for changed, outside in (
            ({}, False),
            ({"mu2.eta": -1.07}, True),  # p_T2 < 20
            ({"mu2.eta": 2.51}, True),
            ({"mu1.eta": 2.51}, True),
            ({"pair.log_ratio_pt": 0.01}, True),  # the second is the harder one
            ({"pair.log_ratio_pt": math.log(0.15), "mu2.eta": 1.0}, True),  # 0.16 at Δη = 0
            ({"pair.mass": 39.9, "mu2.eta": 1.0}, True),  # two of 20 back to back have 40
            ({"pair.mass": 39.9, "pair.log_ratio_pt": 0.002, "mu2.eta": 1.0}, True),
            ({"pair.log_ratio_pt": 0.0}, True),  # on an edge, which lies at infinity
            ({"mu2.eta": 2.5}, True),
        ):
            own = {n: torch.full((1,), v).double() for n, v in changed.items()}
            events = numbers(**{"mu2.eta": torch.full((1,), 2.0), **self.columns(), **own})
            assert self.step().outside(events).item() is outside, changed

    def test_whatever_a_network_makes_passes(self) -> None:
        """p_T2² = M² r / 2 (cosh Δη - cos Δφ) of massless particles."""
        made = numbers(
            **{
                "pair.mass": 50 + 100 * torch.rand(N, generator=torch.Generator().manual_seed(1)),
                "pair.acoplanarity": (0.3 * normal(N, 2)).clamp(-0.9, 0.9),
                "mu1.eta": (2 * normal(N, 3)).clamp(-2.49, 2.49),
                "pair.inside_log_ratio_pt": 3 * normal(N, 4),
                "mu2.inside_eta": 3 * normal(N, 5),
            }
        )
        back = self.step().inverse(made).columns
        ratio, eta = back["pair.log_ratio_pt"].exp(), back["mu2.eta"]
        cosine = (math.pi * (1 + back["pair.acoplanarity"])).cos()
        opening = (eta - back["mu1.eta"]).cosh() - cosine
        pt2 = back["pair.mass"] * (ratio / (2 * opening)).sqrt()
        assert pt2.min() >= 20 - 1e-6
        assert ratio.max() <= 1
        assert eta.abs().max() <= 2.5

    def test_needs_two_particles(self) -> None:
        with pytest.raises(ConfigError, match="'mu1' is no pair with itself"):
            built("acceptance", "mu1.eta", groups=["mu1", "mu1"], pt=20.0, eta=2.5)


class TestBreakup:
    def test_parents_that_are_too_light_are_outside_and_have_no_momentum(self) -> None:
        step = built("breakup", "M", "m", parent="M", product="m", other=172.5)
        masses = numbers(
            M=torch.tensor([300.0, 272.4, 272.6, 100.0, 300.0]),
            m=torch.tensor([100.0, 100, 100, 20, -1]),
        )
        assert step.outside(masses).tolist() == [False, True, False, True, True]
        made = step(masses, noise=noise())
        p = made.columns["breakup_m"]
        assert (p > 0).tolist() == [True, False, True, False, True]
        # √(p² + 172.5²) + √(p² + m²) is the parent's mass again.
        energies = torch.hypot(p, torch.tensor(172.5)) + torch.hypot(p, masses.columns["m"])
        torch.testing.assert_close(energies[[0, 2]], masses.columns["M"][[0, 2]])
        back = step.inverse(made).columns["m"]
        torch.testing.assert_close(back[:4], torch.tensor([100.0, 99.9, 100.0, 0]).double())


class TestGaussianDequantise:
    def test_numbers_come_back_half_too_small(self) -> None:
        """floor(3 + ε/2) is 2 or 3 if |ε| < 2, which is 95.4%, and 1 or 4 if |ε| < 4."""
        step = built("gaussian-dequantise", "k", fields=["k"])
        events = numbers(k=torch.full((N,), 3))
        back = step.inverse(step(events, noise=noise())).columns["k"]
        assert back.mean().item() == pytest.approx(2.5, abs=4 * 0.58 / math.sqrt(N))
        near, far = (NormalDist().cdf(2) - 0.5), NormalDist().cdf(-2)
        for k, share in ((1, far), (2, near), (3, near), (4, far)):
            assert (back == k).double().mean().item() == pytest.approx(share, abs=0.007)

    def test_uniform_noise_is_exact(self) -> None:
        step = built("dequantise", "k", fields=["k"], levels=7)
        events = numbers(k=torch.full((N,), 3))
        back = step.inverse(step(events, noise=noise())).columns["k"]
        assert (back == 3).all()

    def test_the_first_and_the_last_level_reach_to_infinity(self) -> None:
        step = built("dequantise", "k", fields=["k"], levels=7)
        back = step.inverse(numbers(level_k=torch.tensor([-50.0, 50])))
        assert back.columns["k"].tolist() == [0, 6]
        step = built("dequantise", "k", fields=["k"], levels=1000)
        events = numbers(k=torch.tensor([0.0, 999]).repeat(500))
        back = step.inverse(step(events, noise=noise()))
        assert torch.equal(back.columns["k"], events.columns["k"])

    def test_what_is_no_whole_number_is_outside(self) -> None:
        step = built("gaussian-dequantise", "k", fields=["k"])
        assert step.outside(numbers(k=torch.tensor([-2.0, 1.5]))).tolist() == [False, True]


class TestUnary:
    def test_numbers_that_no_bits_tell_are_outside_and_moved(self) -> None:
        """Of three bits: 4 is moved to 3, -1 to 0, and 1.75 reaches 2 but for rounding."""
        step = built("unary", "n", fields=["n"], most=3)
        events = numbers(n=torch.tensor([0.0, 3, 4, -1, 1.75]))
        assert step.outside(events).tolist() == [False, False, True, True, True]
        back = step.inverse(step(events, noise=noise())).columns["n"]
        assert back.tolist() == [0, 3, 3, 0, 2]


class TestCategory:
    def test_the_largest_is_chosen(self) -> None:
        step = built("category", "k", fields=["k"], levels=3)
        made = {"is_0_k": [0.2, 0.1], "is_1_k": [0.1, 0.3], "is_2_k": [0.3, 0.2]}
        decoded = step.decode({name: torch.tensor(values) for name, values in made.items()})
        assert decoded["k"].tolist() == [2, 1]

    def test_numbers_that_are_no_levels_are_outside_and_moved(self) -> None:
        step = built("category", "k", fields=["k"], levels=2)
        events = numbers(k=torch.tensor([0.0, 1.0, 2.0, -1.0, 0.6]))
        assert step.outside(events).tolist() == [False, False, True, True, True]
        made = step(events, noise=noise())
        assert made.columns["is_1_k"].tolist() == [0, 1, 1, 0, 1]

    def test_networks_see_a_condition_as_ones_and_zeros(self) -> None:
        schema = EventSchema([Field(name="x"), Field(name="process", role="condition")])
        given = {"conditions": [{"kind": "category", "fields": ["process"], "levels": 2}]}
        built_map = FeatureMapConfig.model_validate(given).build(schema, {})
        events = numbers(x=normal(100), process=(torch.arange(100) % 4 == 0))
        fitted = built_map.fit([events])
        assert fitted.condition_space.width == 2
        back = fitted.given(fitted.condition(events))
        assert torch.equal(back.columns["process"].double(), events.columns["process"])


class TestRotation:
    @pytest.mark.parametrize("case", CASES["rotation"][:2])
    def test_another_angle_is_the_same_event_seen_from_elsewhere(self, case: object) -> None:
        """Turned by 1 rad: mu2's momentum is, and so is all that turns with it."""
        step, events = case.build(), case.events(500, 3)
        changed = step(events, noise=noise())
        turn = changed.columns["mu2.turn"]
        other = step.inverse(changed.replacing((), {"mu2.turn": turn + 1 / math.pi}))
        for group in ("mu2", "mu1", "met"):
            before, after = (azimuths(one, group) for one in (events, other))
            difference = torch.remainder(after - before - 1 + math.pi, 2 * math.pi) - math.pi
            assert difference.abs().max() < 1e-9, group

    def test_a_dropped_angle_is_zero_and_the_missing_momentum_stays(self) -> None:
        step, events = CASES["rotation"][2].build(), dimuons(500, 3)
        made = step.inverse(step(events, noise=noise()))
        assert not made.columns["mu2.py"].any()
        pt = torch.hypot(events.columns["mu2.px"], events.columns["mu2.py"])
        torch.testing.assert_close(made.columns["mu2.px"], pt)
        before, after = (azimuths(e, "mu1") - azimuths(e, "mu2") for e in (events, made))
        torch.testing.assert_close((after - before).cos(), torch.ones(500).double())
        assert made.columns["met.px"] is events.columns["met.px"]

    def test_what_has_no_azimuth_is_outside(self) -> None:
        step = built("rotation", "a.px", "a.py", along="a")
        events = numbers(**{"a.px": torch.tensor([0.0, 0, 1]), "a.py": torch.tensor([0.0, 2, 0])})
        assert step.outside(events).tolist() == [True, False, False]
        made = step(events, noise=noise())
        assert all(column.isfinite().all() for column in made.columns.values())

    def test_frames_that_are_none_are_refused(self) -> None:
        columns = {
            "a.px": Quantity(),
            "a.py": Quantity(),
            "c.phi": Quantity(),
            "jet.phi": Quantity((3,)),
        }
        layout = Layout(columns | {"jet.pt": Quantity((3,))}, {})
        for settings, message in (
            ({"along": "a", "groups": ["a"]}, "leave it out of groups"),
            ({"along": "jet"}, "'jet' has a varying number of objects"),
            ({"along": "b"}, "needs b.px, b.py"),
            ({"along": "c", "angle": "dropped"}, "nothing turns with an azimuth that is dropped"),
        ):
            with pytest.raises(ConfigError, match=message):
                STEPS.parse({"kind": "rotation", **settings}).build(layout)

    def test_a_flow_draws_the_angle_whatever_it_has_learned(self) -> None:
        fitted = mapped(
            DIMUONS.without({f.name for f in DIMUONS.fields if f.group == "jet"} | {"process"}),
            {"kind": "rotation", "along": "mu2", "groups": ["mu1", "met"]},
        )
        torch.manual_seed(1)
        model = FlowConfig(transforms=1, bins=4, hidden=(8,), even=("mu2.turn",)).build(
            Spaces.of(fitted)
        )
        rng = torch.Generator().manual_seed(1)
        n = 10_000
        given = Events({}, {}, torch.ones(n).double())
        made = fitted.decode(model.sample(n, torch.zeros(n, 0), generator=rng), given)
        # Not yet fitted, the map may give p_T below zero, which lies on the other side.
        ordered = (azimuths(made, "mu2").sort().values / math.pi + 1) / 2
        even = (torch.arange(n) + 0.5).double() / n
        assert (ordered - even).abs().max() < 1.63 / math.sqrt(n)  # Kolmogorov-Smirnov, at 1%

    def test_density_of_a_dropped_angle_is_that_of_a_uniform_one(self) -> None:
        kept, dropped = (
            STEPS.parse({"kind": "rotation", "along": "mu2", "angle": angle}).build(
                Layout(dict.fromkeys(("mu2.px", "mu2.py"), Quantity()), {})
            )
            for angle in ("feature", "dropped")
        )
        events = dimuons(100, 4)
        of_turn = math.log(1 / 2)  # uniform on [-1, 1)
        torch.testing.assert_close(dropped.log_abs_det(events), kept.log_abs_det(events) + of_turn)


def azimuths(events: Events, group: str) -> Tensor:
    columns = events.columns
    if f"{group}.phi" in columns:
        return columns[f"{group}.phi"]
    return torch.atan2(columns[f"{group}.py"], columns[f"{group}.px"])


class TestReflection:
    def test_sides_fill_their_half_turns_evenly(self) -> None:
        [case] = CASES["reflection"]
        step, events = case.build(), dimuons(20_000, 1)
        made = step(events, noise=noise())
        side, below = made.columns["mu1.side_pz"], events.columns["mu1.pz"] < 0
        assert (side[below] < 0).all()
        assert (side[~below] >= 0).all()
        for u in (side[below] + 1, side[~below]):
            assert u.mean().item() == pytest.approx(0.5, abs=0.01)
            assert u.var().item() == pytest.approx(1 / 12, rel=0.05)
        assert (made.columns["mu1.folded_pz"] >= 0).all()

    def test_the_other_side_is_the_mirror_image(self) -> None:
        [case] = CASES["reflection"]
        step, events = case.build(), dimuons(500, 1)
        made = step(events, noise=noise())
        mirrored = step.inverse(
            made.replacing((), {"mu1.side_pz": made.columns["mu1.side_pz"] + 1})
        )
        for name, column in events.columns.items():
            sign = -1 if name in ("mu1.pz", "mu2.pz", "jet.eta") else 1
            torch.testing.assert_close(mirrored.columns[name], sign * column)

    def test_a_number_below_zero_is_none(self) -> None:
        step = built("reflection", "x", by="x")
        made = numbers(folded_x=torch.tensor([-2.0, -3]), side_x=torch.tensor([0.5, -0.5]))
        assert step.inverse(made).columns["x"].tolist() == [2, -3]

    def test_mirrors_that_are_none_are_refused(self) -> None:
        layout = Layout({"x": Quantity(), "jet.eta": Quantity((3,))}, {})
        for settings, message in (
            ({"by": "x", "fields": ["x"]}, "leave it out of fields"),
            ({"by": "jet.eta"}, "'jet.eta' is not one number an event"),
        ):
            with pytest.raises(ConfigError, match=message):
                STEPS.parse({"kind": "reflection", **settings}).build(layout)


class TestPair:
    def test_any_numbers_are_a_pair_of_this_mass(self) -> None:
        [case] = CASES["pair"]
        step = case.build()
        mass = torch.tensor([1.0, 91.2, 1e4, 0.1]).double()
        made = {
            "z.mass": mass,
            "z.acoplanarity": torch.tensor([0.9999, 0.2, -0.5, 0.0]).double(),
            "z.log_ratio_pt": torch.tensor([-3.0, 0.1, 4.0, 0.0]).double(),
        }
        stay = {"mu1.eta": [2.0, 0, -3, 0], "mu2.eta": [2.1, -2, 3, 0], "mu1.phi": [3.0, 1, 2, 0]}
        stay = {name: torch.tensor(values).double() for name, values in stay.items()}
        decoded = step.decode({**made, **stay})
        assert all((decoded[f"mu{i}.pt"] > 0).all() for i in (1, 2))
        again = step.encode({**decoded, **stay})
        # The last is below the mass of two muons at rest.
        expected = torch.cat([mass[:3], torch.tensor([2 * 0.10566]).double()])
        torch.testing.assert_close(again["z.mass"], expected, rtol=1e-6, atol=1e-9)
        for name in ("z.acoplanarity", "z.log_ratio_pt"):
            torch.testing.assert_close(again[name], made[name])

    def test_what_has_no_transverse_momentum_or_is_at_rest_together_is_outside(self) -> None:
        step, events = CASES["pair"][0].build(), polar(4, 1)
        assert not step.outside(events).any()
        for muon in ("mu1", "mu2"):
            pt = torch.tensor([0.0, 1.0, 1.0, 1.0]).double()
            found = step.outside(events.replacing((), {f"{muon}.pt": pt}))
            assert found.tolist() == [True, False, False, False]
        columns = events.columns
        same = {f"mu2.{part}": columns[f"mu1.{part}"] for part in ("pt", "eta", "phi")}
        assert step.outside(events.replacing((), same)).all()

    def test_pairs_that_are_none_are_refused(self) -> None:
        names = [f"{g}.{part}" for g in ("mu1", "mu2") for part in ("pt", "eta", "phi")]
        for shape, groups, mass, message in (
            ((), ("mu1", "mu1"), 0.1, "'mu1' is no pair with itself"),
            ((3,), ("mu1", "mu2"), 0.1, "'mu1' has a varying number of objects"),
            ((), ("mu1", "mu2"), None, "group 'mu1' has no mass; declare groups.mu1.mass"),
        ):
            layout = Layout(
                dict.fromkeys(names, Quantity(shape)), {"mu1": Group(mass=mass), "mu2": Group()}
            )
            with pytest.raises(ConfigError, match=message):
                STEPS.parse({"kind": "pair", "groups": groups}).build(layout)

    def test_features_of_two_muons_in_the_frame_of_their_pair(self) -> None:
        """The steps follow on each other: six components, of which one is an even angle."""
        muons = [{"kind": "transverse", "group": muon} for muon in ("mu1", "mu2")]
        schema = EventSchema(
            [f for f in DIMUONS.fields if f.group in ("mu1", "mu2", "met")],
            {name: DIMUONS.groups[name] for name in ("mu1", "mu2", "met")},
        )
        fitted = mapped(
            schema,
            *muons,
            {"kind": "pair", "groups": ["mu1", "mu2"]},
            {"kind": "logarithm", "fields": ["pair.mass"], "above": 2 * 0.10566},
            {"kind": "rotation", "along": "mu1", "groups": ["met"]},
        )
        assert set(fitted.space.parts["event"].names) == {
            *("pair.log_mass", "pair.acoplanarity", "pair.log_ratio_pt"),
            *("mu1.eta", "mu1.turn", "mu2.eta", "met.turned_px", "met.turned_py"),
        }
        events = dimuons(5000, 1).choose(schema.event)
        fitted.fit([events])
        back = fitted.decode(fitted.encode(events, noise=noise()).x, events)
        for name in schema.event:
            error = (back.columns[name] - events.columns[name]).abs()
            assert error.max() < 1e-4 * (1 + events.columns[name].abs().max()), name
        assert fitted.outside_fraction == 0


class TestOrdered:
    def test_any_numbers_come_back_in_order_above_the_edge(self) -> None:
        step = CASES["ordered"][0].build()
        y = 5 * normal(3000).view(1000, 3)
        pt = step.decode({"jet.ordered_pt": y})["jet.pt"]
        assert (pt.diff(dim=1) <= 0).all()
        assert (pt >= 20).all()

    def test_what_is_not_in_order_is_outside(self) -> None:
        step = built("ordered", "x", "w", fields=["x", "w"], above=1.0, resolution=0.01)
        x, w = torch.tensor([[5.0, 3], [3, 5], [0.5, 0.2], [5, 4.97], [5, 1.03], [2, 0.9]]).T
        events = numbers(x=x, w=w)
        assert step.outside(events).tolist() == [False, True, True, True, True, True]
        made = step(events, noise=noise())
        assert all(column.isfinite().all() for column in made.columns.values())
        assert made.columns["ordered_w"][1].item() == pytest.approx(math.log(99))

    def test_absent_objects_are_not_out_of_order(self) -> None:
        step = CASES["ordered"][0].build()
        events = jets(1000, 1)
        assert not step.outside(events).any()
        pt = events.columns["jet.pt"]
        swapped = events.replacing((), {"jet.pt": pt[:, [1, 0, 2]]})
        two = events.present["jet"][:, 1]
        assert torch.equal(step.outside(swapped), two | (events.present["jet"].sum(1) == 1))

    def test_a_lone_number_has_no_order(self) -> None:
        with pytest.raises(ConfigError, match="one field of objects, or two or more numbers"):
            built("ordered", "x", fields=["x"])


class TestSlots:
    SCHEMA = EventSchema(
        [Field(name="jet.pt", unit="GeV"), Field(name="jet.eta"), Field(name="met", unit="GeV")],
        {"jet": Group(most=3, ordered_by="pt")},
    )
    PT = torch.tensor([[50.0, 30, 0], [20, 0, 0], [0, 0, 0]]).double()
    ETA = torch.tensor([[-1.0, 2, 0], [0.5, 0, 0], [0, 0, 0]]).double()
    EVENTS = Events(
        {"jet.pt": PT, "jet.eta": ETA, "met": torch.tensor([1.0, 2, 3]).double()},
        {"jet": PT > 0},
        torch.ones(3).double(),
    )

    def test_features_are_the_objects_and_zeros(self) -> None:
        fitted = mapped(self.SCHEMA, {"kind": "slots", "group": "jet"})
        names = [f"jet.{field}_{place}" for field in ("pt", "eta") for place in (1, 2, 3)]
        [part] = fitted.space.parts.values()
        assert part.names == (*names, "met")
        x = fitted.encode(self.EVENTS, noise=noise()).x
        expected = torch.cat([self.PT, self.ETA, torch.tensor([[1.0], [2], [3]])], dim=1)
        torch.testing.assert_close(x, expected.float())

    def test_what_a_network_makes_is_counted_by_the_threshold_and_ordered(self) -> None:
        """Of 12, 40, 16 GeV above 15 there are 40 and 16, and the 0.3 of the first is lost."""
        fitted = mapped(self.SCHEMA, {"kind": "slots", "group": "jet", "above": 15.0})
        x = torch.tensor([[12.0, 40, 16, 0.3, 0.4, 0.6, 7], [-5, 15, 14, 1, 2, 3, 8]])
        made = fitted.decode(x, Events({}, {}, torch.ones(2).double()))
        assert made.present["jet"].tolist() == [[True, True, False], [False] * 3]
        assert made.columns["jet.pt"].tolist() == [[40, 16, 0], [0, 0, 0]]
        torch.testing.assert_close(
            made.columns["jet.eta"], torch.tensor([[0.4, 0.6, 0], [0, 0, 0]]).double()
        )
        assert made.columns["met"].tolist() == [7, 8]

    def test_zeros_are_no_objects(self) -> None:
        fitted = mapped(self.SCHEMA, {"kind": "slots", "group": "jet"})
        x = torch.tensor([[0.0, 40, -3, 1, 2, 3, 7]])
        made = fitted.decode(x, Events({}, {}, torch.ones(1).double()))
        assert made.present["jet"].tolist() == [[True, False, False]]
        assert made.columns["jet.eta"].tolist() == [[2, 0, 0]]

    def test_objects_that_would_be_lost_are_outside(self) -> None:
        step = STEPS.parse({"kind": "slots", "group": "jet", "above": 30.0}).build(
            Layout({"jet.pt": Quantity((3,)), "jet.eta": Quantity((3,))}, self.SCHEMA.groups)
        )
        assert step.outside(self.EVENTS).tolist() == [True, True, False]

    def test_refusals(self) -> None:
        with pytest.raises(ConfigError, match=r"features.steps.0: slots: no group 'lepton'"):
            mapped(self.SCHEMA, {"kind": "slots", "group": "lepton"})
        logarithm = {"kind": "logarithm", "fields": ["jet.pt"]}
        with pytest.raises(ConfigError, match=r"features.steps.1: slots: needs jet.pt; there are"):
            mapped(self.SCHEMA, logarithm, {"kind": "slots", "group": "jet"})
        with pytest.raises(ConfigError, match=r"'jet.flavour' is a whole number"):
            mapped(CASES["count"][0].schema, {"kind": "slots", "group": "jet"})


class TestSpike:
    def test_the_value_comes_back_exactly_with_its_probability(self) -> None:
        fitted = mapped(EventSchema([Field(name="iso")]), {"kind": "spike", "fields": ["iso"]}).fit(
            [isolations(N)]
        )
        events = isolations(N, 2)
        batch = fitted.encode(events, noise=noise())
        back = fitted.decode(batch.x, events).columns["iso"]
        assert torch.equal(back == 0, events.columns["iso"] == 0)
        torch.testing.assert_close(back, events.columns["iso"], rtol=1e-5, atol=0)

    def test_where_there_is_no_number_there_is_noise_like_the_others(self) -> None:
        events = isolations(N)
        fitted = mapped(EventSchema([Field(name="iso")]), {"kind": "spike", "fields": ["iso"]}).fit(
            [events]
        )
        x = fitted.encode(events, noise=noise()).x
        assert fitted.space.parts["event"].names == ("has_iso", "log_iso")
        absent = events.columns["iso"] == 0
        for own in (x[absent, 1], x[~absent, 1]):
            assert own.mean().item() == pytest.approx(0, abs=0.02)
            assert own.std().item() == pytest.approx(1, abs=0.02)
        assert not torch.equal(x, fitted.encode(events, noise=noise(2)).x)

    def test_density_is_the_probability_of_the_value(self) -> None:
        """Of a class with p = 0.3 and a number that is normal: log p in the mean over the noise."""
        events = isolations(N)
        fitted = mapped(EventSchema([Field(name="iso")]), {"kind": "spike", "fields": ["iso"]}).fit(
            [events]
        )
        at = events[events.columns["iso"] == 0]
        share = (fitted.encode(at, noise=noise()).x[:, 0].double()) * fitted.feature_std[0]
        share = (share + fitted.feature_mean[0]).sigmoid()
        # s = (k + u)/2 has the density 2p below 1/2; that of its standardised logit is:
        of_class = (2 * 0.3 * share * (1 - share) * fitted.feature_std[0]).log()
        e = fitted.encode(at, noise=noise()).x[:, 1].double()
        of_number = -(e.square() + math.log(2 * math.pi)) / 2
        density = (of_class + of_number + fitted.log_abs_det(at)).mean()
        assert density.item() == pytest.approx(math.log(0.3), abs=0.02)

    def test_numbers_in_between_are_outside(self) -> None:
        step = built("spike", "pt", fields=["pt"], above=15.0)
        pt = torch.tensor([0.0, 16.0, 15.0, 7.0, -1.0])
        assert step.outside(numbers(pt=pt)).tolist() == [False, False, True, True, True]
        back = step.inverse(step(numbers(pt=pt), noise=noise())).columns["pt"]
        assert back.tolist() == pytest.approx([0, 16, 0, 0, 0])

    def test_weights_count(self) -> None:
        step = built("spike", "x", fields=["x"])
        x = torch.tensor([0.0, 1, math.e**4]).double()
        step.learn([Events({"x": x}, {}, torch.tensor([9.0, -3, 1]).double())])
        assert step.mean.item() == pytest.approx(1)  # (3 · 0 + 1 · 4)/4
        assert step.std.item() == pytest.approx(math.sqrt(3))  # (3 · 1 + 1 · 9)/4

    def test_settings_and_events_without_numbers_are_refused(self) -> None:
        with pytest.raises(ValueError, match="above, -1, must not be below at, 0"):
            built("spike", "x", fields=["x"], above=-1.0)
        step = built("spike", "x", fields=["x"], above=0.0)  # the edge may be at the value
        with pytest.raises(DataError, match="no train event has a 'x' above 0"):
            step.learn([numbers(x=torch.zeros(10))])


def isolations(n: int, seed: int = 1) -> Events:
    """Draw exp of normal numbers, and zeros in 30% of the events."""
    u = torch.rand(n, generator=torch.Generator().manual_seed(seed + 100))
    return numbers(iso=torch.where(u < 0.3, 0.0, (normal(n, seed) / 2 - 1).exp()))


class TestQuantile:
    def test_whatever_comes_becomes_normal(self) -> None:
        step = built("quantile", "x", fields=["x"])
        x = normal(N).exp() + normal(N, 2).abs()
        step.learn([numbers(x=x[:50_000]), numbers(x=x[50_000:])])
        y = step(numbers(x=normal(N, 3).exp() + normal(N, 4).abs()), noise=noise())
        ordered = y.columns["quantile_x"].sort().values
        share = torch.special.ndtr(ordered)
        even = (torch.arange(N) + 0.5).double() / N
        assert (share - even).abs().max() < 2 * 1.63 / math.sqrt(N)  # of both samples, at 1%

    def test_the_open_side_leaves_the_range_of_the_train_split(self) -> None:
        """Of exponential numbers beyond the largest of 40,000 as many as there should be."""
        step = built("quantile", "x", fields=["x"], open=["high"])
        u = torch.rand(40_000, generator=torch.Generator().manual_seed(5)).double()
        x = -torch.log1p(-u)
        step.learn([numbers(x=x)])
        made = step.decode({"quantile_x": normal(2_000_000, 6)})["x"]
        assert made.max() > x.max() + 1
        assert made.min() >= x.min()
        far = math.log(1e5)  # a probability of 1e-5: 20 of two million; the tail's length is known
        assert 5 < (made > far).sum() < 55  # to 16%, which makes a factor of 0.5 to 2

    def test_what_is_generated_far_away_is_finite(self) -> None:
        for to in ("normal", "uniform"):
            step = built("quantile", "x", fields=["x"], to=to)
            step.learn([numbers(x=normal(30_000))])
            for dtype in (torch.float32, torch.float64):
                x = step.decode({"quantile_x": torch.tensor([-30, 0, 30], dtype=dtype)})["x"]
                assert x.isfinite().all()
                assert x[0] < x[1] < x[2]
            y = step.encode({"x": torch.tensor([-1e3, 1e3]).double()})["quantile_x"]
            assert y.isfinite().all()

    def test_closed_sides_are_ends(self) -> None:
        step = built("quantile", "x", fields=["x"], open=[])
        x = 10 * torch.rand(30_000, generator=torch.Generator().manual_seed(5)).double()
        step.learn([numbers(x=x)])
        ends = step.decode({"quantile_x": torch.tensor([-9.0, 9.0]).double()})["x"]
        torch.testing.assert_close(ends, torch.stack([x.min(), x.max()]))
        assert step.outside(numbers(x=torch.tensor([-1.0, 5, 11]))).tolist() == [True, False, True]

    def test_few_numbers_are_learned(self) -> None:
        """Of 300 exponential numbers, fewer than there are intervals, up to a closed end."""
        step = built("quantile", "x", fields=["x"], open=["high"], tail=0.1)
        x = -torch.log1p(-(torch.arange(300) + 0.5).double() / 300)
        step.learn([numbers(x=x)])
        made = step.decode({"quantile_x": normal(200_000, 6)})["x"]
        shares = torch.tensor([0.01, 0.1, 0.5, 0.9, 0.99]).double()
        torch.testing.assert_close(made.quantile(shares), -torch.log1p(-shares), rtol=0.06, atol=0)
        assert made.min() >= x.min()

    def test_between_the_tails_are_quantiles(self) -> None:
        step = built("quantile", "x", fields=["x"], tail=0.01)
        share = (torch.arange(30_000) + 0.5).double() / 30_000
        step.learn([numbers(x=-1 / share)])  # whose quantile of a share s is -1/s
        shares = torch.linspace(0.01, 0.99, 1001, dtype=torch.float64)
        torch.testing.assert_close(step.knots[0], -1 / shares, rtol=1e-5, atol=0)

    def test_weights_count(self) -> None:
        weighted, repeated = (built("quantile", "x", fields=["x"], tail=0.1) for _ in range(2))
        x = normal(2000)
        weight = torch.where(torch.arange(2000) < 1000, -2.0, 1.0).double()
        weighted.learn([Events({"x": x}, {}, weight)])
        repeated.learn([numbers(x=torch.cat([x, x[:1000]]))])
        for name in ("low", "high"):
            found, expected = getattr(weighted, name), getattr(repeated, name)
            torch.testing.assert_close(found, expected, rtol=0.02, atol=0.0)
        torch.testing.assert_close(weighted.knots, repeated.knots, rtol=0, atol=0.02)

    def test_absent_objects_are_not_learned(self) -> None:
        step = CASES["quantile"][0].build()
        assert step.knots[1].min() > 20  # GeV, where the softest jets are

    def test_what_cannot_be_learned_is_refused(self) -> None:
        step = built("quantile", "x", fields=["x"])
        with pytest.raises(DataError, match="1000 train numbers of 'x'.*at least 20,000 are "):
            step.learn([numbers(x=normal(1000))])
        with pytest.raises(DataError, match="0 occurs too often as 'x' for a continuous number"):
            step.learn([numbers(x=normal(30_000).clamp(min=0))])

    def test_a_tail_of_one_heavy_event_is_refused(self) -> None:
        """The largest number has 0.3% of all weight: beyond it there is no other."""
        x = normal(30_000).sort().values
        weight = torch.ones_like(x)
        weight[-1] = 90
        step = built("quantile", "x", fields=["x"])
        with pytest.raises(DataError, match="have more weight than the tail of 0.001 of 'x'"):
            step.learn([Events({"x": x}, {}, weight)])


@pytest.mark.parametrize("kind", ["interval", "ordered"])
@pytest.mark.parametrize("resolution", [0, 1e-17, 0.5])
def test_ends_are_further_away_than_rounding(kind: str, resolution: float) -> None:
    settings = {"fields": ["x", "w"], "resolution": resolution}
    with pytest.raises(ValueError, match="resolution"):
        built(kind, "x", "w", **settings, **({"high": 1.0} if kind == "interval" else {}))


class TestLearning:
    STEPS = (
        {"kind": "logarithm", "fields": ["x"]},
        {"kind": "quantile", "fields": ["log_x"]},
        {"kind": "spike", "fields": ["iso"]},
    )
    SCHEMA = EventSchema([Field(name="x"), Field(name="iso")])

    def events(self, seed: int) -> Events:
        zero = isolations(30_000, seed)
        return zero.replacing((), {"x": (2 * normal(30_000, seed + 7) + 3).exp()})

    def test_steps_learn_of_what_those_before_leave(self) -> None:
        fitted = mapped(self.SCHEMA, *self.STEPS).fit([self.events(1), self.events(2)])
        x = fitted.encode(self.events(3), noise=noise()).x
        place = fitted.space.parts["event"].names.index("quantile_log_x")
        assert fitted.feature_mean[place].abs() < 1e-3
        assert fitted.feature_std[place].item() == pytest.approx(1, abs=1e-2)
        assert x.mean(dim=0).abs().max() < 0.03

    def test_what_was_learned_travels_with_the_statistics(self) -> None:
        fitted = mapped(self.SCHEMA, *self.STEPS).fit([self.events(1)])
        other = mapped(self.SCHEMA, *self.STEPS)
        other.load_state_dict(fitted.state_dict())
        events = self.events(2)
        a, b = (one.encode(events, noise=noise()).x for one in (fitted, other))
        assert torch.equal(a, b)
        back = other.decode(a, events)
        torch.testing.assert_close(back.columns["x"], events.columns["x"], rtol=1e-4, atol=0)

    def test_conditions_are_not_learned_of(self) -> None:
        schema = EventSchema([Field(name="x"), Field(name="c", role="condition")])
        given = {"conditions": [{"kind": "quantile", "fields": ["c"]}]}
        with pytest.raises(
            ConfigError, match=r"features.conditions.0: quantile: it learns of what"
        ):
            FeatureMapConfig.model_validate(given).build(schema, {})


def test_polar_coordinates_of_momenta_along_the_beam_are_none() -> None:
    step = STEPS.parse({"kind": "transverse", "group": "a"}).build(
        Layout(dict.fromkeys(("a.px", "a.py", "a.pz"), Quantity()), {})
    )
    momenta = {"a.px": [1.0, 0, 0], "a.py": [0.0, 2, 0], "a.pz": [1.0, 1, 1]}
    events = numbers(**{name: torch.tensor(values) for name, values in momenta.items()})
    assert step.outside(events).tolist() == [False, False, True]
    assert POLAR.objects == {"jet": 3}


class TestRealMuons:
    """Pairs of muons that CMS measured in 2011."""

    def test_mass_of_a_pair_is_the_one_beside_it(self, reference_data: Path) -> None:
        file = reference_data / "cms-open-data" / "Zmumu_Run2011A_masses.csv"
        table = np.loadtxt(file, delimiter=",", skiprows=1, usecols=(4, 5, 6, 13, 14, 15, 20))
        *momenta, mass = torch.from_numpy(table).unbind(1)
        names = [f"{muon}.{part}" for muon in ("mu1", "mu2") for part in ("px", "py", "pz")]
        groups = {muon: DIMUONS.groups[muon] for muon in ("mu1", "mu2")}
        schema = EventSchema([Field(name=name, unit="GeV") for name in names], groups)
        events = numbers(**dict(zip(names, momenta, strict=True)))
        fitted = mapped(
            schema,
            {"kind": "transverse", "group": "mu1"},
            {"kind": "transverse", "group": "mu2"},
            {"kind": "pair", "groups": ["mu1", "mu2"]},
            {"kind": "rotation", "along": "mu1"},
        )
        x = fitted.encode(events, noise=noise()).x  # not yet standardised
        found = x[:, fitted.space.parts["event"].names.index("pair.mass")].double()
        torch.testing.assert_close(found, mass, rtol=2e-5, atol=0)  # six digits of each momentum
        fitted.fit([events])
        assert fitted.outside_fraction == 0
        back = fitted.decode(fitted.encode(events, noise=noise()).x, events)
        for name in names:
            error = (back.columns[name] - events.columns[name]).abs()
            assert error.max() < 1e-3, name  # GeV, of features in single precision

    def test_isolations_of_zero_stay_zero(self, reference_data: Path) -> None:
        file = reference_data / "cms-open-data" / "Zmumu_Run2011A.csv"
        iso = np.loadtxt(file, delimiter=",", skiprows=1, usecols=7)
        events = numbers(iso=torch.from_numpy(iso))
        fitted = mapped(
            EventSchema([Field(name="iso", unit="GeV")]), {"kind": "spike", "fields": ["iso"]}
        ).fit([events])
        back = fitted.decode(fitted.encode(events, noise=noise()).x, events).columns["iso"]
        assert int((back == 0).sum()) == int((iso == 0).sum()) == 7053
        torch.testing.assert_close(back, events.columns["iso"], rtol=1e-5, atol=0)


class TestMass:
    @staticmethod
    def of_jets(*energy: float, muon: float = math.hypot(3, MUON)) -> Events:
        """Return one event of three jets and a muon, with p = p_T cosh η = 3 GeV each."""
        pt = torch.tensor([[3.0, 3 / math.cosh(1), 3 / math.cosh(1)]], dtype=torch.float64)
        eta = torch.tensor([[0.0, 1.0, -1.0]], dtype=torch.float64)
        columns = {
            "jet.pt": pt,
            "jet.eta": eta,
            "jet.energy": torch.tensor([energy], dtype=torch.float64),
            "mu1.pt": pt[:, 0],
            "mu1.eta": eta[:, 0],
            "mu1.energy": torch.tensor([muon], dtype=torch.float64),
        }
        return Events(columns, {"jet": torch.ones(1, 3).bool()}, torch.ones(1).double())

    def test_is_by_energy_and_momentum(self) -> None:
        """5² - 3² = 4²; 3.25² - 3² = 1.25². What 1e-5 of 3 GeV leaves, 13 MeV, is m/E = 0.0045."""
        step = CASES["mass"][0].build()
        events = self.of_jets(5.0, 3.25, 3 * (1 + 1e-5))
        found = step(events, noise=noise()).columns["jet.mass"]
        expected = torch.tensor([[4.0, 1.25, 3 * math.sqrt(2e-5)]], dtype=torch.float64)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)

    def test_that_rounding_hides_is_zero(self) -> None:
        """√(2 x 4e-6) = 0.0028 of the energy is below 0.003, and so is an energy below momentum."""
        step = CASES["mass"][0].build()
        events = self.of_jets(3 * (1 + 4e-6), 3.0, 3 * (1 - 1e-6))
        assert not step(events, noise=noise()).columns["jet.mass"].any()
        assert not step.outside(events).any()
        # dm/dE = E/m counts as that of the smallest mass that is seen, three times.
        assert step.log_abs_det(events).item() == pytest.approx(-3 * math.log(0.003))

    def test_below_zero_is_none(self) -> None:
        step = CASES["mass"][0].build()
        events = step(self.of_jets(5.0, 5.0, 5.0), noise=noise())
        masses = torch.tensor([[-0.4, 0.0, 4.0]], dtype=torch.float64)
        back = step.inverse(events.replacing((), {"jet.mass": masses})).columns["jet.energy"]
        torch.testing.assert_close(back, torch.tensor([[3.0, 3.0, 5.0]], dtype=torch.float64))

    def test_a_declared_one_is_no_feature(self) -> None:
        """The muon's energy is √(3² + 0.10566²) = 3.00186, and 3.01 is that of another particle."""
        step = CASES["mass"][0].build()
        events = self.of_jets(5.0, 5.0, 5.0)
        assert set(step(events, noise=noise()).columns) == {
            "jet.pt", "jet.eta", "jet.mass", "mu1.pt", "mu1.eta"
        }  # fmt: skip
        back = step.inverse(step(events, noise=noise())).columns["mu1.energy"]
        assert back.item() == pytest.approx(math.sqrt(9 + MUON**2))
        assert not step.outside(events).any()
        for muon in (3.01, 2.99):
            assert step.outside(self.of_jets(5.0, 5.0, 5.0, muon=muon)).all()

    def test_less_energy_than_momentum_is_outside(self) -> None:
        step = CASES["mass"][0].build()
        good = energetic(10, 1)
        assert not step.outside(good).any()
        bad = good.columns["jet.energy"].clone()
        some = good.present["jet"][:, 0]
        bad[:, 0] *= 0.5
        assert torch.equal(step.outside(good.replacing((), {"jet.energy": bad})), some)
