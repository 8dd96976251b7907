"""The Dalitz plane of the exclusive reaction, by values of hand."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba_array

from benchmarks.paper.exclusive import CHANNELS, resonances
from mleg_ray.catalog.sources.photoproduction import CHANNEL

MASSES = {"m_p_pip": [1.2, 1.5], "m_p_pim": [1.3, 1.4], "m_pip_pim": [0.8, 0.5]}


def test_a_dalitz_plane_has_squares_of_masses_in_the_colours_of_channels() -> None:
    """m²(π⁺π⁻) against m²(pπ⁺), of a ρ⁰ and of phase space; what is made has no channels."""
    made = {name: np.array(values) for name, values in MASSES.items()}
    figure = resonances(made | {CHANNEL: np.array([1.0, 2.0])}, made, "GAN")
    colours = list(CHANNELS.values())
    for axes, shown in zip(figure.axes[3:5], (colours[1:], None), strict=True):
        [dots] = axes.collections
        assert isinstance(dots, PathCollection)
        places = np.asarray(dots.get_offsets())
        assert places == pytest.approx(np.array([[1.44, 0.64], [2.25, 0.25]]))
        if shown:
            assert np.asarray(dots.get_facecolor())[:, :3] == pytest.approx(
                to_rgba_array(shown)[:, :3]
            )
