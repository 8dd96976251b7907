"""Rivals of `mleg fit`: other generators of a table, trained for as long.

A Gaussian copula is learned in a second, whatever the time. CTGAN and TVAE (L. Xu et al.,
arXiv:1907.00503) are those of the library `ctgan`, with its own settings: it is not an open source
library, and wants an older pandas than the tested one, so that it is no part of the project.
"""

import importlib
import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

LIBRARY = "ctgan"
MOST_VALUES = 100  # of whole numbers that CTGAN and TVAE are told to be categories

Table = Mapping[str, NDArray[Any]]  # columns (n,) by name
Sampler = Callable[[int], Table]
Rival = Callable[[Table, float, int], Sampler]  # of a table, seconds and a seed


def gaussian_copula(table: Table, seconds: float, seed: int) -> Sampler:
    """Learn the correlations of normal scores; each column keeps the values that it has.

    z = Φ⁻¹((rank - ½) / n), ties in random order; a new z is normal with the correlations of these,
    and its column's value is the one of rank n Φ(z). R. Nelsen, An Introduction to Copulas, 2006,
    sec. 2.3 and 2.9.
    """
    rng = np.random.default_rng(seed)
    columns = list(table.values())
    n = len(columns[0])
    ranks = np.stack([np.lexsort((rng.random(n), x)).argsort() for x in columns])
    correlation = np.atleast_2d(np.corrcoef(ndtri((ranks + 0.5) / n)))
    values = [np.sort(x) for x in columns]

    def sample(events: int) -> Table:
        z = rng.multivariate_normal(np.zeros(len(columns)), correlation, events, method="eigh")
        places = np.minimum((n * ndtr(z)).astype(int), n - 1).T
        return {name: x[at] for name, x, at in zip(table, values, places, strict=True)}

    return sample


def of_library(kind: str) -> Rival:
    """Return CTGAN or TVAE, which end with the first epoch after the time is over."""

    def trained(table: Table, seconds: float, seed: int) -> Sampler:
        pandas, library = map(importlib.import_module, ("pandas", LIBRARY))
        model = getattr(library, kind)(epochs=10**6, enable_gpu=False)
        model.set_random_state(seed)
        frame = pandas.DataFrame(dict(table))
        # The library's loop over epochs goes through a progress bar, and knows no other end.
        bar = f"{LIBRARY}.synthesizers.{kind.lower()}.tqdm"
        with mock.patch(bar, _until(time.monotonic() + seconds)):
            model.fit(frame, [name for name, x in table.items() if _is_category(x)])

        def sample(events: int) -> Table:
            made = model.sample(events)
            return {name: _like(x, made[name].to_numpy()) for name, x in table.items()}

        return sample

    return trained


RIVALS: Mapping[str, Rival] = {
    "Gaussian copula": gaussian_copula,
    "CTGAN": of_library("CTGAN"),
    "TVAE": of_library("TVAE"),
}


def rivals() -> Mapping[str, Rival]:
    """Return those that are installed; how to install the others is told."""
    if importlib.util.find_spec(LIBRARY) is None:
        print(
            f"CTGAN and TVAE are left out; in a virtual environment to spare: pip install {LIBRARY}"
        )
        return {"Gaussian copula": gaussian_copula}
    return RIVALS


def _until(end: float) -> Callable[..., Iterator[int]]:
    def epochs(numbers: Iterable[int], **_: object) -> Iterator[int]:
        for number in numbers:
            yield number
            if time.monotonic() >= end:
                return

    return epochs


def _is_category(x: NDArray[Any]) -> bool:
    return bool((x == np.rint(x)).all()) and len(np.unique(x)) <= MOST_VALUES


def _like(x: NDArray[Any], made: NDArray[Any]) -> NDArray[Any]:
    """Return numbers of the type of those learned from, whole where these are."""
    made = made.astype(np.float64)
    return (np.rint(made) if x.dtype.kind in "iu" else made).astype(x.dtype)
