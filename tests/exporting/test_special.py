"""Special functions by other operations, beside PyTorch's own."""

import torch

from mleg_ray.exporting.special import erf, erfc, erfcx, searchsorted

X = torch.cat([torch.linspace(-5, 30, 3501), torch.tensor([0.0, 1e-12, 1e3, 1e6])]).double()


def test_error_functions() -> None:
    torch.testing.assert_close(erfcx(X), torch.special.erfcx(X), rtol=1e-13, atol=0)
    near = X[X < 20]
    torch.testing.assert_close(erfc(near), torch.special.erfc(near), rtol=1e-12, atol=0)
    torch.testing.assert_close(erf(X), torch.special.erf(X), rtol=0, atol=1e-13)


def test_places_among_edges() -> None:
    edges, x = torch.tensor([0.0, 1, 2]), torch.tensor([[-1.0, 0, 0.5], [1, 2, 3]])
    assert searchsorted(edges, x).tolist() == [[0, 0, 1], [1, 2, 3]]
    assert searchsorted(edges, x, right=True).tolist() == [[0, 1, 1], [2, 3, 3]]
    assert searchsorted(edges, x, side="right").tolist() == [[0, 1, 1], [2, 3, 3]]
