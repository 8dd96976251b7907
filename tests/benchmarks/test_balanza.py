"""What is varied in the thesis's experiments, and the best values of its tables."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.common.typed_objects import COLUMNS, correlations, counts
from benchmarks.paper.balanza import (
    EXPERIMENTS,
    TYPED,
    Asked,
    Experiment,
    Reference,
    _readings,
    _subsets,
    thesis_matrix,
    with_noise,
)
from mleg_ray.config import look_up
from mleg_ray.events import Batch, Events
from mleg_ray.models.vae import Autoencoder
from mleg_ray.run import RunConfig
from mleg_ray.space import Part, Space
from tests.benchmarks.test_typed_objects import events

VARIED = {name: one for name, one in EXPERIMENTS.items() if one.printed}


@pytest.mark.parametrize("one", VARIED.values(), ids=VARIED)
def test_each_value_is_set_wherever_it_stands(one: Experiment) -> None:
    keys = [one.varied.format(part=part) for part in TYPED]
    for value in one.printed:
        run = RunConfig.load(one.recipe, one.settings(value)).model_dump()
        assert [look_up(run, key) for key in keys] == [value] * len(TYPED)


@pytest.mark.parametrize("one", VARIED.values(), ids=VARIED)
def test_recipes_have_the_best_value(one: Experiment) -> None:
    run = RunConfig.load(one.recipe).model_dump()
    assert look_up(run, one.varied.format(part="jet")) == one.best


def test_what_is_asked_for_is_measured_in_small_too() -> None:
    names = ["III stripped", "III 0.9"]
    assert list(Asked(seeds=[1], experiments=names, small=True).chosen) == names
    assert list(Asked(seeds=[1], small=True).chosen) == ["0"]


@pytest.mark.parametrize("one", VARIED.values(), ids=VARIED)
def test_the_best_value_has_the_smallest_wd(one: Experiment) -> None:
    """Table 8.1 has those rows of tables 7.1 to 7.4."""
    assert min(one.printed, key=lambda value: one.printed[value][0]) == one.best


def test_the_best_rows_are_those_of_table_8_1() -> None:
    assert [VARIED[name].printed[VARIED[name].best] for name in ("0", "I", "II", "III")] == [
        (0.002077, 0.037879, 0.013133, 1.68, 1.23),
        (0.000973, 0.023365, 0.004781, 0.46, 339.90),
        (0.002771, 0.055761, 0.016530, 4.55, 74.64),
        (0.004172, 0.067629, 0.022565, 4.40, 0.95),
    ]


def test_symbols() -> None:
    assert [VARIED[name].symbol for name in ("0", "I", "II", "III")] == ["α", "α", "β", "β"]
    assert EXPERIMENTS["CVAE"].settings(0.0) == ()


def test_what_the_thesis_leaves_open_is_read_otherwise_by_values_of_recipes() -> None:
    """A reduction of 0.1 may be to nine tenths, and "twice the latent (320)" a code of 320."""
    runs = {name: RunConfig.load(one.recipe, one.own) for name, one in EXPERIMENTS.items()}
    for name, factor in (("III", 0.1), ("III 0.9", 0.9)):
        key = "training.optimisers.autoencoder.plateau.factor"
        assert look_up(runs[name].model_dump(), key) == factor
    for name, code in (("I", 160), ("I 320", 320)):
        for part in TYPED:
            model = look_up(runs[name].model_dump(), f"model.parts.{part}.model")
            assert (model["latent_dim"], model["encoder"]["normalised"]) == (code, 2 * code)
    assert runs["III stripped"].where == ("jet.count <= 4", "b_jet.count <= 2")
    assert set(runs["III stripped"].where) < set(runs["III"].where)


def test_the_truth_of_stripped_events_has_jets_alone() -> None:
    """A muon by which an event was kept is taken out: the truth has invalid events, half of two."""
    run = RunConfig.load("bvae-ttbar-paper", EXPERIMENTS["III stripped"].own)
    truth = events({"jet": [JET]}, {"b_jet": [(30.0, 25.0, 0.0, 0.0)], "muon": [JET]})
    dataset: Any = SimpleNamespace(
        manifest=SimpleNamespace(name="ttbar-13tev"), load=lambda split, rows: truth
    )
    dataset.selecting = lambda where: dataset
    options: Any = SimpleNamespace(most=2, few=lambda number: number)
    reference = Reference(options, dataset, run, "stripped")
    assert reference.name == "ttbar-13tev, stripped"
    assert counts(reference.truth).tolist() == counts(reference.train).tolist()
    assert counts(reference.truth).tolist() == [[1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0]]
    assert reference.criteria.invalid(reference.truth)["event"] == 50


JET = (90.0, 80.0, 0.0, 0.0)


def test_shares_of_events_of_few_jets() -> None:
    """Four jets and two b-jets are few; five, or three, are not. A muon leaves them not alone."""
    few = {"jet": [JET] * 4, "b_jet": [JET] * 2}
    others = [{"jet": [JET] * 2, "b_jet": [JET] * 3}, {"b_jet": [JET] * 4}, {"jet": [JET]}]
    truth = events(few, few | {"muon": [JET]}, few | {"electron": [JET]}, *others, few, few)
    assert _subsets(truth) == {"few jets %": 75.0, "few jets alone %": 50.0}


def test_printed_correlations() -> None:
    """Of the truth: the first two jets' pT 0.84, the next two's 0.75, a lepton's E and pT 0.67."""
    at = {name: place for place, name in enumerate(COLUMNS)}
    for first, second, value in (
        ("j1pT", "j2pT", 0.84),
        ("j3pT", "j4pT", 0.75),
        ("l1E", "l1pT", 0.67),
        ("MET", "l1pT", 0.29),
    ):
        assert thesis_matrix("ttbar")[at[first], at[second]] == value
        assert thesis_matrix("ttbar")[at[second], at[first]] == value
    assert thesis_matrix("stop-02")[at["MET"], at["j1pT"]] == 0.54
    assert thesis_matrix("experiment-II")[at["j1pT"], at["j2pT"]] == 0.53
    assert thesis_matrix("experiment-0")[at["j1pT"], at["j2pT"]] == 0.9


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("jets", [("jet",), ("jet", "b_jet")])
def test_the_reading_of_correlations_that_was_printed_is_found(
    logarithmic: bool, zeros: bool, jets: tuple[str, ...]
) -> None:
    rng = np.random.default_rng(1)

    def objects(most: int) -> list[tuple[float, ...]]:
        pts = sorted(rng.uniform(20, 200, rng.integers(most + 1)), reverse=True)
        return [(pt * rng.uniform(1, 3), pt, 0.0, 0.0) for pt in pts]

    truth = events(*({"jet": objects(4), "b_jet": objects(2)} for _ in range(50)))
    truth = truth.replacing((), {"met.pt": torch.from_numpy(rng.uniform(1, 90, 50))})
    printed = correlations(truth, logarithmic=logarithmic, zeros=zeros, jets=jets)
    found = _readings(truth, printed)
    words = ("log" if logarithmic else "linear", "zeros" if zeros else "pairs", "+".join(jets))
    assert found.pop(", ".join(words)) == 0
    assert len(found) == 7
    assert min(found.values()) > 0.01


