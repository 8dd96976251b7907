"""The map from events to features: every shipped recipe's, and one of objects and images."""

import math

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import Events, EventSchema, Field, Group
from mleg_ray.features import FeatureMap, FeatureMapConfig
from mleg_ray.features.map import changed, watched
from mleg_ray.physics import dis, kinematics
from mleg_ray.physics import photoproduction as reaction
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from tests.dis_events import ELECTRON, PAIRS, Q2_MIN, SCHEMA, electrons, measured, momenta
from tests.features.cases import JETS, PHOTOPRODUCTION, SHOWERS, jets, pions, showers
from tests.recipes import fitted_map, small_run, training_events

RECIPES = {  # of each chain of steps that a shipped recipe has
    "dsgan": (SCHEMA, electrons),
    "fatgan": (SCHEMA, electrons),
    "cfatgan": (SCHEMA, electrons),
    "fatgan-spherical": (SCHEMA, electrons),
    "fatgan-clas": (SCHEMA, electrons),
    "flow-clas": (SCHEMA, electrons),
    "fatgan-quick": (SCHEMA, electrons),
    "flow-dis": (SCHEMA, electrons),
    "unfold-dis": (SCHEMA, electrons),
    "response-electrons": (PAIRS, lambda n, seed: measured(n)),
    "fatgan-photoproduction": (PHOTOPRODUCTION.schema_, pions),
    "flow-photoproduction": (PHOTOPRODUCTION.schema_, pions),
}
JET_STEPS = [
    {"kind": "count", "group": "jet"},
    {"kind": "dequantise", "fields": ["jet.count"], "levels": 4},
    {"kind": "dequantise", "fields": ["jet.flavour"], "levels": 2},
    {"kind": "logarithm", "fields": ["jet.pt", "met"]},
    {"kind": "angle", "fields": ["jet.phi"]},
]


def config(**settings: object) -> FeatureMapConfig:
    return FeatureMapConfig.model_validate(settings)


def noise(seed: int = 3) -> Noise:
    made = Noise(torch.device("cpu"))
    made.seed(seed)
    return made


def under(beam: float, n: int, name: str = "beam_energy") -> Events:
    """Return n events that have a condition alone."""
    ones = torch.ones(n, dtype=torch.float64)
    return Events({name: beam * ones}, {}, ones)


def electron(*momentum: float) -> Events:
    """Return one electron of this four-momentum under 50 GeV."""
    values = dict(zip((*ELECTRON, "beam_energy"), (*momentum, 50.0), strict=True))
    columns = {name: torch.tensor([v], dtype=torch.float64) for name, v in values.items()}
    return Events(columns, {}, torch.ones(1, dtype=torch.float64))


def of_jets(**settings: object) -> FeatureMap:
    wanted = {"steps": JET_STEPS, "conditions": [{"kind": "logarithm", "fields": ["energy"]}]}
    return config(**(wanted | settings)).build(JETS, {})


@pytest.fixture(params=sorted(RECIPES), scope="module")
def recipe(request: pytest.FixtureRequest) -> str:
    return request.param


def build(recipe: str) -> FeatureMap:
    schema, _ = RECIPES[recipe]
    return RunConfig.load(recipe).features.build(schema, {})


def draw(recipe: str, n: int, seed: int) -> Events:
    schema, events = RECIPES[recipe]
    if schema is SCHEMA:
        return electrons(n, seed, (10.0, 30.0, 50.0))
    return events(n, seed)


@pytest.fixture(scope="module")
def fitted(recipe: str) -> FeatureMap:
    return build(recipe).fit([draw(recipe, 5000, 1)])


