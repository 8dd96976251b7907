"""The table of rows: each as often as the train split has it, and no other."""

import numpy as np
import pytest
import torch

from mleg_ray.config import parse
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.features import FeatureMapConfig
from mleg_ray.models import MODELS, Spaces
from mleg_ray.models.parts import PartsConfig
from mleg_ray.models.table import Table, TableConfig, alias_table
from mleg_ray.objectives import OBJECTIVES
from mleg_ray.randomness import Noise
from mleg_ray.space import Space
from tests.features.cases import JETS, jets
from tests.models.spaces import spaces

ROWS = torch.tensor([[1.0, 0], [0, 0], [1, 0], [1, 1], [1, 0], [1, 1], [1, 0], [1, 0]])


def table(most: int = 10) -> Table:
    made = TableConfig(most=most).build(spaces(2, 0, 2))
    made.remember(ROWS, torch.zeros(len(ROWS), 0))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_cells_add_up_to_the_shares(seed: int) -> None:
    shares = np.random.default_rng(seed).dirichlet(np.full(30, 0.3))
    own, other = alias_table(shares.copy())
    made = own.copy()
    np.add.at(made, other, 1 - own)
    np.testing.assert_allclose(made / 30, shares, atol=1e-12)
    assert ((own >= 0) & (own <= 1)).all()


def test_three_rows_by_hand() -> None:
    """Of three cells, [0, 0] has 3/8 and [1, 1] has 3/4 of its own; [1, 0], 15/8, has the rest."""
    made = table()
    assert made.rows[:3].tolist() == [[0, 0], [1, 0], [1, 1]]
    assert made.own[:3].tolist() == pytest.approx([3 / 8, 1, 3 / 4])
    assert made.other[[0, 2]].tolist() == [1, 1]
    # The first number is 1/6, 1/2 or 5/6, in the middle of a cell; the second 0.3 or 0.8.
    u = torch.tensor([[1 / 6, 0.3], [1 / 6, 0.8], [1 / 2, 0.8], [5 / 6, 0.3], [5 / 6, 0.8]])
    drawn = made.decode(2 * u - 1, torch.zeros(5, 0))
    assert drawn.tolist() == [[0, 0], [1, 0], [1, 0], [1, 1], [1, 0]]


def test_rows_are_as_frequent_as_in_training() -> None:
    n = 40_000
    drawn = table().sample(n, torch.zeros(n, 0), generator=torch.Generator().manual_seed(1))
    found, counts = drawn.unique(dim=0, return_counts=True)
    assert found.tolist() == [[0, 0], [1, 0], [1, 1]]
    for count, share in zip(counts.tolist(), (1 / 8, 5 / 8, 2 / 8), strict=True):
        assert abs(count - n * share) < 4 * (n * share * (1 - share)) ** 0.5


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match="at most 2 rows: 8 train events have 3 different ones"):
        table(most=2)
    with pytest.raises(ConfigError, match="the same under all conditions"):
        TableConfig().build(spaces(2, 1, 2))


def test_counts_of_a_model_of_parts_are_those_of_the_train_split() -> None:
    """The table has no player; other parts are trained beside it, under its counts."""
    steps = [
        {"kind": "count", "group": "jet"},
        {"kind": "unary", "fields": ["jet.count"], "most": 3},
        {"kind": "dequantise", "fields": ["jet.flavour"], "levels": 2},
    ]
    features = FeatureMapConfig.model_validate({"steps": steps, "parts": {"n": ["*.at_least_*"]}})
    events = jets(4000, 1)
    fitted = features.build(JETS, {"energy": 550.0}).fit([events])
    flow = {"kind": "flow", "transforms": 1, "bins": 4, "hidden": [8]}
    vae = {"kind": "beta-vae", "latent_dim": 2}
    vae |= {"encoder": {"widths": [8]}, "decoder": {"widths": [8]}}
    parts = {
        "n": {"model": {"kind": "table"}},
        "event": {"model": flow},
        "jet": {"given": ["n"], "model": vae},
    }
    config = parse(PartsConfig, {"kind": "parts", "parts": parts}, "model")
    assert config.players == ("event-flow", "jet-autoencoder")
    losses = {"event": {"kind": "likelihood"}, "jet": {"kind": "beta-vae", "beta": 0.1}}
    objective = OBJECTIVES.parse({"kind": "parts", "parts": losses})
    assert set(objective.traits.schedule) == set(config.players)
    assert "table" in MODELS
    model = config.build(Spaces.of(fitted)).eval()
    batch = fitted.encode(events, noise=Noise(torch.device("cpu")))
    model.remember(batch.x, batch.condition)
    generator = torch.Generator().manual_seed(2)
    made = fitted.decode(
        model.sample(len(events), batch.condition, generator=generator).detach(), events
    )
    counts = [table.present["jet"].sum(dim=1).bincount(minlength=4) for table in (events, made)]
    spread = counts[0].double().sqrt() * 2**0.5
    assert ((counts[0] - counts[1]).abs() < 4 * spread).all()


def test_its_noise_is_uniform() -> None:
    made = table()
    assert made.draws_noise
    assert isinstance(made.noise_space, Space)
    assert len(made.noise_space.circle) == 2
