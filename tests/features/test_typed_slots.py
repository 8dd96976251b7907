"""Objects as numbers of the event, the first ones, and events without any of a group, by hand."""

import pytest
import torch

from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import Events, EventSchema, Field, Group
from mleg_ray.features import FeatureMap, FeatureMapConfig
from mleg_ray.features.steps import STEPS, Layout, Quantity, Step
from mleg_ray.randomness import Noise

SCHEMA = EventSchema(
    [Field(name=f"{group}.{part}") for group in ("jet", "muon") for part in ("pt", "eta")]
    + [Field(name="met")],
    {"jet": Group(most=3, ordered_by="pt"), "muon": Group(most=2, ordered_by="pt")},
)
NOISE = Noise(torch.device("cpu"))


def events() -> Events:
    """Two jets and a muon; nothing; three jets and two muons."""
    jet = torch.tensor([[50.0, 30, 0], [0, 0, 0], [70, 60, 40]]).double()
    muon = torch.tensor([[20.0, 0], [0, 0], [25, 15]]).double()
    columns = {"jet.pt": jet, "jet.eta": jet / 100, "muon.pt": muon, "muon.eta": -muon / 100}
    present = {"jet": jet > 0, "muon": muon > 0}
    met = torch.tensor([5.0, 6, 7]).double()
    return Events({**columns, "met": met}, present, torch.ones(3).double())


def built(**settings: object) -> Step:
    columns = {name: Quantity(shape) for name, shape in SCHEMA.shapes.items()}
    return STEPS.parse(settings).build(Layout(columns, SCHEMA.groups))


def several(most: int) -> Step:
    return built(kind="typed-slots", groups=["jet", "muon"], most=most)


class TestCountAtMost:
    def test_what_has_no_place_is_left_out_and_counted(self) -> None:
        step = built(kind="count", group="jet", most=2)
        assert step.outside(events()).tolist() == [False, False, True]
        made = step(events(), noise=NOISE)
        assert made.columns["jet.pt"].tolist() == [[50, 30], [0, 0], [70, 60]]
        assert made.columns["jet.count"].tolist() == [2, 0, 2]
        assert made.present["jet"].tolist() == [[True, True], [False, False], [True, True]]
        assert step.writes["jet.eta"].shape == (2,)
        back = step.inverse(made)
        assert back.columns["jet.pt"].tolist() == [[50, 30, 0], [0, 0, 0], [70, 60, 0]]
        assert back.present["jet"].tolist() == (back.columns["jet.pt"] > 0).tolist()
        assert back.columns["muon.pt"].tolist() == events().columns["muon.pt"].tolist()

    def test_more_places_than_there_are_change_nothing(self) -> None:
        step = built(kind="count", group="jet", most=9)
        assert step(events(), noise=NOISE).columns["jet.pt"].shape == (3, 3)
        assert not step.outside(events()).any()

    def test_objects_are_those_of_a_part_of_so_many(self) -> None:
        """One event in three has a third jet: five percent is what may be moved, unless told."""
        steps = [
            {"kind": "count", "group": "jet", "most": 2},
            {"kind": "unary", "fields": ["jet.count"], "most": 2},
            {"kind": "without", "groups": ["muon"]},
        ]
        chosen = {"steps": steps, "most_outside": 0.67}  # the first and the third have muons
        fitted = FeatureMapConfig.model_validate(chosen).build(SCHEMA, {}).fit([events()])
        assert fitted.space.parts["jet"].shape == (2, 2)
        assert fitted.mean_counts.tolist() == pytest.approx([4 / 3])
        x = fitted.encode(events(), noise=NOISE).x
        assert fitted.present(x)["jet"].tolist() == [[True, True], [False, False], [True, True]]
        for most in (0.05, 0.66):
            less = FeatureMapConfig.model_validate({"steps": steps, "most_outside": most})
            with pytest.raises(DataError, match=r"66.7% .*allow it by features.most_outs"):
                less.build(SCHEMA, {}).fit([events()])


