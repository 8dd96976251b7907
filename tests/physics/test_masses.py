"""Masses of ours beside those of the Particle Data Group."""

import pytest

from mleg_ray.catalog.listing import list_entries
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.physics import dis, fixed_target, particles, photoproduction

Particle = pytest.importorskip("particle", reason="the extra dev is not installed").Particle


def mass(pdg_id: int) -> float:
    """Return a mass in GeV."""
    return Particle.from_pdgid(pdg_id).mass / 1000


@pytest.mark.parametrize(
    ("ours", "pdg_id"),
    [
        (dis.PROTON_MASS, 2212),
        (particles.ELECTRON_MASS, 11),
        (particles.MUON_MASS, 13),
        (particles.KAON_MASS, 321),
        (photoproduction.PION_MASS, 211),
        (fixed_target.PION_MASS, 111),
        (fixed_target.RHO_MASS, 113),
    ],
)
def test_constants(ours: float, pdg_id: int) -> None:
    assert ours == pytest.approx(mass(pdg_id), rel=1e-8)


def test_groups_of_the_catalog() -> None:
    groups = [
        (entry.name, name, group)
        for entry in list_entries()
        for name, group in DatasetSpec.load(entry.name).groups.items()
        if group.pdg_id is not None and group.mass  # zero where it is neglected
    ]
    assert len(groups) >= 3
    for dataset, name, group in groups:
        assert group.mass == pytest.approx(mass(group.pdg_id), rel=1e-8), f"{dataset}: {name}"
