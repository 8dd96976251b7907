"""Spectra of conditions: closed forms, what a command line may say, and samples drawn from them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mleg_ray.catalog.dataset import Dataset, dataset_uri
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.sampling.job import plan_sample
from mleg_ray.sampling.pipeline import has_compiler
from mleg_ray.sampling.spectra import (
    ChoiceSpectrum,
    HistogramSpectrum,
    LogUniformSpectrum,
    Spectrum,
    UniformSpectrum,
    constant,
    read_condition,
    spectrum_of,
)
from mleg_ray.sampling.verification import ShardCheck
from tests.checkpoints import small_checkpoint
from tests.dis_events import ELECTRON
from tests.prepared import prepared_dataset
from tests.sampling.test_job import run
from tests.sampling.test_verification import verified

SPECTRA: list[Spectrum] = [
    UniformSpectrum(low=10, high=50),
    LogUniformSpectrum(low=1, high=100),
    ChoiceSpectrum(values=(10, 20, 30)),
    ChoiceSpectrum(values=(10, 20, 30), weights=(0, 1, 3)),
    HistogramSpectrum(edges=(0, 1, 4, 5, 6), contents=(1, 2, 0, 1)),
]


@pytest.mark.parametrize("spectrum", SPECTRA, ids=lambda spectrum: spectrum.told)
@given(u=st.lists(st.floats(0, 1, exclude_max=True), min_size=1))
def test_values_lie_in_the_range_and_rise(spectrum: Spectrum, u: list[float]) -> None:
    values = spectrum.quantile(torch.tensor(sorted(u), dtype=torch.float64))
    low, high = spectrum.range
    assert ((values >= low) & (values <= high)).all()
    assert (values.diff() >= 0).all()


def test_closed_forms() -> None:
    u = torch.linspace(0, 1, 10_001, dtype=torch.float64)[:-1]
    uniform, log_uniform, choice, weighted, histogram = (s.quantile(u).numpy() for s in SPECTRA)
    assert stats.kstest(uniform, stats.uniform(10, 40).cdf).statistic < 1e-3
    assert stats.kstest(log_uniform, stats.loguniform(1, 100).cdf).statistic < 1e-3
    np.testing.assert_allclose([np.mean(choice == v) for v in (10, 20, 30)], 1 / 3, atol=1e-3)
    np.testing.assert_allclose([np.mean(weighted == v) for v in (10, 20, 30)], [0, 0.25, 0.75],
                               atol=1e-3)  # fmt: skip
    shares = np.histogram(histogram, bins=[0, 1, 2.5, 4, 5, 6])[0] / len(u)
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.25, 0, 0.25], atol=1e-3)


@pytest.mark.parametrize(
    ("spectrum", "u", "values"),
    [
        (SPECTRA[0], (0, 1 / 4, 3 / 4), (10, 20, 40)),
        (SPECTRA[1], (0, 1 / 4, 1 / 2), (1, 10**0.5, 10)),
        (SPECTRA[2], (0, 1 / 2, 0.9), (10, 20, 30)),
        (SPECTRA[3], (0, 1 / 4, 0.9), (20, 30, 30)),  # shares of 0, 1/4 and 3/4
        (SPECTRA[4], (1 / 8, 1 / 2, 3 / 4), (1 / 2, 1 + 3 / 2, 5)),  # and of 1/4, 1/2, 0 and 1/4
    ],
    ids=lambda given: given.told if isinstance(given, Spectrum) else "",
)
def test_quantiles_by_hand(
    spectrum: Spectrum, u: tuple[float, ...], values: tuple[float, ...]
) -> None:
    found = spectrum.quantile(torch.tensor(u, dtype=torch.float64))
    assert found.tolist() == pytest.approx(list(values))


def test_names_of_folders() -> None:
    assert [s.suffix for s in (*SPECTRA[:3], constant(7.5), constant(50))] == [
        "-uniform-10-50",
        "-log-uniform-1-100",
        "-choice-10-20-30",
        "7.5",
        "50",
    ]
    assert SPECTRA[3].suffix.startswith("-choice-")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("35", constant(35.0)),
        ("choice(35)", constant(35.0)),
        ("uniform(10, 50)", SPECTRA[0]),
        ("log-uniform(1,100)", SPECTRA[1]),
        ("choice(10,20,30)", SPECTRA[2]),
    ],
)
def test_command_line(text: str, expected: Spectrum) -> None:
    assert read_condition("beam_energy", text, "/nowhere") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "=NUMBER, or"),
        ("warm", "=NUMBER, or"),
        ("uniform(10)", "=NUMBER, or"),
        ("uniform(50,10)", r"uniform\(50,10\): .*low, 50, must be below high, 10"),
        ("uniform(10,inf)", "finite numbers are needed"),
        ("choice(10,nan)", "finite numbers are needed"),
        ("nan", "beam_energy=nan: finite numbers are needed"),
        ("-inf", "finite numbers are needed"),
        ("log-uniform(0,10)", "low: .*greater than 0"),
        ("choice()", "=NUMBER, or"),
        ("gauss(1,2)", "=NUMBER, or"),
        ("histogram(/nowhere.csv)", "/nowhere.csv: no histogram"),
    ],
)
def test_what_a_command_line_cannot_say(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_condition("beam_energy", text, "/nowhere")


def test_a_histogram_that_begins_with_nan_is_no_header(tmp_path: Path) -> None:
    place = tmp_path / "beam.csv"
    place.write_text("nan,1,2\n")
    with pytest.raises(ConfigError, match=r"beam.csv: edges.0: .*finite number"):
        HistogramSpectrum.read(str(place))


@pytest.mark.parametrize(
    "header", ["", "low,high,content\n", "\ufefflow,high,content\n", "\ufeff", "# GeV\n \n"]
)
def test_histogram_file(tmp_path: Path, header: str) -> None:
    place = tmp_path / "spectrum.csv"
    place.write_text(f"{header}0,1,1\n1,4,2\n4,5,0\n5,6,1\n", encoding="utf-8")
    assert read_condition("beam_energy", f"histogram({place})", "/nowhere") == SPECTRA[4]
    for content, message in (
        ("0,1,1\n2,3,1\n", "bins must follow each other"),
        ("0,1\n", "no histogram"),
        ("", "no histogram"),
        ("0,1,-1\n1,2,3\n", "must not be negative"),
        ("1,0,1\n0,2,1\n", "edges must increase"),
    ):
        place.write_text(content)
        with pytest.raises(ConfigError, match=message):
            HistogramSpectrum.read(str(place))


def test_spectrum_of_a_dataset(tmp_path: Path) -> None:
    dataset = prepared_dataset(Path(dataset_uri(str(tmp_path), "toy")), beams=(10.0, 30.0))
    found = read_condition("beam_energy", "data(toy)", str(tmp_path))
    assert isinstance(found, ChoiceSpectrum)
    assert found.values == (10.0, 30.0)
    events = dataset.load("train")
    share = (events.weight * (events.columns["beam_energy"] == 10)).sum() / events.weight.sum()
    assert found.weights[0] == pytest.approx(float(share))
    with pytest.raises(ConfigError, match="has no such condition"):
        spectrum_of(dataset, "electron.energy")
    with pytest.raises(DataError, match="no dataset 'toys'"):
        read_condition("beam_energy", "data(toys)", str(tmp_path))


def sampled(folder: Path, spectrum: Spectrum, compiled: bool = False) -> Dataset:
    checkpoint = small_checkpoint(folder / "checkpoint", conditional=True)
    job = plan_sample(
        checkpoint,
        9000,
        str(folder / f"out-{compiled}"),
        seed=1,
        shard_events=5000,
        conditions={"beam_energy": spectrum},
        compiled=compiled,
    )
    return run(job)


def test_drawn_conditions_are_columns_and_rule_the_events(tmp_path: Path) -> None:
    dataset = sampled(tmp_path, UniformSpectrum(low=10, high=60))
    events = dataset.load()
    beam, energy = (events.columns[name] for name in ("beam_energy", "electron.energy"))
    assert stats.kstest(beam, stats.uniform(10, 50).cdf).pvalue > 1e-3
    assert (energy <= beam * (1 + 1e-6)).all()  # no electron gains energy
    assert len(beam.unique()) > 8000
    assert dataset.manifest.conditions == {}
    assert dataset.manifest.provenance["spec"]["conditions"]["beam_energy"]["kind"] == "uniform"
    outside = dataset.manifest.provenance["extrapolations"]["beam_energy"]
    assert (outside["value"], outside["distance"]) == (60.0, 10.0)
    assert verified(Path(dataset.uri)).faults == ()
    _, promises = ShardCheck.of(dataset)
    assert len(promises) == 2


def test_one_value_is_no_column(tmp_path: Path) -> None:
    dataset = sampled(tmp_path, constant(20))
    assert dataset.manifest.conditions == {"beam_energy": 20.0}
    assert "beam_energy" not in {field.name for field in dataset.manifest.stored.fields}
    assert (dataset.load().columns["beam_energy"] == 20).all()


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler: CXX, or g++")
def test_compiled_events_draw_the_same_conditions(tmp_path: Path) -> None:
    spectrum = ChoiceSpectrum(values=(10, 30), weights=(1, 3))
    plain, compiled = (sampled(tmp_path, spectrum, compiled) for compiled in (False, True))
    ours, theirs = compiled.load().columns, plain.load().columns
    assert torch.equal(ours["beam_energy"], theirs["beam_energy"])
    for name in ELECTRON:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-4, atol=2e-4)
    assert float((ours["beam_energy"] == 30).double().mean()) == pytest.approx(0.75, abs=0.02)


def test_a_model_of_one_energy_takes_no_spectrum(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint")
    with pytest.raises(
        ConfigError, match="beam_energy=uniform-10-50: .*trained at beam_energy = 5"
    ):
        plan_sample(
            checkpoint,
            10,
            str(tmp_path / "out"),
            seed=1,
            shard_events=10,
            conditions={"beam_energy": SPECTRA[0]},
        )