class TestTypedSlots:
    def test_groups_follow_each_other(self) -> None:
        made = several(4)(events(), noise=NOISE).columns
        pt = torch.stack([made[f"slot{k}.pt"] for k in range(1, 5)], dim=1)
        assert pt.tolist() == [[50, 30, 20, 0], [0, 0, 0, 0], [70, 60, 40, 25]]
        assert made["slot3.eta"].tolist() == [-0.2, 0, 0.4]
        kinds = [
            [int(made[f"slot{k}.is_{kind}"][0]) for k in range(1, 5)]
            for kind in ("jet", "muon", "none")
        ]
        assert kinds == [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
        assert several(4).outside(events()).tolist() == [False, False, True]

    def test_empty_slots_are_zero_whatever_steps_left_in_absent_places(self) -> None:
        left = {"jet.eta": torch.full((3, 3), 7.0).double()}
        made = several(6)(events().replacing((), left), noise=NOISE).columns
        assert [made[f"slot{k}.eta"][0].item() for k in range(1, 7)] == [7, 7, -0.2, 0, 0, 0]
        assert made["slot1.eta"].tolist() == [7, 0, 7]

    def test_the_largest_number_tells_what_a_slot_holds(self) -> None:
        """A muon between two jets; the fourth jet finds no place among three."""
        step = several(5)
        kinds = {"is_jet": [0.5, 0.2, 0.6, 0.9, 0.4], "is_muon": [0.3, 0.7, 0.1, 0.1, 0.3]}
        kinds["is_none"] = [0.2, 0.1, 0.3, 0.0, 0.3]
        numbers = {"pt": [10.0, 20, 30, 40, 50], "eta": [1.0, 2, 3, 4, 5]}
        columns = {
            f"slot{k + 1}.{name}": torch.tensor([values[k]]).double()
            for name, values in (kinds | numbers).items()
            for k in range(5)
        }
        back = step.inverse(Events(columns, {}, torch.ones(1).double()))
        assert back.columns["jet.pt"].tolist() == [[10, 30, 40]]
        assert back.columns["jet.eta"].tolist() == [[1, 3, 4]]
        assert back.columns["muon.pt"].tolist() == [[20, 0]]
        assert back.present["muon"].tolist() == [[True, False]]

    def test_a_single_group_has_a_bit(self) -> None:
        step = built(kind="typed-slots", groups=["muon"], most=3, name="mu")
        made = step(events(), noise=NOISE)
        bits = torch.stack([made.columns[f"mu{k}.is_muon"] for k in (1, 2, 3)], dim=1)
        assert bits.tolist() == [[1, 0, 0], [0, 0, 0], [1, 1, 0]]
        holes = {"mu1.is_muon": torch.tensor([0.5, 0.51, 0.0]).double()}
        back = step.inverse(made.replacing((), holes))
        # The hole of the third event closes up, as the first that are present stand first.
        assert back.columns["muon.pt"].tolist() == [[0, 0], [0, 0], [15, 0]]
        assert back.present["muon"].tolist() == [[False, False], [True, False], [True, False]]

    def test_features_are_classes_and_numbers_apart(self) -> None:
        """Numbers are standardised with the zeros of empty slots; ones and zeros are not."""
        steps = [{"kind": "typed-slots", "groups": ["jet", "muon"], "most": 5}]
        parts = {"kinds": ["*.is_*"]}
        config = FeatureMapConfig.model_validate({"steps": steps, "parts": parts})
        fitted: FeatureMap = config.build(SCHEMA, {}).fit([events()])
        assert fitted.space.parts["kinds"].classes == tuple(
            (3 * k, 3 * k + 1, 3 * k + 2) for k in range(5)
        )
        batch = fitted.encode(events(), noise=NOISE)
        kinds = batch.x[:, fitted.space.where["kinds"]]
        assert set(kinds.flatten().tolist()) == {0.0, 1.0}
        # slot1.pt of 50, 0 and 70: mean 40, variance (100 + 1600 + 900)/3.
        first = batch.x[:, fitted.space.where["event"].start + 1]
        spread = (2600 / 3) ** 0.5
        torch.testing.assert_close(first, torch.tensor([10 / spread, -40 / spread, 30 / spread]))
        back = fitted.decode(batch.x, events())
        for name, column in events().columns.items():
            torch.testing.assert_close(back.columns[name], column, rtol=1e-5, atol=1e-5)
        assert torch.equal(back.present["muon"], events().present["muon"])

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"groups": ["tau"], "most": 2}, "no group 'tau' of a varying number"),
            ({"groups": ["met"], "most": 2}, "no group 'met' of a varying number"),
        ],
    )
    def test_what_is_refused(self, settings: dict[str, object], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            built(kind="typed-slots", **settings)

    @pytest.mark.parametrize(
        "settings",
        [
            {"kind": "typed-slots", "groups": ["jet"], "most": 3},
            {"kind": "without", "groups": ["jet"]},
            {"kind": "slots", "group": "jet"},
            {"kind": "count", "group": "jet"},
        ],
    )
    def test_objects_whose_number_is_a_column_already(self, settings: dict[str, object]) -> None:
        columns = {"jet.pt": Quantity((3,)), "jet.count": Quantity(), "muon.pt": Quantity((2,))}
        with pytest.raises(ConfigError, match="no group 'jet' of a varying .*; there are muon"):
            STEPS.parse(settings).build(Layout(columns, SCHEMA.groups))

    def test_objects_that_share_slots_have_the_same_fields(self) -> None:
        columns = {"jet.pt": Quantity((3,)), "jet.mass": Quantity((3,)), "muon.pt": Quantity((2,))}
        config = STEPS.parse({"kind": "typed-slots", "groups": ["jet", "muon"], "most": 2})
        with pytest.raises(ConfigError, match="'mass' is a field of either 'muon' or 'jet'"):
            config.build(Layout(columns, SCHEMA.groups))


class TestWithout:
    def test_events_are_made_without(self) -> None:
        step = built(kind="without", groups=["muon"])
        assert step.outside(events()).tolist() == [True, False, True]
        neither = built(kind="without", groups=["jet", "muon"])
        whole = events()
        no_muons = {"muon": torch.zeros(3, 2).bool()}
        alone = Events(whole.columns, whole.present | no_muons, whole.weight)
        assert neither.outside(alone).tolist() == [True, False, True]
        made = step(events(), noise=NOISE)
        assert set(made.columns) == {"jet.pt", "jet.eta", "met"}
        back = step.inverse(made)
        assert not back.present["muon"].any()
        assert back.columns["muon.eta"].tolist() == [[0, 0]] * 3

    def test_a_map_refuses_events_that_have_them(self) -> None:
        steps = [
            {"kind": "without", "groups": ["muon"]},
            {"kind": "typed-slots", "groups": ["jet"], "most": 3},
        ]
        unfitted = FeatureMapConfig.model_validate({"steps": steps}).build(SCHEMA, {})
        with pytest.raises(DataError, match="66.7% outside that of features.steps.0, without"):
            unfitted.fit([events()])

    def test_an_unknown_group(self) -> None:
        with pytest.raises(ConfigError, match="no group 'met' of a varying number"):
            built(kind="without", groups=["met"])
