"""The space: what is drawn is always a valid run, and what is impossible is told at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from mleg_ray.config import named_folders
from mleg_ray.errors import ConfigError
from mleg_ray.run import RunConfig
from mleg_ray.study.plan import Plan
from mleg_ray.study.space import Space

optuna.logging.set_verbosity(optuna.logging.WARNING)

STUDY = "[study]\ntrials = 3\n"

# Every kind, a condition on another parameter, one inside a chosen table, and a list's element.
ALL_KINDS = """
"training.batch_size" = { kind = "int", low = 16, high = 64, log = true }
"training.optimisers.generator.learning_rate" = { kind = "log-uniform", low = 1e-4, high = 1e-2 }
"training.optimisers.generator.betas.0" = { kind = "uniform", low = 0.0, high = 0.5 }
training.optimisers.critic.schedule = { kind = "choice", values = ["cosine", "constant"] }
"model.generator.widths" = { kind = "layers", width = [8, 32], depth = [1, 3] }
"model.generator.residual" = { kind = "choice", values = [true, false] }
"features.steps" = { kind = "choice", values = [
    [{ kind = "mass-shell", group = "electron" }], [{ kind = "dis-kinematic", q2_min = 2.0 }]] }
"training.ema_decay" = { kind = "constant", value = 0.99 }

[space."features.steps.0.q2_min"]
kind = "uniform"
low = 1.0
high = 2.0
when = { "features.steps.0.kind" = "dis-kinematic" }

[space."model.generator.dropout"]
kind = "uniform"
low = 0.1
high = 0.5
when = { "model.generator.residual" = true }
"""

Load = Callable[..., Plan]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads `fatgan-quick` with a space and a study around it."""
    recipe = (named_folders("tuning")[0] / "fatgan-quick.toml").read_text()
    recipe = recipe.split("\n# Thirty")[0]

    def load(space: str, study: str = STUDY, *assignments: str) -> Plan:
        path = tmp_path / "recipe.toml"
        path.write_text(f"{recipe}\n[space]\n{space}\n{study}")
        return Plan.load(str(path), assignments)

    return load


def drawn(space: Space, n: int, seed: int = 1) -> list[tuple[dict[str, Any], RunConfig]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    points = [space.draw(study.ask()) for _ in range(n)]
    return [(point, space.run(point)) for point in points]


def test_every_drawn_point_is_its_run(load: Load) -> None:
    points = drawn(load(ALL_KINDS).searched, 200)
    for point, run in points:
        adam = run.training.optimisers["generator"]
        assert run.training.batch_size == point["training.batch_size"] in range(16, 65)
        assert adam.learning_rate == point["training.optimisers.generator.learning_rate"]
        assert adam.betas == (point["training.optimisers.generator.betas.0"], 0.9)
        assert set(run.model.generator.widths) <= set(range(8, 33))
        assert run.training.ema_decay == 0.99
        is_kinematic = run.features.steps[0].kind == "dis-kinematic"
        assert ("features.steps.0.q2_min" in point) == is_kinematic
        assert ("model.generator.dropout" in point) == run.model.generator.residual
        assert (run.model.generator.dropout > 0) == run.model.generator.residual
    assert {len(run.model.generator.widths) for _, run in points} == {1, 2, 3}
    chosen = {run.features.steps[0].kind for _, run in points}
    assert chosen == {"mass-shell", "dis-kinematic"}


def test_a_plan_survives_its_own_toml(load: Load, tmp_path: Path) -> None:
    plan = load(ALL_KINDS, STUDY + 'points = [{ "training.batch_size" = 32 }]\n')
    path = tmp_path / "again.toml"
    path.write_text(plan.to_toml())
    assert Plan.load(str(path)) == plan


def test_what_optuna_stores_gives_the_point_back(load: Load) -> None:
    space = load(ALL_KINDS).searched
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2))
    for _ in range(20):
        trial = study.ask()
        point = space.draw(trial)
        assert space.encode(point, "point") == trial.params
        assert space.draw(optuna.trial.FixedTrial(trial.params)) == point


def test_assignments_go_to_the_run_or_to_the_study(load: Load) -> None:
    plan = load(ALL_KINDS, STUDY, "training.steps=500", "study.trials=7")
    assert (plan.run.training.steps, plan.study.trials) == (500, 7)


