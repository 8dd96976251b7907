"""Signal over background: what is fitted, and what the weights make of the rest."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr

from mleg_ray.catalog.sources.rich import RICH
from mleg_ray.catalog.sources.weighted import MassSpectrum
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError
from tests.physics.deviations import LIKELY, p_value

SPECTRUM = MassSpectrum(low=1.80, high=1.93, peak=1.865, width=0.008, slope=5.0)


def shard(name: str, events: int, *assignments: str) -> dict[str, np.ndarray]:
    """Return one shard of so many events."""
    size = (f"source.events={events}", f"shard_events={events}")
    spec = DatasetSpec.load(name, (*size, *assignments))
    return dict(spec.source.open(spec.schema_, spec.conditions, spec.shard_events).shard(0))


def test_densities_of_masses_by_hand() -> None:
    """At the peak, whose window is 8.1 σ to either side, and at the lower end."""
    found = SPECTRUM.densities(np.array([1.865, 1.80]))
    fall = 5 / (1 - math.exp(-0.65))
    assert found[0] == pytest.approx(
        [1 / (0.008 * math.sqrt(2 * math.pi)), fall * math.exp(-0.325)]
    )
    assert found[1] == pytest.approx([0, fall], abs=1e-9)


@pytest.mark.parametrize("signal", [True, False])
def test_masses_are_drawn_from_their_density(signal) -> None:
    narrow = SPECTRUM.model_copy(update={"low": 1.86})  # which cuts into the peak
    mass = np.linspace(1.86, 1.93, 5001)
    density = narrow.densities(mass)[:, 0 if signal else 1]
    cumulative = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)]) * 0.07 / 5000
    assert cumulative[-1] == pytest.approx(1, abs=1e-6)
    drawn = narrow.sample(np.random.default_rng(1), np.full(4000, signal))
    assert stats.kstest(drawn, lambda at: np.interp(at, mass, cumulative)).pvalue > LIKELY


def test_a_fit_finds_the_shapes_that_were_drawn() -> None:
    rng = np.random.default_rng(2)
    drawn = SPECTRUM.model_copy(update={"peak": 1.868, "width": 0.0095, "slope": 8.0})
    mass = drawn.sample(rng, rng.random(20_000) < 0.15)
    found = SPECTRUM.fitted(mass)
    assert (found.low, found.high) == (1.80, 1.93)
    # Of 3,000 events of signal and 17,000 others, times 1.5 as each disturbs the other: 0.0095/√N,
    # that over √2, and √12/0.13 √N.
    assert found.peak == pytest.approx(1.868, abs=4 * 2.6e-4)
    assert found.width == pytest.approx(0.0095, abs=4 * 1.8e-4)
    assert found.slope == pytest.approx(8.0, abs=4 * 0.3)


def test_weights_are_the_yields_and_turn_negative() -> None:
    table = shard("toy-splot", 10_000)
    signal, weight = table["signal"] == 1, table["weight"]
    assert signal.mean() == pytest.approx(0.4, abs=4 * math.sqrt(0.24 / 10_000))
    assert (weight < 0).mean() > 0.3
    # The yield's error is that of counting, and more, as background is not told from signal.
    assert weight.sum() == pytest.approx(signal.sum(), abs=4 * 100)
    assert weight[np.abs(table["mass"] - 1.865) < 0.004].min() > 0
    # All that the weights are of is the mass.
    order = np.argsort(table["mass"])
    assert np.abs(np.diff(weight[order])).max() < 0.05


def test_weighted_events_are_distributed_as_signal() -> None:
    """Four Gaussians at (±2, 0) and (0, ±2): E[x²] = 2 + 0.4², E[x⁴] = 8 + 12 · 0.16 + 3 · 0.4⁴."""
    table = shard("toy-splot", 10_000)
    x, y = table["x"], table["y"]
    within = ndtr(2.0 / 0.4) - ndtr(-2.0 / 0.4)  # around one of four modes, within 2 of it
    deviations = np.stack(
        [
            x,
            y,
            x**2 - 2.16,
            y**2 - 2.16,
            x**4 - (8 + 12 * 0.16 + 3 * 0.0256),
            x * y,
            (np.abs(y) < 0.4) * (np.abs(x - 2) < 2)
            - (within * (ndtr(1) - ndtr(-1)) + 2 * 0.5 * (ndtr(6) - ndtr(4))) / 4,
        ],
        axis=1,
    )
    assert p_value(table["weight"][:, None] * deviations) > LIKELY
    assert p_value(deviations) < 1e-30  # without the weights it is not


def test_weighted_tracks_are_those_of_signal() -> None:
    table = shard("rich-kaons", 4000)
    signal, weight = table["signal"] == 1, table["weight"]
    for name in ("dll_kaon", "dll_below", "p", "n_tracks"):
        values = table[name]
        found = (weight * values).sum() / weight.sum()
        away = weight * (values - found)
        error = math.sqrt((away**2).sum()) / weight.sum()
        true, other = values[signal].mean(), values[~signal].mean()
        assert found == pytest.approx(true, abs=4 * error), name
        assert abs(other - true) > 8 * error, name


def test_tracks_have_their_ranges_and_species() -> None:
    table = shard("rich-kaons", 4000)
    assert 3 <= table["p"].min() < 5 < 60 < table["p"].max() <= 100
    assert 2 <= table["eta"].min() < table["eta"].max() <= 5
    tracks = table["n_tracks"]
    assert tracks.min() >= 1
    assert (tracks == np.floor(tracks)).all()
    signal = table["signal"] == 1
    assert tracks[signal].mean() == pytest.approx(160.5, abs=4 * 80 / math.sqrt(signal.sum()))
    told = (table["p"] > 10) & (table["p"] < 40)  # where kaons are told from pions
    assert (table["dll_kaon"][told & signal] > 0).mean() > 0.95
    assert (table["dll_kaon"][told & ~signal] > 0).mean() < 0.3
    pions = shard("rich-pions", 4000)
    told = (pions["p"] > 10) & (pions["p"] < 40) & (pions["signal"] == 1)
    assert (pions["dll_kaon"][told] > 0).mean() < 0.1


def test_tracks_are_drawn_as_declared() -> None:
    """ln p around ln 20 of σ = 0.7, η around 3.4 of σ = 0.6, both cut; 1 + ⌊gamma of shape 4⌋."""
    tracks = RICH(species={"pion": 1.0}, momentum=20.0, tracks=1.0)
    drawn = tracks.sample(np.random.default_rng(3), 4000)

    def cut(values: np.ndarray, mean: float, sigma: float, low: float, high: float) -> float:
        ends = (low - mean) / sigma, (high - mean) / sigma
        return float(stats.kstest(values, stats.truncnorm(*ends, mean, sigma).cdf).pvalue)

    log_p = np.log(drawn["p"])
    assert cut(log_p, math.log(20), 0.7, math.log(3), math.log(100)) > LIKELY
    assert cut(drawn["eta"], 3.4, 0.6, 2, 5) > LIKELY
    number = drawn["n_tracks"]
    assert number.min() == 1
    share = stats.gamma(4, scale=0.25).cdf(1)  # 0.567
    assert (number == 1).mean() == pytest.approx(share, abs=4 * math.sqrt(0.25 / 4000))


@pytest.mark.parametrize(
    ("name", "assignment", "message"),
    [
        ("toy-splot", "source.mass.peak=2.0", "peak: 2 GeV .* not in the window of 1.8 to 1.93"),
        ("toy-splot", "source.mass.peak=1.82", "1.82 GeV and 3 widths to both sides are not in"),
        ("toy-splot", "source.mass.peak=1.91", "1.91 GeV and 3 widths to both sides are not in"),
        ("toy-splot", "source.mass.width=0.03", "make the peak narrower or the window wider"),
        (
            "toy-splot",
            "source.background={ kind = 'beta', alpha = 1.0, beta = 1.0 }",
            "background: its events must have the fields of those of signal",
        ),
        ("toy-splot", "source.signal_share=1.0", "source.signal_share: .*less than 1"),
        ("rich-kaons", "conditions.eta=3.0", "draws eta; leave it out"),
        ("rich-kaons", "source.signal.species.pion=0.5", "species: their shares must sum to 1"),
        ("rich-kaons", "source.signal.momentum=1.0", "source.signal.momentum: .*equal to 3"),
        ("rich-kaons", "source.signal.momentum=200.0", "source.signal.momentum: .*equal to 100"),
        ("rich-kaons", "source.signal.species={ quark = 1.0 }", "source.signal.species.quark"),
        ("rich-kaons", "fields.8.role=label", r"declares .*weight \[1\] \(label\)"),
    ],
)
def test_what_does_not_fit_is_refused(name, assignment, message) -> None:
    with pytest.raises(ConfigError, match=message):
        DatasetSpec.load(name, (assignment,))


@pytest.mark.parametrize(
    ("events", "share", "needed"), [(49, 0.4, 50), (99, 0.8, 100), (1999, 0.01, 2000)]
)
def test_a_shard_that_is_too_small_for_a_fit_is_refused(events, share, needed) -> None:
    with pytest.raises(ConfigError, match=f"shard of {events} .*give shards {needed} events or"):
        shard("toy-splot", events, f"source.signal_share={share}")


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_the_smallest_shards_can_be_fitted(share) -> None:
    for seed in range(20):
        weight = shard("toy-splot", 200, f"source.signal_share={share}", f"source.seed={seed}")[
            "weight"
        ]
        assert weight.sum() == pytest.approx(200 * share, abs=5 * 10)
