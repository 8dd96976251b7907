"""What rows share: small forms, medians, tables, and which figures are kept."""

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from benchmarks.common.options import PAPER, Options, Paper, Repeated
from benchmarks.common.results import Results, budget, text
from tests.checkpoints import small_checkpoint


def read(file: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(file.read_text())["rows"]
    return [{key: row[key] for key in row if key != "with"} for row in rows]


def asked(out: Path, small: bool = False, seeds: tuple[int, ...] = (1,), *values: str) -> Paper:
    return Paper(out=out, small=small, seeds=list(seeds), assignments=list(values))


def test_a_row_of_the_paper_trains_its_own_recipes_in_full(tmp_path: Path) -> None:
    small, full = (Paper(out=tmp_path, seeds=[1], full=full) for full in (False, True))
    for recipe, paper in PAPER.items():
        assert (small.for_budget(recipe), full.for_budget(recipe)) == (recipe, paper)
    assert full.for_budget("flow-dis") == "flow-dis"  # the paper has none
    assert (small.quick("a=1"), full.quick("a=1")) == (("a=1",), ())


def test_a_row_says_what_its_training_was_given(tmp_path: Path) -> None:
    row = budget(small_checkpoint(tmp_path / "checkpoint", "training.steps=7"))
    assert row["steps x batch"] == "7 x 64"
    assert row["features"] == "electron.u1 electron.u2 electron.phi"


def test_small_form() -> None:
    small, whole = Repeated(small=True, rounds=4), Repeated(rounds=4)
    assert [*small.turns] == [1]
    assert [*whole.turns] == [1, 2, 3, 4]
    assert small.some((3, 4)) == (3,)
    assert whole.some((3, 4)) == (3, 4)
    assert (small.few(10_000), small.few(10), small.few(10_000, 7)) == (2000, 10, 7)
    assert whole.few(10_000, 7) == 10_000


def test_small_form_leaves_the_figures_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = Results("row", Options(out=tmp_path))
    results.add({"of": "whole"}, {"a": 1.0})
    results.draw(Figure)
    small = Results("row", Options(out=tmp_path, small=True))
    small.add({"of": "small"}, {"a": 2.0})
    small.draw(Figure, name="of-it")
    small.draw(Figure, name="of-it")  # of another seed, in its place
    capsys.readouterr()
    small.finish()
    assert capsys.readouterr().out.splitlines()[1:] == [
        "The small form: that the row runs is shown, and its figures mean nothing.",
        "",
        f"{tmp_path}/row-small.json",
        f"{tmp_path}/row-small-of-it.png",
    ]
    results.finish()
    assert capsys.readouterr().out == f"\n{tmp_path}/row.json\n{tmp_path}/row.png\n"
    assert read(tmp_path / "row.json") == [{"of": {"of": "whole"}, "figures": {"a": 1.0}}]
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"row.json", "row.png", "row-small.json", "row-small-of-it.png"}
    assert asked(tmp_path, True).place.endswith("mleg-storage/benchmarks/small")
    assert asked(tmp_path).place.endswith("mleg-storage/benchmarks")


def test_medians(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Results("row", Repeated(out=tmp_path))
    for number, value in enumerate((5.0, 1.0, 2.0), 1):
        figures = {"s": value, "floor": [value, -value], "why": "none"}
        results.add({"of": "a"}, figures, round=number)
    results.add({"of": "b"}, {"s": 4.0})
    assert results.median({"of": "a"}) == {"s": 2.0, "floor": [2.0, -2.0]}
    medians = json.loads((tmp_path / "row.json").read_text())["medians"]
    assert medians == [{"of": "a", "median of": 3, "s": 2.0, "floor": [2.0, -2.0]}]
    results.finish()
    lines = capsys.readouterr().out.split("\n")
    assert lines[1:4] == [
        "| of | round | s | floor | why |",
        "|---|---|---|---|---|",
        "| a | 1 | 5 | 5, -5 | none |",
    ]
    assert lines[-6:-3] == [
        "| of | median of | s | floor |",
        "|---|---|---|---|",
        "| a | 3 | 2 | 2, -2 |",
    ]


def test_of_what_is_true_or_false_the_share_is_told(tmp_path: Path) -> None:
    results = Results("row", Repeated(out=tmp_path))
    for number, value in enumerate((True, False, False), 1):
        results.add({"of": "a"}, {"failed": value, "s": 3}, round=number)
    assert results.median({"of": "a"}) == {"failed": pytest.approx(1 / 3), "s": 3}


def test_rows_of_trainings_stay_until_they_are_measured_again(tmp_path: Path) -> None:
    Results("row", asked(tmp_path)).add({"recipe": "r"}, {"s": 1.0}, seed=1)
    Results("row", asked(tmp_path)).add({"recipe": "r"}, {"s": 3.0}, seed=2)
    Results("row", asked(tmp_path, False, (1,), "a=1")).add({"recipe": "r"}, {"s": 9.0}, seed=1)
    Results("row", asked(tmp_path)).add({"recipe": "r"}, {"s": 2.0}, seed=1)
    rows = read(tmp_path / "row.json")
    assert [(row["seed"], row["set"], row["figures"]) for row in rows] == [
        (2, [], {"s": 3.0}),
        (1, ["a=1"], {"s": 9.0}),
        (1, [], {"s": 2.0}),
    ]
    # Neither the other values nor what was there before enter.
    medians = json.loads((tmp_path / "row.json").read_text())["medians"]
    assert medians == [{"recipe": "r", "median of": 2, "s": 2.5}]


def test_rounds_are_not_kept(tmp_path: Path) -> None:
    for number in (1, 2):
        Results("row", Repeated(out=tmp_path)).add({}, {"s": 1.0}, round=number)
    assert [row["round"] for row in read(tmp_path / "row.json")] == [2]


def test_quick_values_are_not_those_of_a_recipe_in_full(tmp_path: Path) -> None:
    quick = asked(tmp_path)
    full = Paper(out=tmp_path, seeds=[1], assignments=[], full=True)
    assert quick.quick("training.steps=3000") == ("training.steps=3000",)
    assert full.quick("training.steps=3000") == ()
    assert quick.values != full.values


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.123456, "0.1235"),
        (9999.4, "9999"),
        (1234567.8, "1,234,568"),
        (50_000, "50,000"),
        ([0.5, 0.25], "0.5, 0.25"),
        ("two\n  lines", "two lines"),
    ],
)
def test_text(value: object, printed: str) -> None:
    assert text(value) == printed
