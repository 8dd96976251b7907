"""Configuration: strict at the edge, with messages that name the key and the mend."""

import hashlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from mleg_ray.config import Config, Registry, find_named, named_folders, override, parse, read_toml
from mleg_ray.errors import ConfigError
from mleg_ray.run import RunConfig, read_recipe
from mleg_ray.study.plan import Plan

RECIPES = sorted(path.stem for path in named_folders("tuning")[0].glob("*.toml"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_survives_its_own_toml(recipe: str) -> None:
    run = RunConfig.load(recipe)
    again = parse(RunConfig, tomllib.loads(run.to_toml()), "again")
    assert again == run
    assert again.digest() == run.digest()


def test_a_digest_is_that_of_the_canonical_json_of_values_or_of_some() -> None:
    class Both(Config):
        b: float = 2.0
        a: str | None = None

    whole = hashlib.sha256(b'{"a": "x", "b": 2.0}').hexdigest()
    assert Both(a="x").digest() == whole
    some = hashlib.sha256(b'{"b": 2.0}').hexdigest()
    assert Both(a="x").digest("b") == Both().digest() == some


def test_a_recipe_extends_the_run_of_another(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "fatgan-quick"\n[run]\ndataset = "mine"\n')
    assert RunConfig.load(str(mine)).dataset == "mine"
    with pytest.raises(ConfigError, match=r"no \[space\] table"):  # a study is a recipe's own
        Plan.load(str(mine))
    (tmp_path / "folder").mkdir()
    other = tmp_path / "folder" / "other.toml"
    other.write_text('extends = "../mine.toml"\n[run.features]\nsteps = []\n')
    assert RunConfig.load(str(other)).dataset == "mine"  # a path is seen from its file
    mine.write_text('extends = "nowhere"\n')
    with pytest.raises(ConfigError, match=r"no nowhere\.toml"):
        RunConfig.load(str(mine))


def test_an_extended_recipe_s_tables_are_inherited_key_by_key(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'extends = "fatgan"\n[run.model]\nnoise_dim = 7\ncritic = { widths = [8] }\n'
        '[run.features]\nview = ["*"]\n[run.objective]\nkind = "lsgan"\ncritic_updates = 2\n'
        "[run.training.optimisers.critic]\nlearning_rate = 2e-4\n"
    )
    base, run = RunConfig.load("fatgan"), RunConfig.load(str(mine))
    assert (run.model.noise_dim, run.model.critic.widths) == (7, (8,))
    assert run.model.critic.dropout == base.model.critic.dropout == 0.1
    assert run.model.generator == base.model.generator
    assert run.features.steps == base.features.steps
    assert run.features.view == ("*",)  # a list is never merged
    # The weight of the MMD belongs to the other kind, as does the penalty.
    assert run.objective.mmd_weight == 0 < base.objective.mmd_weight
    critic = run.training.optimisers["critic"]
    assert (critic.learning_rate, critic.betas) == (2e-4, (0.5, 0.9))
    assert run.training.optimisers["generator"] == base.training.optimisers["generator"]


def test_a_table_that_extends_nothing(tmp_path: Path) -> None:
    mine, grandchild = tmp_path / "mine.toml", tmp_path / "grandchild.toml"
    own = "{ extends = false, steps = 3, batch_size = 4, optimisers = { extends = false } }"
    mine.write_text(f'extends = "fatgan"\n[run]\ntraining = {own}\n')
    training = {"steps": 3, "batch_size": 4, "optimisers": {}}
    assert read_recipe(str(mine))[0]["run"]["training"] == training
    grandchild.write_text('extends = "mine.toml"\n[run.training]\nseed = 5\n')
    assert read_recipe(str(grandchild))[0]["run"]["training"] == {**training, "seed": 5}
    mine.write_text('extends = "fatgan"\n[run.model]\nextends = "dsgan"\n')
    message = r"mine.toml: run.model.extends: .* `extends = false`, nothing \(got 'dsgan'\)"
    with pytest.raises(ConfigError, match=message):
        RunConfig.load(str(mine))


def test_losses_of_one_gan_differ_in_nothing_else() -> None:
    base = RunConfig.load("fatgan")
    mmd = {"mmd_weight": 1.0, "mmd_bandwidths": (1.0,)}
    for loss, own in {
        "vanilla": {"kind": "vanilla-gan", "critic_updates": 1, **mmd},
        "lsgan": {"kind": "lsgan", "critic_updates": 1, "a": 0.0, "b": 1.0, "c": 1.0, **mmd},
        "wgan-clipped": {"kind": "wgan-clipped", "critic_updates": 5, "clip": 0.01, **mmd},
        "one-sided": base.objective.model_dump() | {"one_sided": True},
        "mmd-gan": {
            "kind": "mmd-gan",
            "critic_updates": 5,
            "gradient_penalty": 10.0,
            "bandwidths": (1.0, 2.0, 4.0, 8.0, 16.0),
        },
    }.items():
        run = RunConfig.load(f"fatgan-{loss}")
        assert run.objective.model_dump() == {"critic_share": 1.0, **own}, loss
        for key in ("noise_dim", "generator", "critic"):
            assert getattr(run.model, key) == getattr(base.model, key), (loss, key)
        assert (run.features, run.selection) == (base.features, base.selection)
        optimisers = list(run.training.optimisers.values())
        assert optimisers == list(base.training.optimisers.values())


def test_the_paper_s_values() -> None:
    run = RunConfig.load("fatgan")
    assert run.model.noise_dim == 100
    assert run.model.generator.widths == run.model.critic.widths == (512,) * 5
    assert run.model.generator.negative_slope == 0.2
    assert run.model.critic.dropout == 0.1
    assert (run.objective.gradient_penalty, run.objective.critic_updates) == (10, 5)
    assert run.objective.mmd_weight > 0
    for player in ("generator", "critic"):
        adam = run.training.optimisers[player]
        assert (adam.learning_rate, adam.betas) == (1e-4, (0.5, 0.9))


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.stpes=3", r"unknown key 'training.stpes' \(did you mean 'steps'\?\)"),
        ("model.noise_dims=3", r"unknown key 'model.noise_dims' \(did you mean 'noise_dim'\?\)"),
        ("model.critic.dropout=1.5", "model.critic.dropout: .*less than 1.*got 1.5"),
        ("training.steps=0", "training.steps: .*greater than 0"),
        ("training.steps=many", "training.steps: .*valid integer"),
        ("training.optimisers.generator.learning_rate=nan", "finite"),
        (
            "model.kind=gann",
            r"unknown model kind 'gann' \(did you mean 'gan'\?\); known kinds: .*gan",
        ),
        ("objective.kind=beta-vae", "gradient_penalty"),
        ("features=3", "features: Input should be a valid dictionary"),
        ("features.steps=[3]", "features.steps.0.*expected a table with a 'kind'"),
        (
            "features.steps=[{kind='mass-shel'}]",
            r"unknown step kind 'mass-shel' \(did you mean 'mass-shell'\?\); known kinds: ",
        ),
        ("training.optimisers.critik.learning_rate=1e-3", "betas"),
        ("selection.observables=[]", "selection.observables"),
    ],
)
def test_faults_name_the_file_the_key_and_the_mend(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        RunConfig.load("fatgan-quick", (assignment,))
    assert "fatgan-quick.toml" in str(caught.value)


def test_objective_and_model_must_fit() -> None:
    assignments = ('objective={kind="beta-vae", beta=0.1}',)
    with pytest.raises(ConfigError, match="'beta-vae' trains .* autoencoder; model.kind 'gan' has"):
        RunConfig.load("fatgan-quick", assignments)


def test_optimisers_must_name_the_players() -> None:
    extra = "training.optimisers.critik={learning_rate=1e-3, betas=[0.0, 0.9]}"
    with pytest.raises(ConfigError, match="exactly the players critic, generator"):
        RunConfig.load("fatgan-quick", (extra,))


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig.load("fatgan-quick", ("training.steps=0", "training.batch_size=-1"))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("key", "value", "faults"),
    [
        ("selection.observables", "[1, 2]", ["selection.observables.0", "selection.observables.1"]),
        ("objective.mmd_bandwidths", "[-1.0]", ["objective.mmd_bandwidths.0"]),
        ("model.generator.widths", "[]", ["model.generator.widths"]),
    ],
)
def test_a_list_of_faulty_items_is_not_called_empty(
    key: str, value: str, faults: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig.load("fatgan-quick", (f"{key}={value}",))
    assert [line.split(": ")[2] for line in str(caught.value).splitlines()] == faults


def test_override_reads_toml_values_and_plain_strings() -> None:
    assignments = ["a.b=2.5", "a.c=[1, 2]", "d.e=text", 'd.f="1"', 'd."jet.pt".unit=MeV']
    values = override({"a": {"b": 1}}, assignments)
    assert values == {
        "a": {"b": 2.5, "c": [1, 2]},
        "d": {"e": "text", "f": "1", "jet.pt": {"unit": "MeV"}},
    }


@pytest.mark.parametrize("assignment", ["no-equals-sign", "=3", "a.b.c=1"])
def test_override_refuses_what_it_cannot_place(assignment: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        override({"a": {"b": 1}}, [assignment])


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'fatgan-quick'"):
        find_named("fatgan-quik", "tuning")


def test_broken_toml_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("a = 1\nb = = 2\n")
    with pytest.raises(ConfigError, match=r"broken.toml: not valid TOML: .*line 2"):
        read_toml(tmp_path / "broken.toml")
    with pytest.raises(ConfigError, match="no such file or directory"):
        read_toml(tmp_path / "absent.toml")


def test_recipe_without_a_run_table(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(ConfigError, match=r"empty.toml: no \[run\] table"):
        RunConfig.load(str(tmp_path / "empty.toml"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[trainin]\nsteps = 3\n", r"unknown table or key 'trainin'; .* tables run, space, study"),
        ("[studdy]\ntrials = 3\n", r"unknown table or key 'studdy' \(did you mean 'study'\?\)"),
        ("dataset = 'mine'\n", "unknown table or key 'dataset'"),
        ("run = 3\n", r"run: a table is needed \(got 3\)"),
        ("[[space]]\n", "space: a table is needed"),
    ],
)
@pytest.mark.parametrize("load", [RunConfig.load, Plan.load])
def test_a_recipe_has_its_three_tables_alone(
    tmp_path: Path, load: Callable[[str], object], content: str, message: str
) -> None:
    recipe, base = tmp_path / "mine.toml", tmp_path / "base.toml"
    recipe.write_text(content)
    with pytest.raises(ConfigError, match=f"mine.toml: {message}"):
        load(str(recipe))
    base.write_text(content)
    recipe.write_text(f'extends = "{base}"\n')
    with pytest.raises(ConfigError, match=f"base.toml: {message}"):
        load(str(recipe))


def test_a_kind_is_registered_once() -> None:
    things: Registry[Config] = Registry("thing")

    class First(Config):
        kind: Literal["same"] = "same"

    class Second(First):
        pass

    things.register(First)
    with pytest.raises(ValueError, match=r"thing kind 'same' is .*First's already"):
        things.register(Second)
