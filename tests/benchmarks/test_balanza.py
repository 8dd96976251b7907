"""What is varied in the thesis's experiments, and the best values of its tables."""

import pytest

from benchmarks.paper.balanza import EXPERIMENTS, TYPED, Experiment
from mleg_ray.config import look_up
from mleg_ray.run import RunConfig

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


def test_symbols() -> None:
    assert [VARIED[name].symbol for name in ("0", "I", "II", "III")] == ["α", "α", "β", "β"]
    assert EXPERIMENTS["CVAE"].settings(0.0) == ()
