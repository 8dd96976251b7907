"""Where Pythia 8's electrons agree with the FAT-GAN authors' training events, and where not.

The numbers of docs/physics/dis-datasets.md, with 40,000 Pythia events. Two samples of one
distribution of these sizes have a KS distance below 0.0081 in 95% of the cases.
"""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from mleg_ray.catalog.spec import DatasetSpec


def observables(name, *assignments):
    spec = DatasetSpec.load(name, assignments)
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    shards = [source.shard(i) for i in range(sum(map(len, source.shard_rows())))]
    columns = {
        field.name: torch.from_numpy(np.concatenate([shard[field.name] for shard in shards]))
        for field in spec.stored.fields
    }
    events = spec.joined(spec.schema_.events(columns, spec.conditions))
    return {name: values.numpy() for name, values in events.columns.items()}


@pytest.fixture(scope="module")
def tape(reference_data):
    return observables("dis-ep-50-tape2", f"source.root={reference_data}")


@pytest.fixture(scope="module")
def pythia(reference_data):
    pytest.importorskip("pythia8mc")
    return observables("dis-ep-50", "source.events=40_000", "shard_events=10_000")


@pytest.mark.parametrize(
    ("name", "ks_limit", "mean_limit"),
    [
        ("electron.energy", 0.02, 0.005),
        ("pt", 0.015, 0.02),
        ("q2", 0.015, 0.08),
        ("theta", 0.015, 0.03),
        ("y", 0.02, 0.05),
        ("x_bj", 0.02, 0.10),
        ("phi", 0.0115, None),  # isotropic in both: the KS distance of one distribution, 99.9%
    ],
)
def test_spectra_agree(pythia, tape, name, ks_limit, mean_limit):
    assert ks_2samp(pythia[name], tape[name]).statistic < ks_limit
    if mean_limit is not None:
        assert pythia[name].mean() == pytest.approx(tape[name].mean(), rel=mean_limit)


def test_both_have_the_same_cut_on_the_hard_mass(pythia, tape):
    for events in (pythia, tape):
        assert (events["x_bj"] * 1e4 < 16).mean() == pytest.approx(0.0087, abs=0.0015)


def test_only_the_tape_has_radiation_below_the_cut(pythia, tape):
    assert pythia["q2"].min() > 2 * (1 - 1e-6)
    assert (tape["q2"] < 2).mean() == pytest.approx(0.00149, abs=1e-5)
    assert tape["q2"].min() == pytest.approx(0.4035, abs=1e-3)


def test_the_tape_reaches_larger_x(pythia, tape):
    assert tape["x_bj"].max() == pytest.approx(1.0327, abs=1e-3)
    assert pythia["x_bj"].max() < 0.95
    assert (tape["x_bj"] > 0.5).mean() == pytest.approx(0.0190, abs=1e-4)
    assert (pythia["x_bj"] > 0.5).mean() == pytest.approx(0.0130, abs=0.0025)


def test_only_the_tape_has_a_cut_on_the_electrons_energy(pythia, tape):
    assert tape["electron.energy"].min() > 5
    assert 2e-4 < (pythia["electron.energy"] < 5).mean() < 2e-3