class Still(Autoencoder):
    """Whatever it sees, it makes (1, 2, 0)."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.latent_dim = 1

    def code(self, features: Tensor, condition: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return noise, noise[:, 0]

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        return torch.tensor([1.0, 2, 0]).repeat(len(noise), 1)

    def sample(self, n: int, condition: Tensor, *, generator: torch.Generator) -> Tensor:
        return self.decode(torch.zeros(n, 1), condition)


def test_the_noise_of_a_decoder_is_the_spread_of_its_residuals() -> None:
    """Numbers of deviation 3 and 0.5 get noise of that, and a class gets none."""
    n = 20_000
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(2)) * torch.tensor([3, 0.5, 1])
    space = Space({"event": Part((2,)), "mask": Part((1,), classes=((0,),))})

    def no_numbers(events: int) -> Events:
        return Events({"none": torch.zeros(events)}, {}, torch.ones(events))

    def decoded(x: Tensor, given: Events) -> Events:
        return Events(dict(zip("abc", x.T, strict=True)), {}, given.weight)

    feature_map = SimpleNamespace(
        space=space,
        encode=lambda events, noise: Batch(x, torch.zeros(n, 0), torch.ones(n)),
        condition=lambda given: torch.zeros(len(given), 0),
        decode=decoded,
    )
    checkpoint: Any = SimpleNamespace(
        model=Still(), feature_map=feature_map, device=torch.device("cpu"), given=no_numbers
    )
    dataset: Any = SimpleNamespace(load=lambda split, rows: None)
    made = with_noise(checkpoint, dataset, n + 1, 1).columns
    assert len(made["a"]) == n + 1
    for name, mean, spread in (("a", 1.0, 3.0), ("b", 2.0, 0.5)):
        # A mean of n numbers has the deviation σ/√n, and σ itself σ/√2n.
        assert made[name].mean().item() == pytest.approx(mean, abs=5 * spread / n**0.5)
        assert made[name].std().item() == pytest.approx(spread, rel=0.03)
    assert made["c"].unique().tolist() == [0]
