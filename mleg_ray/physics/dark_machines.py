"""What the Dark Machines challenge asks of an event (T. Aarrestad et al., arXiv:2105.14027)."""

from torch import Tensor

from mleg_ray.physics.observables import observable

JET_PT, LEPTON_PT, PHOTON_PT = 60.0, 25.0, 25.0  # GeV
ELECTRON_ETA, GAP = 2.47, (1.37, 1.52)


@observable("1")
def criteria(
    jet_pt: Tensor,
    b_jet_pt: Tensor,
    electron_pt: Tensor,
    electron_eta: Tensor,
    positron_pt: Tensor,
    positron_eta: Tensor,
    muon_pt: Tensor,
    antimuon_pt: Tensor,
    photon_pt: Tensor,
) -> Tensor:
    """Return how many of the four criteria an event (B,) fulfils; one is enough to keep it.

    They are a jet or b-jet of pt > 60 GeV; an electron of pt > 25 GeV and |η| < 2.47, not in
    1.37 < |η| < 1.52; a muon of pt > 25 GeV; a photon of pt > 25 GeV. Arguments are objects (B, K),
    zero where absent, pt in GeV, within the object cuts: so the other ranges of |η| hold already.
    """

    def seen(pt: Tensor, eta: Tensor) -> Tensor:
        away = eta.abs()
        central = (away < ELECTRON_ETA) & ~((away > GAP[0]) & (away < GAP[1]))
        return ((pt > LEPTON_PT) & central).any(dim=1)

    jets = (jet_pt > JET_PT).any(dim=1) | (b_jet_pt > JET_PT).any(dim=1)
    electrons = seen(electron_pt, electron_eta) | seen(positron_pt, positron_eta)
    muons = (muon_pt > LEPTON_PT).any(dim=1) | (antimuon_pt > LEPTON_PT).any(dim=1)
    photons = (photon_pt > PHOTON_PT).any(dim=1)
    return jets.double() + electrons.double() + muons.double() + photons.double()