RATE = "training.optimisers.generator.learning_rate"
NEVER = '"model.noise_dim" = { kind = "int", low = 1, high = 2, when = { "model.kind" = "flow" } }'
LATE = """
"features.steps.0.q2_min" = { kind = "uniform", low = 1, high = 2, when = { "dataset" = "x" } }
"features.steps" = { kind = "choice", values = [[{ kind = "dis-kinematic", q2_min = 2.0 }]] }
"""


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("", "space: empty"),
        ('"model.noise_dims" = { kind = "int", low = 1, high = 3 }', "unknown key.*noise_dim'"),
        ('"modle.noise_dim" = { kind = "int", low = 1, high = 3 }', "unknown key 'modle'.*model"),
        ('"model.noise_dim.x" = { kind = "int", low = 1, high = 3 }', "is a value, not a section"),
        ('"model.generator.widths.7" = { kind = "int", low = 1, high = 3 }', "index.*0 to 2"),
        ('"model.noise_dim" = { kind = "int", low = -1, high = 3 }', "noise_dim = -1: .*greater"),
        ('"model.noise_dim" = { kind = "uniform", low = 2, high = 8 }', "valid integer"),
        (f'"{RATE}" = {{ kind = "choice", values = [1e-3, "fast"] }}', "= 'fast': .*valid number"),
        (f'"{RATE}" = {{ kind = "log-uniform", low = 0, high = 1 }}', "low: .*greater than 0"),
        (f'"{RATE}" = {{ kind = "uniform", low = 2, high = 1 }}', "low must be below high"),
        (f'"{RATE}" = {{ kind = "normal", low = 2, high = 1 }}', "unknown parameter kind 'normal'"),
        (f'"{RATE}" = {{ low = 2, high = 1 }}', "kind"),
        (f'"{RATE}" = {{ kind = "choice", values = [] }}', "values"),
        (f'"{RATE}" = {{ kind = "choice", values = [1.0, 1.0] }}', "values must differ"),
        (NEVER, "model.noise_dim: its condition never holds"),
        (LATE, "'features.steps' must stand before 'features.steps.0.q2_min'"),
        ('"objective.kind" = { kind = "choice", values = ["wgan-gp", "beta-vae"] }', "beta-vae"),
    ],
)  # fmt: skip
def test_impossible_spaces_are_refused(load: Load, space: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(space)
    assert "recipe.toml" in str(caught.value)


def test_values_that_do_not_fit_together_are_found(load: Load) -> None:
    # Each alone fits the recipe's other values; the student needs a teacher, the GAN has none.
    fits = '"training.steps" = { kind = "int", low = 250, high = 300 }\n'
    space = fits + '"teacher" = { kind = "choice", values = ["flow-dis"] }'
    with pytest.raises(ConfigError, match="learns from none"):
        load(space)


SMALL = '"training.batch_size" = { kind = "int", low = 16, high = 64 }\n'


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ('points = [{ "training.batch_sizes" = 16 }]', "points.0: .*not in the space.*batch_size'"),
        ('points = [{ "training.batch_size" = 16 }, { "training.batch_size" = 65 }]',
         "points.1: training.batch_size: outside of 16 to 64 .got 65"),
        ('points = [{ "training.batch_size" = 16.5 }]', "whole number"),
        ('points = [{ "training.batch_size" = true }]', "a number is needed"),
        ('objectives = ["throughput"]', "must begin with ks_sum or c2st_auc"),
        ('objectives = ["ks_sum", "ks_sum"]', "differ"),
        ('objectives = ["ks_sum", "beauty"]', "objectives.1"),
        ('objectives = ["ks_sum", "flops"]\npruning = { kind = "median" }', "pruning needs"),
        ('objectives = ["c2st_auc"]\npruning = { kind = "median" }', "pruning needs ks_sum"),
        ('pruning = { kind = "asha", first = 4000 }', "no trial reaches step 4000"),
        ('pruning = { kind = "asha" }', "missing key .*first"),
        (
            'search = { kind = "tpee" }',
            r"unknown search kind 'tpee' \(did you mean 'tpe'\?\); known kinds: .*tpe",
        ),
        ("gpus = 1.5", "a fraction of one, or a whole number"),
        ("trial = 3", "unknown key 'study.trial'"),
    ],
)  # fmt: skip
def test_impossible_studies_are_refused(load: Load, study: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(SMALL, STUDY + study)
    assert "recipe.toml" in str(caught.value)


def test_point_outside_its_condition(load: Load) -> None:
    steps = '"features.steps" = [{ kind = "mass-shell", group = "electron" }]'
    study = STUDY + f'points = [{{ {steps}, "features.steps.0.q2_min" = 1.5 }}]'
    with pytest.raises(ConfigError, match="features.steps.0.q2_min: its condition does not hold"):
        load(ALL_KINDS, study)


def test_budget_below_one_judgement(load: Load) -> None:
    with pytest.raises(ConfigError, match="100 steps end before the first judgement"):
        load(SMALL, STUDY, "training.steps=100")


def test_recipe_without_a_study(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no \[space\] table"):
        Plan.load("flow-dis")


@pytest.mark.parametrize("recipe", ["fatgan-quick", "bvae-dis", "avae-dis"])
def test_shipped_studies_try_their_recipe_first(recipe: str) -> None:
    plan = Plan.load(recipe)
    point = plan.study.points[0]
    assert set(point) == {key for key, p in plan.space.items() if not p.when}
    assert plan.searched.run(point).digest() == plan.run.digest()


@pytest.mark.parametrize("kind", ["tpe", "gp", "nsga-ii", "random", "cma-es"])
def test_every_search_proposes_valid_runs(load: Load, kind: str) -> None:
    if kind == "cma-es":
        pytest.importorskip("cmaes")
    startup = "" if kind in ("random", "nsga-ii") else ", startup = 3"
    plan = load(ALL_KINDS, STUDY + f'search = {{ kind = "{kind}"{startup} }}')
    study = optuna.create_study(sampler=plan.study.search.build(1))
    for i in range(8):
        trial = study.ask()
        plan.searched.run(plan.searched.draw(trial))
        study.tell(trial, float(i))
