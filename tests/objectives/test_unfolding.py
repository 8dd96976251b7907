"""Unfolding: what its critic sees, and what its teacher must be."""

import pytest
import torch

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, EventSchema, Field, Group
from mleg_ray.objectives.unfolding import Unfolding
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from tests.dis_events import ELECTRON, PAIRS, SCHEMA, VERTEX
from tests.recipes import (
    Smearing,
    features_of,
    fitted_map,
    setting_of,
    small_run,
    training_events,
)


def taught(run: RunConfig, teacher: Smearing) -> Unfolding:
    objective = run.objective.bind(setting_of(fitted_map(run, training_events()), teacher))
    assert isinstance(objective, Unfolding)
    return objective


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_a_perfect_detector_leaves_the_adversary_alone(player: str) -> None:
    adversary = "objective.adversary={ kind = 'lsgan', critic_updates = 3 }"
    run = small_run("unfold-dis", adversary)
    feature_map = fitted_map(run, training_events())
    model = run.build_model(feature_map)
    batch = features_of(feature_map, training_events(64))
    noise, losses = Noise(torch.device("cpu")), []
    alone = run.objective.adversary.bind(setting_of(feature_map))
    for objective in (taught(run, Smearing(0.0)), alone):
        noise.seed(1)
        loss, *_ = objective.loss(player, model, feature_map, batch, noise=noise)
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_gradient_reaches_the_generator_through_the_detector() -> None:
    run = small_run("unfold-dis")
    feature_map = fitted_map(run, training_events())
    model = run.build_model(feature_map)
    noise = Noise(torch.device("cpu"))
    loss, *_ = taught(run, Smearing()).loss(
        "generator", model, feature_map, features_of(feature_map, training_events(64)), noise=noise
    )
    loss.backward()
    for parameter in model.generator.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


def test_what_is_judged_is_measured() -> None:
    run = small_run("unfold-dis")
    events = training_events(5000)
    generator = torch.Generator().manual_seed(1)
    measured = taught(run, Smearing(0.05)).observed(events, generator=generator)
    ratio = measured.columns["electron.pz"] / events.columns["electron.pz"]
    assert ratio.mean().item() == pytest.approx(1, abs=0.005)
    assert ratio.std().item() == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (SCHEMA, "no condition of it is the true value of a field"),
        (
            PAIRS.without(ELECTRON[2:] + VERTEX[2:]),
            "measures electron.px, electron.py; not electron.pz, electron.energy",
        ),
        (
            EventSchema(PAIRS.fields, {**PAIRS.groups, "electron": Group(pdg_id=211)}),
            "its electron is PDG 211, of another reaction than the dataset's, PDG 11",
        ),
        (
            EventSchema([f.model_copy(update={"unit": "MeV"}) for f in PAIRS.fields], PAIRS.groups),
            "measures electron.px in MeV; the dataset has it in GeV",
        ),
        (
            EventSchema(
                [
                    *PAIRS.fields,
                    Field(name="electron.charge"),
                    Field(name="vertex.charge", role="condition"),
                ],
                PAIRS.groups,
            ),
            "needs 'vertex.charge', but the dataset has neither a field 'electron.charge'",
        ),
    ],
)
def test_teachers_of_something_else_are_refused(schema: EventSchema, message: str) -> None:
    run = small_run("unfold-dis")
    teacher = Smearing()
    teacher.schema = schema
    model = run.build_model(fitted_map(run, training_events()))
    with pytest.raises(ConfigError, match=message):
        run.objective.require_teacher(teacher, SCHEMA, model.noise_space)


class Doubling(Smearing):
    """A detector that measures twice the momentum."""

    def decode(self, noise: torch.Tensor, given: Events) -> Events:
        return super().decode(torch.ones_like(noise), given)


def test_generated_events_are_compared_as_they_are_measured() -> None:
    run = small_run("unfold-dis")
    feature_map = fitted_map(run, training_events())
    model = run.build_model(feature_map)
    batch = features_of(feature_map, training_events(64))
    noise = Noise(torch.device("cpu"))
    noise.seed(1)
    draws = model.noise_space.draw_from(noise, 64)
    given = feature_map.given(batch.condition)
    vertex = feature_map.decode(model.decode(draws, batch.condition), given)
    doubled = {name: 2 * vertex.columns[name] for name in ELECTRON[:3]}
    momentum = torch.stack(list(doubled.values()), dim=1)
    measured = vertex.replacing((), doubled | {"electron.energy": momentum.norm(dim=1)})
    expected = feature_map.view(feature_map.encode(measured, noise=noise).x, batch.condition)
    noise.seed(1)
    objective = run.objective.bind(setting_of(feature_map, Doubling(1.0)))
    loss = objective.loss("generator", model, feature_map, batch, noise=noise)
    assert loss.made is not None
    compared = feature_map.view(loss.made, batch.condition)
    torch.testing.assert_close(compared, expected, rtol=1e-4, atol=1e-4)


def test_the_adversary_keeps_its_critic_within_bounds() -> None:
    clipped = "objective.adversary={ kind = 'wgan-clipped', critic_updates = 1, clip = 0.25 }"
    critic = torch.nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[-3.0, 0.125]]))
    taught(small_run("unfold-dis", clipped), Smearing()).constrain("critic", critic)
    assert critic.weight.tolist() == [[-0.25, 0.125]]


def test_only_an_adversary_by_scores_can_be_taught() -> None:
    with pytest.raises(ConfigError, match=r"objective\.adversary"):
        small_run("unfold-dis", "objective.adversary={ kind = 'likelihood' }")
