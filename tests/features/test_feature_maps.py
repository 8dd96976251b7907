"""The contract of every map of the scattered electron, and what each promises of its own."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import jacrev, vmap

from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import Batch, EventSchema, Field
from mleg_ray.features import FEATURE_MAPS, FeatureMap
from mleg_ray.features.dis import KinematicMapConfig
from mleg_ray.physics import dis
from tests.dis_events import FIELDS, Q2_MIN, SCHEMA, electrons
from tests.recipes import fitted_map, small_run, training_events


def build(kind: str, beam_energies: tuple[float, ...] = (50.0,)) -> FeatureMap:
    fixed = {"beam_energy": 50.0} if len(beam_energies) == 1 else {}
    return FEATURE_MAPS[kind]().build(SCHEMA, fixed)


@pytest.fixture(params=sorted(kind for kind in FEATURE_MAPS if kind[:4] == "dis-"), scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[(50.0,), (10.0, 30.0, 50.0)], ids=["one beam energy", "several"])
def fitted(kind: str, request: pytest.FixtureRequest) -> FeatureMap:
    return build(kind, request.param).fit([electrons(5000, 1, request.param)])


class TestContract:
    def test_round_trip_of_events(self, fitted: FeatureMap) -> None:
        beams = (10.0, 30.0, 50.0) if fitted.n_conditions else (50.0,)
        batch = electrons(20_000, 2, beams)
        back = fitted.inverse(fitted(batch.x, batch.context), batch.context)
        torch.testing.assert_close(back, batch.x, rtol=1e-9, atol=1e-9)

    @settings(deadline=None, max_examples=50)
    @given(seed=st.integers(0, 2**31), scale=st.floats(0.1, 1.0))
    def test_round_trip_of_features(self, kind: str, seed: int, scale: float) -> None:
        fitted = build(kind).fit([electrons(2000, 1)])
        generator = torch.Generator().manual_seed(seed)
        features = scale * torch.randn(64, 3, generator=generator, dtype=torch.float64)
        features = features.clamp(-2.5, 2.5)  # where no map's `resolution` is reached
        for i in fitted.periodic:
            features[:, i] = torch.remainder(features[:, i] + 1, 2) - 1
        context = torch.full((64, 1), 50.0, dtype=torch.float64)
        events = fitted.inverse(features, context)
        # Spherical and light-cone coordinates do not promise an electron.
        inside = (events[:, :3].norm(dim=1) - events[:, 3]).abs() < 1e-6
        assert inside.float().mean() > 0.5
        back = fitted(events, context)
        torch.testing.assert_close(back[inside], features[inside], rtol=1e-6, atol=1e-6)

    def test_jacobian_is_that_of_autograd(self, fitted: FeatureMap) -> None:
        beams = (10.0, 30.0, 50.0) if fitted.n_conditions else (50.0,)
        batch = electrons(200, 3, beams)

        def features(momentum: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
            energy = momentum.square().sum().sqrt()
            return fitted(torch.cat([momentum, energy[None]])[None], context[None])[0]

        jacobian = vmap(jacrev(features))(batch.x[:, :3], batch.context)
        expected = torch.linalg.slogdet(jacobian).logabsdet
        actual = fitted.log_abs_det_jacobian(batch.x, batch.context)
        torch.testing.assert_close(actual, expected, rtol=1e-7, atol=1e-7)

    def test_standardised_on_what_it_was_fitted_to(self, fitted: FeatureMap) -> None:
        beams = (10.0, 30.0, 50.0) if fitted.n_conditions else (50.0,)
        batch = electrons(5000, 1, beams)
        features = fitted(batch.x, batch.context)
        plain = [i for i in range(fitted.n_features) if i not in fitted.periodic]
        view = fitted.augment(features, batch.context)
        for values in (features[:, plain], view):
            torch.testing.assert_close(
                values.mean(0), torch.zeros(values.shape[1]).double(), atol=1e-9, rtol=0
            )
            torch.testing.assert_close(
                values.std(0, unbiased=False), torch.ones(values.shape[1]).double()
            )

    def test_statistics_do_not_depend_on_how_events_are_batched(self, kind: str) -> None:
        batch = electrons(999, 4)
        whole = build(kind).fit([batch])
        parts = build(kind).fit([batch[:10], batch[10:500], batch[500:]])
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(parts.state_dict()[name], value, rtol=1e-10, atol=1e-10)

    def test_weights_count(self, kind: str) -> None:
        batch = electrons(1000, 5)
        weight = torch.cat([torch.full((500,), 3.0), torch.ones(500)]).double()
        weighted = build(kind).fit([Batch(batch.x, batch.context, weight)])
        repeated = build(kind).fit([batch[:500], batch[:500], batch])
        torch.testing.assert_close(weighted.feature_mean, repeated.feature_mean)
        torch.testing.assert_close(weighted.view_std, repeated.view_std)

    def test_gradients_flow_through_the_view(self, fitted: FeatureMap) -> None:
        beams = (10.0, 30.0, 50.0) if fitted.n_conditions else (50.0,)
        batch = electrons(256, 6, beams).to(torch.float32)
        features = torch.randn(256, fitted.n_features).requires_grad_()
        view = fitted.augment(features, batch.context)
        assert view.shape == (256, fitted.n_augmented)
        for column in view.unbind(1):
            (gradient,) = torch.autograd.grad(column.sum(), features, retain_graph=True)
            assert gradient.isfinite().all()
            assert (gradient != 0).any()

    def test_view_in_single_precision_agrees_with_double(self, fitted: FeatureMap) -> None:
        beams = (10.0, 30.0, 50.0) if fitted.n_conditions else (50.0,)
        batch = electrons(2000, 7, beams)
        features = fitted(batch.x, batch.context)
        exact = fitted.augment(features, batch.context)
        single = fitted.augment(features.float(), batch.context.float())
        torch.testing.assert_close(single.double(), exact, rtol=2e-3, atol=2e-3)

    def test_order_of_columns_does_not_matter(self, kind: str) -> None:
        order = [2, 0, 3, 1]
        fields = [FIELDS[i] for i in order] + [FIELDS[4]]
        other = FEATURE_MAPS[kind]().build(EventSchema(fields), {"beam_energy": 50.0})
        batch = electrons(100, 8)
        own = build(kind)
        features = other(batch.x[:, order], batch.context)
        torch.testing.assert_close(features, own(batch.x, batch.context))
        torch.testing.assert_close(other.inverse(features, batch.context), batch.x[:, order])

    def test_missing_field_is_named(self, kind: str) -> None:
        schema = EventSchema([Field(name="px"), Field(name="beam_energy", role="condition")])
        with pytest.raises(ConfigError, match="py, pz, energy"):
            FEATURE_MAPS[kind]().build(schema, {"beam_energy": 50.0})


def test_the_critic_sees_all_sectors_as_one() -> None:
    plain, sectored = (
        FEATURE_MAPS["dis-spherical"](**options)
        .build(SCHEMA, {"beam_energy": 50.0})
        .fit([electrons(5000, 1)])
        for options in ({}, {"sectors": 6})
    )
    features = torch.zeros(7, 3, dtype=torch.float64)
    features[:, 2] = 1 / 24 + torch.arange(7).double() / 3  # half turns, a sector further each
    context = torch.full((7, 1), 50.0, dtype=torch.float64)
    of_sector = sectored.augment(features, context)[:, plain.n_augmented :]
    assert of_sector.shape == (7, 2)
    torch.testing.assert_close(of_sector, of_sector[:1].expand(7, 2))
    features[:, 2] += 1 / 6
    assert (sectored.augment(features, context)[:, -2:] - of_sector).abs().min() > 1
    torch.testing.assert_close(
        sectored.augment(features, context)[:, : plain.n_augmented],
        plain.augment(features, context),
    )


class TestKinematicMap:
    @settings(deadline=None, max_examples=100)
    @given(
        u1=st.floats(-30, 60),
        u2=st.floats(-30, 30),
        phi=st.floats(-5, 5),
        beam=st.floats(5, 500),
        m_hat_min=st.sampled_from([0.0, 4.0]),
    )
    def test_no_real_feature_gives_an_unphysical_event(
        self, u1: float, u2: float, phi: float, beam: float, m_hat_min: float
    ) -> None:
        fitted = KinematicMapConfig(m_hat_min=m_hat_min).build(SCHEMA, {"beam_energy": 50.0})
        context = torch.tensor([[beam]], dtype=torch.float64)
        features = torch.tensor([[u1, u2, phi]], dtype=torch.float64)
        event = fitted.inverse(features, context)
        px, py, pz, energy = event.unbind(1)
        one = 1 + 1e-12  # float64 rounding where an edge is approached to less than 1e-12
        assert event.isfinite().all()
        assert energy <= beam * one
        assert Q2_MIN / one <= dis.q2(px, py, pz, context[0]) <= 4 * beam**2 * one
        assert energy == pytest.approx(torch.sqrt(px**2 + py**2 + pz**2).item(), rel=1e-12)

    def test_cut_on_the_mass_is_a_smeared_edge(self) -> None:
        fitted = KinematicMapConfig(m_hat_min=4.0).build(SCHEMA, {"beam_energy": 50.0})
        features = 2 * torch.randn(10_000, 3, generator=torch.Generator().manual_seed(1)).double()
        features[:, 2] = torch.remainder(features[:, 2] + 1, 2) - 1
        context = torch.full((10_000, 1), 50.0, dtype=torch.float64)
        events = fitted.inverse(features, context)
        x = dis.x_bj(*events[:, :3].T, context[:, 0])
        below = x * 4 * 50.0**2 < 16
        assert below.any()
        assert below[features[:, 1] > 4.5].sum() > below[features[:, 1] < 4].sum() == 0
        # Near an edge the momentum itself no longer tells how near.
        inside = (features[:, :2].abs() < 8).all(dim=1)
        torch.testing.assert_close(
            fitted(events, context)[inside], features[inside], rtol=1e-6, atol=1e-6
        )

        def of_momentum(momentum: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
            energy = momentum.square().sum().sqrt()
            return fitted(torch.cat([momentum, energy[None]])[None], context[None])[0]

        few = inside.nonzero()[:100, 0]
        jacobian = vmap(jacrev(of_momentum))(events[few, :3], context[few])
        torch.testing.assert_close(
            jacobian.det().abs().log(), fitted.log_abs_det_jacobian(events[few], context[few])
        )
        batch = Batch(events, context, torch.ones(10_000).double())
        assert fitted.fit([batch]).outside_fraction == 0

    def test_coordinates_hardly_move_with_the_beam_energy(self) -> None:
        """A flat structure function of log x looks the same at any energy."""
        config = KinematicMapConfig(m_hat_min=4.0)
        fitted = config.build(SCHEMA, {"beam_energy": 50.0})
        positions = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
        features = torch.stack([torch.zeros(9), positions.logit(), torch.zeros(9)], dim=1).double()
        for beam in (20.0, 80.0):
            context = torch.full((9, 1), beam, dtype=torch.float64)
            events = fitted.inverse(features, context)
            log_x = dis.x_bj(*events[:, :3].T, context[:, 0]).log()
            steps = log_x.diff()
            torch.testing.assert_close(steps, steps.mean().expand(8), rtol=2e-3, atol=0)

    def test_events_beyond_an_edge_are_mirrored_counted_and_not_piled_up(self) -> None:
        fitted = build("dis-kinematic")
        context = torch.tensor([[50.0]], dtype=torch.float64)
        p = torch.tensor(48.0, dtype=torch.float64)

        def electron(q2: float) -> torch.Tensor:
            pz = p - q2 / 100
            pt = torch.sqrt(p**2 - pz**2)
            return torch.stack([pt, pt * 0, pz, p])[None]

        below, above = electron(1.7), electron(2.3)
        torch.testing.assert_close(
            fitted(below, context)[:, 0], fitted(above, context)[:, 0], rtol=1e-3, atol=1e-3
        )
        events = torch.cat([below, above.expand(99, 4)])
        batch = Batch(events, context.repeat(100, 1), torch.ones(100).double())
        assert fitted.fit([batch]).outside_fraction == 0.01

    def test_electron_above_the_beam_energy_by_rounding_stays_finite(self) -> None:
        p = 50.0004
        pt = 1.5
        event = torch.tensor([[pt, 0.0, math.sqrt(p**2 - pt**2), p]], dtype=torch.float64)
        context = torch.tensor([[50.0]], dtype=torch.float64)
        features = build("dis-kinematic")(event, context)
        assert features.isfinite().all()
        assert build("dis-kinematic").inverse(features, context)[0, 3] < 50.0

    def test_critic_sees_no_seam_at_phi_of_pi(self) -> None:
        fitted = build("dis-kinematic").fit([electrons(1000, 1)])
        context = torch.full((2, 1), 50.0, dtype=torch.float64)
        features = torch.tensor([[0.3, 0.1, 1.0], [0.3, 0.1, -1.0]], dtype=torch.float64)
        view = fitted.augment(features, context)
        torch.testing.assert_close(view[0], view[1], rtol=1e-12, atol=1e-12)


class TestCartesianMap:
    def test_pz_stays_below_the_beam_energy_but_the_energy_may_not(self) -> None:
        fitted = build("dis-cartesian").fit([electrons(1000, 1)])
        features = 3 * torch.randn(100_000, 3, generator=torch.Generator().manual_seed(0))
        context = torch.full((100_000, 1), 50.0, dtype=torch.float64)
        events = fitted.inverse(features.double(), context)
        assert (events[:, 2] <= 50).all()
        assert (events[:, 3] > 50).float().mean() > 0.01

    def test_events_at_the_edge_are_moved_inside_and_counted(self) -> None:
        event = torch.tensor([[0.0, 0.1, 50.001, 50.001]], dtype=torch.float64)
        context = torch.tensor([[50.0]], dtype=torch.float64)
        batch = Batch(event, context, torch.ones(1).double())
        fitted = build("dis-cartesian").fit([electrons(99, 1), batch])
        assert fitted.outside_fraction == 0.01
        assert fitted.inverse(fitted(event, context), context)[0, 2] < 50


def test_a_map_that_most_events_do_not_fit_is_refused() -> None:
    run = small_run("fatgan-quick", "features.q2_min=50.0")
    with pytest.raises(DataError, match=r"% of the train events lie outside the domain of Kin"):
        fitted_map(run, training_events())


def test_an_edge_above_the_beams_is_refused() -> None:
    run = small_run("fatgan-quick", "features.m_hat_min=120.0")
    with pytest.raises(ConfigError, match="m_hat_min: 120 GeV is no less than √s, 100 GeV at the"):
        fitted_map(run, training_events())