class TestContract:
    def test_decode_undoes_encode(self, fitted: FeatureMap, recipe: str) -> None:
        events = draw(recipe, 20_000, 2)
        back = fitted.decode(fitted.encode(events, noise=noise()).x, events)
        # Features are single precision, and one near an edge is a large number.
        for name in fitted._schema.event:
            scale = events.columns[name].abs().mean()
            distance = (back.columns[name] - events.columns[name]).abs() / scale
            assert distance.quantile(0.99) < 1e-4
        for name in fitted._schema.conditions:
            assert back.columns[name] is events.columns[name]

    def test_features_are_standardised(self, fitted: FeatureMap, recipe: str) -> None:
        batch = fitted.encode(draw(recipe, 5000, 1), noise=noise())
        line, circle = fitted.space.divide(batch.x)
        view = fitted.view(batch.x, batch.condition)
        varying = view.std(dim=0) > 0
        for values in (line, view[:, varying]):
            assert values.mean(0).abs().max() < 2e-3
            torch.testing.assert_close(
                values.std(0, unbiased=False), torch.ones(values.shape[1]), rtol=2e-3, atol=2e-3
            )
        assert (circle.abs() <= 1).all()
        assert batch.weight.mean().item() == pytest.approx(1)

    def test_statistics_do_not_depend_on_how_events_are_cut(self, recipe: str) -> None:
        events = draw(recipe, 999, 4)
        whole = build(recipe).fit([events])
        parts = build(recipe).fit([events[:10], events[10:500], events[500:]])
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(parts.state_dict()[name], value, rtol=1e-9, atol=1e-9)

    def test_weights_count(self, recipe: str) -> None:
        events = draw(recipe, 1000, 5)
        weight = torch.cat([torch.full((500,), 3.0), torch.ones(500)]).double()
        weighted = build(recipe).fit([events.weighted(weight)])
        repeated = build(recipe).fit([events[:500], events[:500], events])
        for name in ("feature_mean", "feature_std", "view_std", "mean_log_abs_det"):
            torch.testing.assert_close(getattr(weighted, name), getattr(repeated, name))
        assert weighted.weight_mean == 2

    def test_every_number_of_the_view_has_gradients(self, fitted: FeatureMap, recipe: str) -> None:
        batch = fitted.encode(draw(recipe, 256, 6), noise=noise())
        x = batch.x.clone().requires_grad_()
        view = fitted.view(x, batch.condition)
        assert view.shape == (256, fitted.view_space.width)
        for column in view.unbind(1):
            (gradient,) = torch.autograd.grad(column.sum(), x, retain_graph=True)
            assert gradient.isfinite().all()
            assert (gradient != 0).any()

    def test_view_in_single_precision_agrees_with_double(
        self, fitted: FeatureMap, recipe: str
    ) -> None:
        batch = fitted.encode(draw(recipe, 2000, 7), noise=noise())
        exact = fitted.view(batch.x.double(), batch.condition.double())
        single = fitted.view(batch.x, batch.condition)
        torch.testing.assert_close(single.double(), exact, rtol=5e-3, atol=5e-3)

    def test_given_undoes_condition(self, fitted: FeatureMap, recipe: str) -> None:
        events = draw(recipe, 500, 8)
        given = fitted.given(fitted.condition(events))
        for name in fitted._schema.conditions:
            torch.testing.assert_close(
                given.columns[name].double(), events.columns[name], rtol=1e-4, atol=1e-4
            )

    def test_order_of_fields_does_not_matter(self, fitted: FeatureMap, recipe: str) -> None:
        schema, _ = RECIPES[recipe]
        other = RunConfig.load(recipe).features.build(
            EventSchema(schema.fields[::-1], schema.groups), {}
        )
        events = draw(recipe, 1000, 9)
        a, b = (m.fit([events]) for m in (build(recipe), other))
        torch.testing.assert_close(a.mean_log_abs_det, b.mean_log_abs_det)
        back = b.decode(b.encode(events, noise=noise()).x, events)
        assert set(back.columns) >= set(schema.event)

    def test_missing_field_is_named(self, recipe: str) -> None:
        schema, _ = RECIPES[recipe]
        names = schema.event if recipe.endswith("photoproduction") else ELECTRON
        with pytest.raises(ConfigError, match=names[0]):
            RunConfig.load(recipe).features.build(
                EventSchema([f for f in schema.fields if f.name != names[0]], schema.groups), {}
            )


@pytest.mark.parametrize("recipe", ["fatgan", "fatgan-spherical", "fatgan-quick", "unfold-dis"])
def test_jacobian_of_a_chain_is_that_of_autograd(recipe: str) -> None:
    """It adds over steps and standardisation."""
    fitted = build(recipe).fit([draw(recipe, 5000, 1)])
    events = draw(recipe, 100, 3)

    def features(momentum: torch.Tensor, beam: torch.Tensor) -> torch.Tensor:
        energy = momentum.square().sum().sqrt()
        columns = dict(zip(ELECTRON, (*momentum, energy), strict=True)) | {"beam_energy": beam}
        one = Events({n: c[None] for n, c in columns.items()}, {}, torch.ones(1).double())
        raw = fitted._flat(changed(fitted._chain, one, noise()))
        return ((raw - fitted.feature_mean) / fitted.feature_std)[0]

    beam = events.columns["beam_energy"]
    jacobian = vmap(jacrev(features))(momenta(events)[:, :3], beam)
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(fitted.log_abs_det(events), expected, rtol=1e-7, atol=1e-7)
    assert float(fitted.mean_log_abs_det) == pytest.approx(
        float(fitted.log_abs_det(draw(recipe, 5000, 1)).mean()), rel=1e-9
    )


