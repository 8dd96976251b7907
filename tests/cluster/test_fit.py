"""From a table to a generator in seconds: what is written, what is kept, and what Python gets."""

from pathlib import Path

import numpy as np
import pytest

import mleg_ray as mleg
from mleg_ray.commands.fit import Fitted
from mleg_ray.errors import ConfigError, DataError

N = 1500


def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        "q": rng.choice([-1, 1], N),
        "iso": np.where(rng.random(N) < 0.5, 0.0, rng.exponential(size=N)),
        "share": rng.random(N),
        "energy": rng.choice([10.0, 20.0], N),
    }


@pytest.mark.slow
def test_a_table_becomes_a_generator(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = mleg.fit(
        columns(), name="mine", minutes=0.02, given=["energy"], storage=str(tmp_path / "kept")
    )
    assert isinstance(found, Fitted)
    assert found.dataset.rows() == N
    generated = found.generated.load()
    assert len(generated) == found.dataset.rows("test")  # at the conditions of each
    assert set(generated.columns["q"].tolist()) == {-1, 1}
    assert set(generated.columns["energy"].tolist()) == {10.0, 20.0}
    iso, share = generated.columns["iso"], generated.columns["share"]
    assert (iso == 0).any()
    assert (iso >= 0).all()
    assert (share > 0).all()
    assert (share < 1).all()
    assert Path(found.report()).is_file()
    entry, recipe = (tmp_path / folder / "mine.toml" for folder in ("data_catalog", "tuning"))
    recipe.write_text(recipe.read_text() + "# edited\n")
    before = entry.read_bytes(), recipe.read_bytes()
    again = mleg.fit(
        columns(), name="mine", minutes=9.0, given=["energy"], storage=str(tmp_path / "kept")
    )
    assert again is not None
    assert again.uri == found.uri  # nothing was made again
    assert before == (entry.read_bytes(), recipe.read_bytes())


def test_names_and_tables_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="--name 'My Events': small letters.* as in --name my-events"
    ):
        mleg.fit(columns(), name="My Events", storage=str(tmp_path))
    with pytest.raises(DataError, match=r"no such file"):
        mleg.fit(str(tmp_path / "none.csv"), storage=str(tmp_path))
    with pytest.raises(DataError, match="a int is no table"):
        mleg.fit(3, storage=str(tmp_path))
    with pytest.raises(ConfigError, match="--as q: given as label and as count"):
        mleg.fit(columns(), kinds=["q=label", "q=count"], storage=str(tmp_path))
    with pytest.raises(DataError, match="frame: "):
        mleg.fit({"x": np.ones(3), "y": np.ones(4)}, storage=str(tmp_path))
