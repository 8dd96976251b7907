"""The command line: quick help, one clear error with status 2, no traceback for users' faults."""

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mleg_ray.cli import main
from mleg_ray.console import console
from tests.checkpoints import small_checkpoint
from tests.prepared import prepared_dataset


@dataclass
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def mleg(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run the command line in this process, with its storage in `tmp_path`."""
    monkeypatch.setenv("MLEG_STORAGE", str(tmp_path))
    monkeypatch.setattr(console, "width", 400)

    def run(*arguments: str) -> Outcome:
        try:
            main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        else:
            status = 0
        return Outcome(status, *capsys.readouterr())

    return run


def test_help_imports_neither_torch_nor_ray() -> None:
    script = (
        "import sys\n"
        "from mleg_ray.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'ray', 'numpy'} & set(sys.modules), 'heavy import'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_help_names_every_command(mleg) -> None:
    text = mleg("--help").out
    for command in (
        "catalog",
        "prepare",
        "train",
        "tune",
        "sample",
        "evaluate",
        "produce",
        "quickstart",
        "submit",
        "home",
        "doctor",
    ):
        assert command in text
    panels = ["Prepare", "Learn", "Generate", "Judge", "All of these at once", "Look around"]
    places = [text.index(f"─ {panel} ─") for panel in panels]
    assert places == sorted(places)


TWICE = ("--condition", "beam_energy=10", "--condition", "beam_energy = 20")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["catalog", "show", "dis-ep-5"], "no dis-ep-5.toml in data_catalog/"),
        (["prepare", "nothing"], "no nothing.toml"),
        (["prepare", "dis-ep-50", "--set", "source.q3_min=1"], "unknown key 'source.q3_min'"),
        (["train", "fatgan-quick"], "`mleg prepare dis-ep-50` makes or completes it"),
        (["train", "fatgan-quick", "--set", "training.stpes=1"], "did you mean 'steps'?"),
        (["sample", "nothing", "--events", "10"], "not a checkpoint"),
        (["sample", "nothing", "--events", "10", "--condition", "x"], "write it as x=NUMBER"),
        (["sample", "nothing", "--events", "10", *TWICE], "beam_energy: given as 10 and as 20"),
        (["evaluate", "nothing", "--truth", "nope", *TWICE], "beam_energy: given as 10 and as 20"),
        (["evaluate", "nothing", "--events", "0"], "--events 0: at least one is needed"),
        (["evaluate", "nothing", "--condition", "x=nan"], "x=nan: a finite number is needed"),
        (["sample", "nothing", "--events", "10", "--workers", "0"], "at least one is needed"),
        (["fold", "nothing", "nothing", "--workers", "-1"], "at least one is needed"),
        (["evaluate", "nothing", "--truth", "nope"], "no dataset 'nope' in"),
        (["tune", "flow-dis"], "no [space] table"),
        (["sample", "nothing", "--events", "10", "--prefer", "flops<=1"], "not a study's folder"),
        (["quickstart", "--events", "0"], "--events 0: at least one is needed"),
        (["quickstart", "--events", "1e12"], "at most 100,000,000,000"),
        (["produce", "flow-dis"], "Missing option '--events'"),
        (["produce", "flow-dis", "--events", "0"], "--events 0: at least one is needed"),
        (["sample", "nothing", "--events", "1e300"], "'1e300': at most 1e+15"),
        (["sample", "nothing", "--events", "10", "--out", ""], "names no folder"),
        (["convert", "nothing", "--to", "csv", "--out", ""], "names no folder"),
        (["prepare", "dis-ep-50", "--storage", " "], "--storage: names no folder"),
        (["quickstart", "--recipe", "cfatgan"], "beam_energy of dis-ep-energies varies from"),
        (["submit"], "name one of prepare, train, tune, sample, fold"),
        (["submit", "train", "--address", "http://127.0.0.1:1"], "no Ray job server answers"),
    ],
)
def test_users_faults_exit_2_with_one_message(
    mleg, arguments: list[str], message: str, tmp_path: Path
) -> None:
    result = mleg(*arguments)
    assert result.status == 2, result.err
    assert message in result.err.replace("\n", " ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "fatgan-quick"],
        ["sample", "nothing", "--events", "10", "--prefer", "flops<=1"],
        ["sample", "nothing"],
        ["sample", "nothing", "--events", "10", "--keep", "event"],
        ["evaluate", "one", "two"],
        ["evaluate", "nothing", "--truth", "nope"],
        ["evaluate", "--compare", "one", "two"],
        ["quickstart", "--events", "0"],
        ["quickstart", "--events", "1e12"],
        ["quickstart", "--recipe", "cfatgan"],
        ["verify", "nothing"],
        ["submit"],
    ],
)
def test_faults_name_a_command_that_there_is(mleg, arguments: list[str]) -> None:
    result = mleg(*arguments)
    assert result.status == 2
    named = re.findall(r"`mleg ([^`]+)`", result.err.replace("\n", " "))
    assert named, result.err
    for command in named:
        words = [word for word in shlex.split(command) if word != "submit"]
        told = mleg(*words, "--help")
        assert (told.status, told.out.count("Usage:")) == (0, 1), command


@pytest.mark.parametrize("events", ["ten", "1.5", "0", "-3"])
def test_events_must_be_a_positive_whole_number(mleg, events: str, tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint")
    result = mleg("sample", checkpoint.uri, f"--events={events}", "--out", str(tmp_path / "out"))
    assert result.status == 2
    assert not (tmp_path / "out").exists()


def test_catalog_lists_and_shows(mleg, tmp_path: Path) -> None:
    assert "dis-ep-50-tape2" in mleg("catalog", "list").out
    shown = mleg("catalog", "show", "dis-ep-50").out
    assert "GeV" in shown
    assert "x_bj, q2" in shown
    assert re.search(r"^ *electron +one +PDG 11, 0 GeV *$", shown, re.MULTILINE)
    more = tmp_path / "more.toml"
    more.write_text(
        'extends = "dis-ep-50"\nname = "more"\n'
        '[selection]\nhard = { expression = "q2 >= 4" }\n'
        "[groups.electron]\npdg_id = -11\n"
    )
    shown = mleg("catalog", "show", str(more)).out
    for text in ("hard", "q2 >= 4"):
        assert text in shown
    assert re.search(r"^ *electron +one +PDG -11 *$", shown, re.MULTILINE)


def test_an_unknown_truth_is_answered_with_those_there_are(mleg, tmp_path: Path) -> None:
    prepared_dataset(tmp_path / "datasets" / "one", shard_rows=50)
    message = mleg("evaluate", "nothing", "--truth", "two").err
    assert "there are: one. `mleg prepare two` makes" in message


def test_home_writes_the_page_of_a_root_that_there_is(mleg, tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    result = mleg("home", "--storage", absent)
    assert result.status == 2
    assert f"{absent}: no storage root; `mleg prepare` begins one" in result.err
    assert mleg("home").out.strip() == str(tmp_path / "index.html")
    assert "Nothing is finished here yet." in (tmp_path / "index.html").read_text()


def test_submit_says_what_it_submits(mleg) -> None:
    text = mleg("submit", "--help").out
    assert "becomes a Ray job" in text


def test_evaluating_a_checkpoint_of_another_dataset_names_the_field(mleg, tmp_path: Path) -> None:
    prepared_dataset(tmp_path / "datasets" / "one", shard_rows=50)
    other = tmp_path / "datasets" / "two"
    prepared_dataset(other, shard_rows=50, beams=(20.0,))
    result = mleg("evaluate", str(other), "--truth", "one")
    assert result.status == 2
    assert "beam_energy" in result.err