class TestView:
    def test_fatgans_critic_sees_what_the_paper_says(self) -> None:
        fitted = build("fatgan").fit([draw("fatgan", 2000, 1)])
        events = draw("fatgan", 500, 2)
        batch = fitted.encode(events, noise=noise())
        seen = fitted.view(batch.x.double(), batch.condition.double())
        seen = seen * fitted.view_std + fitted.view_mean
        px, py, pz, energy = (events.columns[name] for name in ELECTRON)
        beam, pt = events.columns["beam_energy"], torch.hypot(px, py)
        expected = (px, py, (beam - pz).log(), pt, energy, pz, pz / pt)
        torch.testing.assert_close(seen, torch.stack(expected, dim=1), rtol=1e-3, atol=1e-3)

    def test_names_are_those_that_an_objective_asks_for(self) -> None:
        names = build("fatgan-quick").view_space.parts["event"].names
        assert names[:4] == ("electron.u1", "electron.u2", "cos electron.phi", "sin electron.phi")

    def test_the_critic_sees_no_seam_at_phi_of_pi(self) -> None:
        fitted = build("fatgan-quick").fit([draw("fatgan-quick", 1000, 1)])
        x = torch.tensor([[0.3, 0.1, 1.0], [0.3, 0.1, -1.0]], dtype=torch.float64)
        view = fitted.view(x, torch.zeros(2, 1).double())
        torch.testing.assert_close(view[0], view[1], rtol=1e-12, atol=1e-12)

    def test_the_critic_sees_all_sectors_as_one(self) -> None:
        fitted = build("fatgan-clas").fit([draw("fatgan-clas", 5000, 1)])
        x = torch.zeros(7, 3, dtype=torch.float64)
        x[:, 2] = 1 / 24 + torch.arange(7).double() / 3  # half turns, a sector further each
        condition = torch.zeros(7, 1).double()
        of_sector = fitted.view(x, condition)[:, -2:]
        torch.testing.assert_close(of_sector, of_sector[:1].expand(7, 2))
        x[:, 2] += 1 / 6
        assert (fitted.view(x, condition)[:, -2:] - of_sector).abs().min() > 1

    @pytest.mark.parametrize(
        ("view", "message"),
        [
            (["electron.charge"], "'electron.charge'"),
            (["kinematics.transverse_mass(electron)"], "no such function"),
            (["kinematics.product(electron.px, pz)"], "'pz' is neither a finite number nor one"),
        ],
    )
    def test_what_is_not_there_is_named(self, view: list[str], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            config(view=view).build(SCHEMA, {})

    def test_objects_numbers_are_no_number_of_the_event(self) -> None:
        with pytest.raises(ConfigError, match="'jet.pt' is not one number an event"):
            of_jets(view=["jet.pt"])


class TestObjects:
    def test_round_trip_with_noise_where_no_object_is(self) -> None:
        fitted = of_jets().fit([jets(5000, 1)])
        events = jets(2000, 2)
        batch = fitted.encode(events, noise=noise())
        assert fitted.space.parts["jet"].shape == (3, 3)
        assert fitted.space.parts["event"].names == ("log_met", "jet.level_count")
        back = fitted.decode(batch.x, events)
        torch.testing.assert_close(back.present["jet"], events.present["jet"])
        for name in JETS.event:
            torch.testing.assert_close(
                back.columns[name].double(), events.columns[name].double(), rtol=1e-4, atol=1e-4
            )
            assert back.columns[name].dtype == events.columns[name].dtype
        absent = ~events.present["jet"]
        made = fitted.space.split(batch.x)["jet"][absent]
        assert made[:, 0].std().item() == pytest.approx(1, abs=0.1)
        other = fitted.encode(events, noise=noise(4)).x
        same = (batch.x == other).all(dim=0)
        assert same[fitted.space.where["event"]][0]  # met needs no noise

    def test_objects_come_in_order_whatever_that_of_their_features(self) -> None:
        fitted = of_jets().fit([jets(2000, 1)])
        events = jets(500, 2)
        x = fitted.encode(events, noise=noise()).x
        parts = fitted.space.split(x)
        number = events.present["jet"].sum(dim=1, keepdim=True)
        place = torch.arange(3).expand(500, 3)
        turned = torch.where(place < number, number - 1 - place, place)  # the hardest one last
        of_features = turned[:, :, None].expand_as(parts["jet"])
        shuffled = parts | {"jet": parts["jet"].gather(1, of_features)}
        same = fitted.decode(torch.cat([part.flatten(1) for part in shuffled.values()], 1), events)
        expected = fitted.decode(x, events)
        for name in JETS.event:
            assert torch.equal(same.columns[name], expected.columns[name]), name
        drawn = fitted.decode(torch.randn(500, fitted.space.width), events)
        assert (drawn.columns["jet.pt"].diff(dim=1) <= 0).all()
        assert not drawn.columns["jet.phi"][~drawn.present["jet"]].any()

    def test_present_objects_alone_are_standardised(self) -> None:
        fitted = of_jets().fit([jets(5000, 1)])
        events = jets(5000, 1)
        x = fitted.space.split(fitted.encode(events, noise=noise()).x)["jet"]
        present = x[events.present["jet"]]
        names = fitted.space.parts["jet"].names
        assert names == ("jet.log_pt", "jet.turn_phi", "jet.level_flavour")
        assert present[:, 0].mean().abs() < 1e-3
        assert present[:, 0].std(unbiased=False).item() == pytest.approx(1, abs=1e-3)
        expected = events.columns["jet.phi"][events.present["jet"]] / math.pi
        torch.testing.assert_close(present[:, 1].double(), expected, rtol=1e-5, atol=1e-6)

    def test_scales_have_absolute_weights(self) -> None:
        events = jets(2000, 3)
        weight = torch.where(events.columns["met"] > 40, -1.0, 1.0).double()
        fitted = of_jets().fit([events.weighted(weight)])
        mean = fitted.feature_mean[fitted.space.parts["event"].names.index("log_met")]
        assert mean.item() == pytest.approx(events.columns["met"].log().mean().item())

    def test_events_outside_have_no_part_in_the_mean_jacobian(self) -> None:
        events = jets(200, 3)
        wrong = torch.arange(200) < 2
        met = torch.where(wrong, -1.0, events.columns["met"])
        fitted = of_jets().fit([events.replacing((), {"met": met})])
        assert fitted.outside_fraction == 0.01
        assert fitted.mean_log_abs_det.item() == pytest.approx(
            fitted.log_abs_det(events[2:]).mean().item()
        )

    def test_order_is_that_of_present_objects_below_zero_too(self) -> None:
        group = {"jet": Group(most=3, ordered_by="eta")}
        steps = [JET_STEPS[0], JET_STEPS[1]]
        fitted = config(steps=steps).build(EventSchema([Field(name="jet.eta")], group), {})
        columns = {"jet.level_count": [0.0], "jet.eta": [-2.0, -1.0, 5.0]}  # 4 sigmoid(0) = 2 jets
        x = torch.cat([torch.tensor([values]) for values in columns.values()], dim=1)
        made = fitted.decode(x, under(1.0, 1))
        assert made.columns["jet.eta"].tolist() == [[-1.0, -2.0, 0.0]]

    def test_negative_and_zero_weights_of_events_are_their_objects(self) -> None:
        events = jets(2000, 3)
        weight = torch.where(torch.arange(2000) < 1000, 1.0, 0.0).double()
        a = of_jets().fit([events.weighted(weight)])
        b = of_jets().fit([events[:1000]])
        first = a.space.where["jet"].start  # log pT: the others have noise in them
        torch.testing.assert_close(a.feature_mean[first], b.feature_mean[first])
        torch.testing.assert_close(a.feature_std[first], b.feature_std[first])

    def test_means_beside_a_loss_have_its_signed_weights(self) -> None:
        events = jets(2000, 3)
        number = events.present["jet"].sum(dim=1)
        weight = torch.where(number == 3, -0.5, 1.0).double()
        fitted = of_jets().fit(
            [events[:700].weighted(weight[:700]), events[700:].weighted(weight[700:])]
        )
        jets_in_all = sum(k * int((number == k).sum()) for k in (1, 2)) - 1.5 * (number == 3).sum()
        assert fitted.mean_counts.item() == pytest.approx(float(jets_in_all / weight.sum()))
        slopes = fitted.log_abs_det(events)
        assert fitted.mean_log_abs_det.item() == pytest.approx(
            float(weight @ slopes / weight.sum()), rel=1e-9
        )

    def test_objects_that_negative_weights_take_away_are_refused(self) -> None:
        events = jets(500, 3)
        weight = torch.where(events.present["jet"].any(dim=1), -0.1, 1.0).double()
        with pytest.raises(DataError, match="mean number of 'jet' in a train event is -"):
            of_jets().fit([events.weighted(weight)])

    @pytest.mark.parametrize("weight", [0.0, -1.0])
    def test_events_that_negative_weights_take_away_are_refused(self, weight: float) -> None:
        events = jets(500, 3)
        with pytest.raises(DataError, match=f"the mean weight of a train event is {weight:g}"):
            of_jets().fit([events.weighted(torch.full((500,), weight).double())])

    def test_absent_objects_are_zero_for_a_critic(self) -> None:
        fitted = of_jets().fit([jets(2000, 1)])
        events = jets(500, 2)
        batch = fitted.encode(events, noise=noise())
        seen = fitted.view_space.split(fitted.view(batch.x, batch.condition))["jet"]
        own = fitted.space.split(batch.x)["jet"]
        absent = ~events.present["jet"]
        assert not seen[absent].any()
        torch.testing.assert_close(seen[~absent], own[~absent])

    def test_jacobian_counts_present_objects_alone(self) -> None:
        fitted = of_jets().fit([jets(2000, 1)])
        events = jets(300, 2)
        number = events.present["jet"].sum(dim=1).double()
        log_pt = torch.where(events.present["jet"], events.columns["jet.pt"].log(), 0.0).sum(1)
        level = watched(fitted._chain, events, noise())[2] + log_pt + number * math.log(math.pi)
        level = level + events.columns["met"].log()
        # What is left are the slopes of the logits of whole numbers, in the mean over u: of two
        # levels 2 - log 2; of four 2 - log 4, and more at the ends, less between them.
        flavour = number * (2 - math.log(2))
        ends = torch.where((number == 0) | (number == 3), 1.0, -1.0).double()
        counts = 2 - math.log(4) + ends * (3 * math.log(3) - 4 * math.log(2))
        torch.testing.assert_close(level, flavour + counts, rtol=1e-9, atol=1e-9)
        logs = fitted.feature_std[fitted.space.where["jet"]][:3].log().sum()
        rest = fitted.feature_std[fitted.space.where["event"]].log().sum()
        torch.testing.assert_close(
            fitted.log_abs_det(events),
            watched(fitted._chain, events, noise())[2] - number * logs - rest,
        )

    def test_what_is_not_made_real_is_refused(self) -> None:
        count, level, flavour, *others = JET_STEPS
        for steps, message in (
            ([flavour, *others], "number of objects of 'jet' varies; begin with"),
            ([count, flavour, *others], "'jet.count' is a whole number"),
            ([count, level, *others], "'jet.flavour' is a whole number"),
        ):
            with pytest.raises(ConfigError, match=message):
                of_jets(steps=steps)

    def test_steps_that_leave_nothing_are_refused(self) -> None:
        schema = EventSchema(
            [f for f in JETS.fields if f.group == "jet"], {"jet": JETS.groups["jet"]}
        )
        none = config(steps=[{"kind": "without", "groups": ["jet"]}])
        with pytest.raises(ConfigError, match="features.steps: they leave no feature"):
            none.build(schema, {})

    def test_parts_of_their_own(self) -> None:
        space = of_jets(parts={"counts": ["jet.level_count"]}).space
        assert list(space.parts) == ["counts", "event", "jet"]
        with pytest.raises(ConfigError, match="features.parts.counts: 'jet.log_pt' is no number"):
            of_jets(parts={"counts": ["jet.log_pt"]})
        with pytest.raises(ConfigError, match="belongs to one part only"):
            of_jets(parts={"a": ["log_met"], "b": ["log_met"]})
        numbers = of_jets(parts={"all": ["*level*", "log_*"]}).space.parts["all"]
        assert numbers.names == ("jet.level_count", "log_met")

    def test_no_part_takes_the_name_of_a_group(self) -> None:
        with pytest.raises(ConfigError, match=r"features.parts: 'jet' is the part of a group or"):
            of_jets(parts={"jet": ["jet.level_count"]})
        with pytest.raises(ValueError, match=r"parts.a-b"):
            of_jets(parts={"a-b": ["jet.level_count"]})

    def test_the_step_at_fault_is_named(self) -> None:
        count, level, *others = JET_STEPS
        with pytest.raises(ConfigError, match=r"features.steps.0: dequantise: needs jet.count; th"):
            of_jets(steps=[level, count, *others])
        few = {**level, "levels": 2}
        with pytest.raises(DataError, match=r"features.steps.1, dequantise of jet.count"):
            of_jets(steps=[count, few, *others]).fit([jets(500, 1)])

    def test_quantities_are_seen_in_the_precision_of_features(self) -> None:
        fitted = of_jets(view=["*", "objects.number(jet.pt)", "objects.total(jet.flavour)"])
        batch = fitted.fit([jets(100, 1)]).encode(jets(50, 2), noise=noise())
        assert fitted.view(batch.x, batch.condition).dtype == torch.float32

    def test_what_is_named_twice_is_seen_once(self) -> None:
        assert of_jets(view=["*", "*", "log_met"]).view_space == of_jets().view_space

    @pytest.mark.parametrize("name", ["objects.leading(jet.pt, 4)", "objects.total(met)"])
    def test_quantities_that_no_event_has_are_refused(self, name: str) -> None:
        with pytest.raises(ConfigError, match=r"features.view: .* cannot be computed of"):
            of_jets(view=[name])

    def test_without_any_object_there_is_nothing_to_learn(self) -> None:
        events = jets(200, 1)
        none = Events(events.columns, {"jet": torch.zeros(200, 3).bool()}, events.weight)
        with pytest.raises(DataError, match="no train event has any 'jet'"):
            of_jets().fit([none])


class TestImages:
    def build(self, **settings: object) -> FeatureMap:
        steps = [{"kind": "pixels", "fields": ["image"], "scale": 0.1, "threshold": 0.01}]
        return config(steps=steps, **settings).build(SHOWERS, {})

    def test_round_trip(self) -> None:
        fitted = self.build().fit([showers(1000, 1)])
        events = showers(200, 2)
        batch = fitted.encode(events, noise=noise())
        assert fitted.space.parts["log1p_image"].shape == (2, 3, 3)
        back = fitted.decode(batch.x, events).columns["image"]
        assert back.dtype == torch.float32
        torch.testing.assert_close(back.double(), events.columns["image"], rtol=1e-4, atol=1e-6)
        assert ((back == 0) == (events.columns["image"] == 0)).all()

    def test_pixels_have_the_weight_of_their_event(self) -> None:
        # log(1 + x/0.1) is 0 in all pixels of the first event, 1 in those of the second.
        image = torch.zeros(2, 2, 3, 3).double()
        image[1] = 0.1 * (math.e - 1)
        weight = torch.tensor([3.0, 1.0]).double()
        events = Events({"image": image, "energy": weight}, {}, weight)
        fitted = self.build().fit([events])
        torch.testing.assert_close(fitted.feature_mean, torch.full((18,), 0.25).double())
        torch.testing.assert_close(fitted.feature_std, torch.full((18,), 3**0.5 / 4).double())

    def test_channels_are_standardised_over_all_pixels(self) -> None:
        events = showers(1000, 1)
        fitted = self.build().fit([events])
        image = fitted.space.split(fitted.encode(events, noise=noise()).x)["log1p_image"]
        for channel in image.unbind(1):
            assert channel.mean().abs() < 1e-4
            assert channel.std(unbiased=False).item() == pytest.approx(1, abs=1e-4)
        assert len(torch.unique(fitted.feature_std)) == 2

    def test_views_of_an_image_are_the_image(self) -> None:
        fitted = self.build().fit([showers(500, 1)])
        batch = fitted.encode(showers(50, 2), noise=noise())
        torch.testing.assert_close(fitted.view(batch.x, batch.condition), batch.x)
        assert fitted.view_space.parts.keys() == {"log1p_image"}


class TestKinematic:
    @pytest.mark.parametrize("m_hat_min", [0.0, 4.0])
    @pytest.mark.parametrize("beam", [5.0, 50.0, 500.0])
    def test_no_real_feature_gives_an_unphysical_event(self, m_hat_min: float, beam: float) -> None:
        steps = [{"kind": "dis-kinematic", "m_hat_min": m_hat_min}]
        fitted = config(steps=steps).build(SCHEMA, {})
        rng = torch.Generator().manual_seed(1)
        u = torch.rand(20_000, 3, generator=rng, dtype=torch.float64)
        x = u * torch.tensor([90.0, 60.0, 10.0]) - torch.tensor([30.0, 30.0, 5.0])
        given = under(beam, 20_000)
        made = fitted.decode(x.double(), given)
        px, py, pz, energy = momenta(made).T
        one = 1 + 1e-6  # features are single precision, and pT at an edge is a root
        assert momenta(made).isfinite().all()
        assert (energy <= beam * one).all()
        q2 = dis.q2(px, py, pz, given.columns["beam_energy"])
        assert (q2 >= Q2_MIN / one).all()
        assert (q2 <= 4 * beam**2 * one).all()
        torch.testing.assert_close(energy, kinematics.momentum(px, py, pz), rtol=1e-9, atol=0)

    def test_cut_on_the_mass_is_a_smeared_edge(self) -> None:
        steps = [{"kind": "dis-kinematic", "m_hat_min": 4.0}]
        fitted = config(steps=steps).build(SCHEMA, {"beam_energy": 50.0})
        x = 2 * torch.randn(10_000, 3, generator=torch.Generator().manual_seed(1))
        x[:, 2] = torch.remainder(x[:, 2] + 1, 2) - 1
        given = Events(
            {"beam_energy": torch.full((10_000,), 50.0).double()}, {}, torch.ones(10_000).double()
        )
        events = fitted.decode(x, given)
        below = dis.x_bj(*momenta(events).T[:3], *[given.columns["beam_energy"]] * 2) * 10_000 < 16
        assert below.any()
        assert below[x[:, 1] > 4.5].sum() > below[x[:, 1] < 4].sum() == 0
        assert fitted.fit([events]).outside_fraction == 0

    def test_coordinates_hardly_move_with_the_beam_energy(self) -> None:
        """A flat structure function of log x looks the same at any energy."""
        steps = [{"kind": "dis-kinematic", "m_hat_min": 4.0}]
        fitted = config(steps=steps).build(SCHEMA, {})
        positions = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
        x = torch.stack([torch.zeros(9), positions.logit(), torch.zeros(9)], dim=1)
        for beam in (20.0, 80.0):
            given = under(beam, 9)
            events = fitted.decode(x, given)
            x_bj = dis.x_bj(*momenta(events).T[:3], *[given.columns["beam_energy"]] * 2)
            steps_of = x_bj.log().diff()
            torch.testing.assert_close(steps_of, steps_of.mean().expand(8), rtol=2e-3, atol=0)

    def test_events_beyond_an_edge_are_mirrored_counted_and_not_piled_up(self) -> None:
        fitted = config(steps=[{"kind": "dis-kinematic"}]).build(SCHEMA, {"beam_energy": 50.0})

        def scattered(q2: float) -> Events:
            p, pz = 48.0, 48.0 - q2 / 100
            return electron(math.sqrt(p**2 - pz**2), 0.0, pz, p)

        below, above = scattered(1.7), scattered(2.3)
        a, b = (fitted.encode(e, noise=noise()).x[0, 0].item() for e in (below, above))
        assert a == pytest.approx(b, rel=1e-3)
        events = Events.concatenate([below, *[above] * 99])
        assert fitted.fit([events]).outside_fraction == 0.01

    def test_electron_above_the_beam_energy_by_rounding_stays_finite(self) -> None:
        fitted = config(steps=[{"kind": "dis-kinematic"}]).build(SCHEMA, {"beam_energy": 50.0})
        p, pt = 50.0004, 1.5
        events = electron(pt, 0.0, math.sqrt(p**2 - pt**2), p)
        x = fitted.encode(events, noise=noise()).x
        assert x.isfinite().all()
        assert fitted.decode(x, events).columns["electron.energy"] < 50.0


class TestCartesian:
    def test_pz_stays_below_the_beam_energy_but_the_energy_may_not(self) -> None:
        fitted = build("fatgan").fit([electrons(1000, 1)])
        x = 3 * torch.randn(100_000, 3, generator=torch.Generator().manual_seed(0))
        given = under(50.0, 100_000)
        events = momenta(fitted.decode(x, given))
        assert (events[:, 2] <= 50).all()
        assert (events[:, 3] > 50).float().mean() > 0.01

    def test_events_at_the_edge_are_moved_inside_and_counted(self) -> None:
        one = electron(0.0, 0.1, 50.001, math.hypot(0.1, 50.001))
        fitted = build("fatgan").fit([electrons(99, 1), one])
        assert fitted.outside_fraction == 0.01
        back = fitted.decode(fitted.encode(one, noise=noise()).x, one)
        assert back.columns["electron.pz"][0] < 50


class TestResponse:
    def test_features_are_what_the_detector_did(self) -> None:
        fitted = build("response-electrons").fit([measured(5000)])
        assert fitted.feature_std[0] == pytest.approx(0.01, rel=0.05)
        events = measured(5000)
        wide = events[events.columns["vertex.pz"] < 45]  # φ along the beam is hardly known
        x = fitted.encode(wide, noise=noise()).x * fitted.feature_std
        assert x[:, 1:].std(dim=0).tolist() == pytest.approx([0.01, 0.01], rel=0.1)

    def test_azimuth_is_compared_around_the_circle(self) -> None:
        fitted = build("response-electrons")
        before, after = math.pi - 0.001, -math.pi + 0.001
        parts = {
            "electron": (math.cos(after), math.sin(after), 0.0, 1.0),
            "vertex": (math.cos(before), math.sin(before), 0.0, 1.0),
        }
        columns = {
            f"{group}.{name}": torch.tensor([value]).double()
            for group, values in parts.items()
            for name, value in zip(("px", "py", "pz", "energy"), values, strict=True)
        }
        x = fitted.encode(Events(columns, {}, torch.ones(1).double()), noise=noise()).x
        assert float(x[0, 2]) == pytest.approx(0.002, rel=1e-3)

    def test_networks_see_the_vertex_without_a_seam(self) -> None:
        fitted = build("response-electrons")
        assert fitted.condition_space.width == 4
        seen = fitted.condition(measured(100)).double()
        true = momenta(measured(100), ("vertex.px", "vertex.py", "vertex.pz")).T
        phi, theta = kinematics.azimuth(*true[:2]), kinematics.polar_angle(*true)
        expected = (
            kinematics.momentum(*true).log(),
            (theta / math.pi).logit(),
            phi.cos(),
            phi.sin(),
        )
        torch.testing.assert_close(seen, torch.stack(expected, dim=1), rtol=1e-5, atol=1e-5)

    def test_gradients_flow_to_the_vertex(self) -> None:
        """An unfolding generator is taught through the frozen response."""
        fitted = build("response-electrons").fit([measured(5000)])
        events = measured(100)
        vertex = {n: c.clone().requires_grad_() for n, c in events.columns.items() if "vertex" in n}
        made = fitted.decode(torch.zeros(100, 3), Events(vertex, {}, events.weight))
        total = made.columns["electron.pz"].sum()
        gradient = torch.autograd.grad(total, vertex["vertex.pz"])[0]
        assert gradient.isfinite().all()
        assert (gradient > 0.9).all()


class TestPionPair:
    @pytest.mark.parametrize("width", [1.0, 10.0])
    def test_whatever_is_generated_conserves_four_momentum(self, width: float) -> None:
        fitted = build("flow-photoproduction").fit([pions(5000, 1)])
        rng = torch.Generator().manual_seed(1)
        x = width * torch.randn(5000, 5, generator=rng)
        x[:, list(fitted.space.circle)] = 2 * torch.rand(5000, 2, generator=rng) - 1
        given = Events(
            {"photon_energy": torch.full((5000,), 3.0).double()}, {}, torch.ones(5000).double()
        )
        made = fitted.decode(x, given)
        particles = momenta(made, PHOTOPRODUCTION.schema_.event).split(4, dim=1)
        assert torch.cat(particles).isfinite().all()
        assert reaction.imbalance(*particles, given.columns["photon_energy"]).max() < 1e-13
        assert reaction.proton_shell(*particles[0].unbind(1)).max() < 1e-12
        assert max(reaction.pion_shell(*p.unbind(1)).max() for p in particles[1:]) < 1e-10

    def test_coordinates_are_those_of_other_formulas(self) -> None:
        fitted = build("flow-photoproduction")
        [step] = fitted._chain
        events = pions(2000, 9)
        p, pip, pim = momenta(events, PHOTOPRODUCTION.schema_.event).split(4, dim=1)
        photon = events.columns["photon_energy"]
        share, cosine, azimuth, helicity, _ = step.position(events.columns)
        w = reaction.cm_energy(photon)
        mass = 2 * reaction.PION_MASS + share * (w - 0.93827209 - 2 * reaction.PION_MASS)
        torch.testing.assert_close(mass, reaction.pair_mass(pip, pim))
        torch.testing.assert_close(cosine, -reaction.cos_theta_cm(p, photon))
        torch.testing.assert_close(helicity, reaction.cos_helicity(p, pip, pim))
        torch.testing.assert_close(azimuth, torch.atan2(-p[:, 1], -p[:, 0]))

    def test_phase_space_is_flat_in_the_angles(self) -> None:
        """Isotropic decays are flat in both cosines and in both azimuths."""
        only = ("source.shares={ delta = 0, rho = 0, phase_space = 1 }",)
        spec = DatasetSpec.load("gamma-p-to-p-pi-pi", only)
        columns = spec.source.draw(np.random.default_rng(1), 20_000, {"photon_energy": 3.0})
        [step] = build("flow-photoproduction")._chain
        tensors = {name: torch.from_numpy(values) for name, values in columns.items()}
        _, cosine, azimuth, helicity, turn = step.position(tensors)
        for values, half in ((cosine, 1), (azimuth, math.pi), (helicity, 1), (turn, math.pi)):
            counts = torch.histc(values, 20, -half, half)
            chi2 = float(((counts - 1000) ** 2 / 1000).sum())
            assert chi2 < 50  # of 19 degrees of freedom: 1 in 10,000

    def test_the_critic_sees_masses_and_momentum_transfer(self) -> None:
        fitted = build("flow-photoproduction").fit([pions(5000, 1)])
        events = pions(2000, 9)
        batch = fitted.encode(events, noise=noise())
        seen = fitted.view(batch.x.double(), batch.condition.double())
        seen = seen * fitted.view_std + fitted.view_mean
        p, pip, pim = momenta(events, PHOTOPRODUCTION.schema_.event).split(4, dim=1)
        pairs = [reaction.pair_mass(*pair) for pair in ((p, pip), (p, pim), (pip, pim))]
        expected = torch.stack([*pairs, reaction.momentum_transfer(p[:, 3])], dim=1)
        torch.testing.assert_close(seen[:, -4:], expected, rtol=1e-3, atol=1e-3)

    def test_jacobian_is_that_of_the_free_numbers(self) -> None:
        fitted = build("flow-photoproduction").fit([pions(5000, 1)])
        [step] = fitted._chain
        events = pions(50, 11)
        made = step.encode(events.columns)
        names = list(made)

        def coordinates(free: torch.Tensor, photon: torch.Tensor) -> torch.Tensor:
            columns = {n: v[None] for n, v in zip(names, free, strict=True)}
            given = {"photon_energy": photon[None]}
            decoded = step.decode({**columns, **given}) | given
            share, *angles = step.position(decoded)
            return torch.cat([share * step.range(given), *angles])

        free = torch.stack(list(made.values()), dim=1)
        jacobian = vmap(jacrev(coordinates))(free, events.columns["photon_energy"])
        expected = -torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(step.log_abs_det(events), expected, rtol=1e-6, atol=1e-6)

    def test_unbalanced_events_lie_outside(self) -> None:
        [step] = build("flow-photoproduction")._chain
        events = pions(100, 5)
        assert not step.outside(events).any()
        moved = events.replacing((), {"p.px": events.columns["p.px"] + 1e-3})
        assert step.outside(moved).all()


def test_energies_follow_from_momenta_and_masses() -> None:
    fitted = build("fatgan-photoproduction").fit([pions(2000, 1)])
    assert (fitted.space.width, fitted.view_space.width) == (9, 12)
    assert fitted.outside_fraction == 0
    x = torch.randn(100, 9, generator=torch.Generator().manual_seed(1))
    made = fitted.decode(x, pions(100, 2))
    for group, mass in (("p", 0.93827209), ("pip", 0.13957039), ("pim", 0.13957039)):
        px, py, pz, energy = (
            made.columns[f"{group}.{part}"] for part in ("px", "py", "pz", "energy")
        )
        squared = energy.square() - px.square() - py.square() - pz.square()
        torch.testing.assert_close(squared, torch.full_like(squared, mass**2), rtol=1e-6, atol=1e-9)
    wrong = pions(200, 3)
    wrong = wrong.replacing((), {"p.energy": 1.1 * wrong.columns["p.energy"]})
    with pytest.raises(DataError, match="100.0% of the train events lie outside the domain of the"):
        build("fatgan-photoproduction").fit([wrong])


def test_a_particle_without_mass_is_refused() -> None:
    groups = {"electron": SCHEMA.groups["electron"].model_copy(update={"mass": None})}
    with pytest.raises(ConfigError, match="group 'electron' has no mass; declare groups"):
        RunConfig.load("dsgan").features.build(EventSchema(SCHEMA.fields, groups), {})


def test_a_condition_is_no_feature() -> None:
    steps = [{"kind": "logarithm", "fields": ["beam_energy"]}]
    with pytest.raises(ConfigError, match="'beam_energy' is a condition, which events keep"):
        config(steps=steps).build(SCHEMA, {})


def test_a_step_that_makes_a_field_anew_is_refused() -> None:
    """`logarithm` of x is log_x, a name that a field has already, of an event or as a condition."""
    made = config(steps=[{"kind": "logarithm", "fields": ["x"]}])
    for role in ("event", "condition"):
        schema = EventSchema([Field(name="x"), Field(name="log_x", role=role)])
        with pytest.raises(ConfigError, match=r"features.steps.0: .* 'log_x', which is there alre"):
            made.build(schema, {})


def test_conditions_outside_their_steps_are_refused() -> None:
    steps = [{"kind": "logarithm", "fields": ["beam_energy"], "above": 1000.0}]
    with pytest.raises(DataError, match=r"outside that of features.conditions.0, logarithm of be"):
        config(conditions=steps).build(SCHEMA, {}).fit([electrons(100)])


def test_conditions_that_steps_cannot_take_are_named() -> None:
    masses = [Field(name=name, role="condition") for name in ("m_stop", "m_chi")]
    steps = [
        {"kind": "logarithm", "fields": ["m_stop"]},
        {"kind": "logarithm", "fields": ["m_chi"], "above": 19.0},
    ]
    fitted = config(conditions=steps).build(EventSchema([Field(name="x"), *masses]), {})
    good, bad = (Events.concatenate([given(300, 100), given(400, m)]) for m in (20, 18))
    fitted.require_conditions(good)
    with pytest.raises(
        ConfigError,
        match=r"m_stop = 400, m_chi = 18: outside the domain of features.conditions.1, logarithm "
        r"\(fields = \['m_chi'\], above = 19\); choose",
    ):
        fitted.require_conditions(bad)


def given(m_stop: float, m_chi: float) -> Events:
    """Return one event that has two masses alone."""
    masses = {"m_stop": torch.tensor([m_stop]), "m_chi": torch.tensor([m_chi])}
    return Events(masses, {}, torch.ones(1, dtype=torch.float64))


def test_fixed_conditions_leave_the_networks_none() -> None:
    fitted = RunConfig.load("fatgan-quick").features.build(SCHEMA, {"beam_energy": 50.0})
    assert fitted.condition_space.width == 0
    assert fitted.condition(electrons(20)).shape == (20, 0)
    given = fitted.given(torch.empty(20, 0))
    assert given.columns["beam_energy"].tolist() == [50.0] * 20


def test_a_map_that_most_events_do_not_fit_is_refused() -> None:
    run = small_run("fatgan-quick", "features.steps.0.q2_min=50.0")
    with pytest.raises(DataError, match="% of the train events lie outside the domain of the"):
        fitted_map(run, training_events())


def test_an_edge_above_the_beams_is_refused() -> None:
    run = small_run("fatgan-quick", "features.steps.0.m_hat_min=120.0")
    with pytest.raises(
        ConfigError, match="m_hat_min: 120 GeV is no less than √s, which is 100 GeV at the"
    ):
        fitted_map(run, training_events())


def test_unknown_steps_are_refused_by_key() -> None:
    with pytest.raises(ConfigError, match="unknown step kind 'dis-kinematics'"):
        small_run("fatgan-quick", 'features.steps=[{ kind = "dis-kinematics" }]')
