"""One signature for the command line and for Python; light to import, and with the same words."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

import mleg_ray as mleg
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.cli import app
from mleg_ray.commands.options import (
    assigned,
    checkpoints,
    count,
    dataset_names,
    recipe_names,
    samples,
    size,
    target_of,
    uri_of,
    workers,
)
from mleg_ray.errors import ConfigError, DataError, ResourceError
from mleg_ray.storage import storage_root
from tests.checkpoints import layers_checkpoint, small_checkpoint
from tests.prepared import prepared_dataset


@pytest.mark.parametrize("name", mleg.__all__)
def test_every_command_is_a_function_with_its_help(name: str) -> None:
    function = getattr(mleg, name)
    assert inspect.isfunction(function)
    assert function.__doc__
    assert inspect.signature(function).return_annotation is not inspect.Parameter.empty


def test_the_command_line_has_all_that_python_has() -> None:
    listed = {command.name for command in app.registered_commands if command.name}
    assert listed == {*mleg.__all__, "report"} - {*("compare", "histogram", "open", "report_study")}


def test_unknown_names_are_told() -> None:
    with pytest.raises(AttributeError, match="module 'mleg_ray' has no attribute 'trian'"):
        mleg.trian  # noqa: B018
    assert set(mleg.__all__) <= set(dir(mleg))


def test_the_readme_speaks_of_commands_that_there_are() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert {"prepare", "train", "sample", "evaluate"} <= (
        named := set(re.findall(r"mleg\.(\w+)\(", readme))
    )
    assert named <= set(mleg.__all__)


def test_importing_it_is_light() -> None:
    script = (
        "import sys\n"
        "import mleg_ray\n"
        "assert not {'torch', 'ray', 'numpy', 'typer', 'pydantic'} & set(sys.modules)\n"
        "mleg_ray.sample\n"
        "assert not {'torch', 'ray', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_place_is_a_text_a_path_or_what_lies_there(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "data", shard_rows=50)
    assert uri_of(dataset) == uri_of(tmp_path / "data") == uri_of(str(tmp_path / "data"))
    assert uri_of("s3://bucket/sample/") == "s3://bucket/sample"


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_text_is_no_place(tmp_path: Path, empty: str) -> None:
    with pytest.raises(ConfigError, match="names no folder; give a path or URI"):
        uri_of(empty)
    with pytest.raises(ConfigError, match="names no folder"):
        target_of(empty, str(tmp_path))
    with pytest.raises(ConfigError, match="--storage: names no folder"):
        storage_root(empty)
    assert target_of(None, str(tmp_path)) == str(tmp_path)


def test_users_errors_are_exceptions_in_python(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dataset 'nope'"):
        mleg.evaluate("nothing", truth="nope", storage=str(tmp_path))
    with pytest.raises(ConfigError, match="not a study's folder"):
        mleg.sample("nothing", 10, prefer=["flops<=1"], storage=str(tmp_path))


def test_a_sample_is_of_so_many_events_or_of_a_file(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path, conditional=True)
    with pytest.raises(ConfigError, match="--events: say how many, .*, or give .* --for"):
        mleg.sample(checkpoint)
    with pytest.raises(ConfigError, match="--keep event: a column of a file; it needs --for"):
        mleg.sample(checkpoint, 10, keep=["event"])
    with pytest.raises(ConfigError, match="--for: .* leave --events, --where out"):
        mleg.sample(checkpoint, 10, where=["q2 > 1"], particles="electrons.csv")
    with pytest.raises(ConfigError, match="--keep event: a dataset's labels are kept"):
        mleg.sample(checkpoint, particles=tmp_path / "electrons", keep=["event"])
    (tmp_path / "electrons.dat").write_text("20 30")
    with pytest.raises(ConfigError, match=r"--for .*electrons.dat: files that end in .parquet, "):
        mleg.sample(checkpoint, particles=tmp_path / "electrons.dat")
    inclusive = small_checkpoint(tmp_path / "inclusive")
    with pytest.raises(ConfigError, match="no condition of the checkpoint differs"):
        mleg.sample(inclusive, particles=tmp_path / "electrons.csv")
    with pytest.raises(ResourceError, match="electrons.csv"):
        mleg.sample(checkpoint, particles=tmp_path / "electrons.csv")


def test_rows_of_a_file_are_cut_as_their_images_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 MiB of 2 x 12 x 12 pixels and an energy, in single precision."""
    checkpoint = layers_checkpoint(tmp_path)
    file = tmp_path / "photons.csv"
    file.write_text("energy\n50\n")
    asked = []

    def prepare(spec: DatasetSpec, storage: str) -> None:
        asked.append(spec.shard_events)
        raise DataError(storage)

    monkeypatch.setattr("mleg_ray.cluster.prepare.prepare", prepare)
    with pytest.raises(DataError):
        mleg.sample(checkpoint, particles=file, storage=str(tmp_path))
    assert asked == [2**26 // (4 * (2 * 12 * 12 + 1))]


def test_names_and_places_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert recipe_names("fatgan-q") == ["fatgan-quick"]
    assert dataset_names("dis-ep-energies-t") == ["dis-ep-energies-tapes"]
    for place in ("runs/one/checkpoint", "runs/begun", "samples/mine"):
        (tmp_path / "root" / place).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    context = SimpleNamespace(params={"storage": "root"})
    assert checkpoints(context, "") == ["root/runs/one/checkpoint"]
    assert checkpoints(context, f"{tmp_path}/root/runs/o") == [
        f"{tmp_path}/root/runs/one",
        f"{tmp_path}/root/runs/one/checkpoint",
    ]
    assert samples(context, "root/sam") == ["root/samples", "root/samples/mine"]
    assert samples(SimpleNamespace(params={"storage": "s3://bucket/root"}), "") == []


def test_a_shell_asks_for_completions() -> None:
    told = subprocess.run(
        [Path(sys.executable).parent / "mleg"],
        env=os.environ
        | {
            "_MLEG_COMPLETE": "complete_bash",
            "COMP_WORDS": "mleg train fatgan-q",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
    )
    assert told.stdout.split() == ["fatgan-quick"], told.stderr


def test_numbers_are_read_as_people_write_them() -> None:
    assert [count(text) for text in ("1000000", "1_000_000", "1e6")] == [10**6] * 3
    assert [size(text) for text in ("50MB", "200_000kB", "1 GB")] == [5 * 10**7, 2 * 10**8, 10**9]
    assert [workers(text) for text in ("auto", "3")] == [None, 3]
    assert assigned(["a = 1", "b=x=y"]) == {"a": "1", "b": "x=y"}


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((count, text) for text in ("1.5", "inf", "1e300", "-1e300")),
        *((size, text) for text in ("50", "MB", "0kB", "-1MB", "1e300GB")),
        (workers, "0"),
    ],
)
def test_what_is_no_number_is_refused(read: object, text: str) -> None:
    assert callable(read)
    with pytest.raises(typer.BadParameter):
        read(text)
