"""Declared spectra from which each event of a sample draws a condition, such as its beam energy."""

import csv
import itertools
import math
import re
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field as Option
from pydantic import model_validator
from torch import Tensor

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.config import Config, Registry, parse
from mleg_ray.errors import ConfigError

MOST_VALUES = 100  # of a condition that takes some values only; others become a histogram
SPECTRUM_BINS = 100


class Spectrum(Config):
    """Base of the distributions of a condition, given by their quantile functions."""

    kind: str

    @abstractmethod
    def quantile(self, u: Tensor) -> Tensor:
        """Return the values (n,) below which lie the shares u (n,), float64 in [0, 1)."""

    @property
    @abstractmethod
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value."""

    @property
    def likely(self) -> tuple[float, ...]:
        """The values of a condition that takes some only, of a continuous one none."""
        return ()

    @property
    def only(self) -> float | None:
        """The value of all events, None if there are several."""
        low, high = self.range
        return low if low == high else None

    @property
    def told(self) -> str:
        """A short name, as `uniform-10-50`, or the only value."""
        return f"{self.kind}-{self.digest()[:8]}"

    @property
    def suffix(self) -> str:
        """What follows the condition's name in those of folders: `-uniform-10-50`, or a number."""
        return f"-{self.told}" if self.only is None else self.told


SPECTRA: Registry[Spectrum] = Registry("spectrum")


class Between(Spectrum):
    """A spectrum between two ends."""

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ConfigError(f"low, {self.low:g}, must be below high, {self.high:g}")
        return self

    @property
    def range(self) -> tuple[float, float]:
        """The ends."""
        return self.low, self.high

    @property
    def told(self) -> str:
        """Kind and ends."""
        return f"{self.kind}-{self.low:g}-{self.high:g}"


@SPECTRA.register
class UniformSpectrum(Between):
    """Every value between the ends is as likely."""

    kind: Literal["uniform"] = "uniform"

    def quantile(self, u: Tensor) -> Tensor:
        """Return the values below which lie the shares u."""
        return self.low + (self.high - self.low) * u


@SPECTRA.register
class LogUniformSpectrum(Between):
    """Every factor between the ends, which are positive, is as likely."""

    kind: Literal["log-uniform"] = "log-uniform"
    low: Annotated[float, Option(gt=0)]

    def quantile(self, u: Tensor) -> Tensor:
        """Return the values below which lie the shares u."""
        return self.low * (math.log(self.high / self.low) * u).exp()


@SPECTRA.register
class ChoiceSpectrum(Spectrum):
    """Some values, as likely as their `weights`, which are equal if left out."""

    kind: Literal["choice"] = "choice"
    values: Annotated[tuple[float, ...], Option(min_length=1)]
    weights: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _weighted(self) -> Self:
        if self.weights:
            _require_weights(self.weights, len(self.values), "values")
        return self

    @property
    def likely(self) -> tuple[float, ...]:
        """The values whose weight is not zero."""
        weights = self.weights or (1.0,) * len(self.values)
        return tuple(v for v, weight in zip(self.values, weights, strict=True) if weight)

    def quantile(self, u: Tensor) -> Tensor:
        """Return the values below which lie the shares u."""
        shares = _inner_shares(self.weights or (1.0,) * len(self.values))
        chosen = torch.searchsorted(shares, u, right=True)  # no u chooses what has no weight
        return torch.tensor(self.values, dtype=torch.float64)[chosen]

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return min(self.values), max(self.values)

    @property
    def told(self) -> str:
        """The only value, or kind and values, if these are few and as likely."""
        if self.only is not None:
            return f"{self.only:g}"
        if self.weights or len(self.values) > 6:
            return super().told
        return "-".join([self.kind, *(f"{value:g}" for value in self.values)])


@SPECTRA.register
class HistogramSpectrum(Spectrum):
    """Bins between increasing `edges`, as likely as their `contents`; uniform inside a bin."""

    kind: Literal["histogram"] = "histogram"
    edges: Annotated[tuple[float, ...], Option(min_length=2)]
    contents: tuple[float, ...]

    @model_validator(mode="after")
    def _is_a_histogram(self) -> Self:
        if any(a >= b for a, b in itertools.pairwise(self.edges)):
            raise ConfigError("edges must increase")
        _require_weights(self.contents, len(self.edges) - 1, "bins")
        return self

    def quantile(self, u: Tensor) -> Tensor:
        """Return the values below which lie the shares u."""
        shares = torch.cat([torch.zeros(1, dtype=torch.float64), _inner_shares(self.contents)])
        size = torch.tensor(self.contents, dtype=torch.float64) / math.fsum(self.contents)
        edges = torch.tensor(self.edges, dtype=torch.float64)
        chosen = torch.searchsorted(shares, u, right=True) - 1
        within = ((u - shares[chosen]) / size[chosen]).clamp(0, 1)
        return edges[chosen] + within * edges.diff()[chosen]

    @property
    def range(self) -> tuple[float, float]:
        """The outer edges of the bins that have any content."""
        filled = [i for i, content in enumerate(self.contents) if content]
        return self.edges[filled[0]], self.edges[filled[-1] + 1]

    @staticmethod
    def read(path: str) -> "HistogramSpectrum":
        """Read a CSV file of lines low,high,content, with or without a header.

        Raises:
            ConfigError: it cannot be read, or its bins are not next to each other.
        """
        try:
            lines = Path(path).read_text("utf-8-sig").splitlines()
            filled = [line for line in lines if line.strip() and not line.startswith("#")]
            first, *others = csv.reader(filled)
            has_header = re.search("[a-df-zA-DF-Z]", first[0]) and not _is_number(first[0])
            cells = others if has_header else [first, *others]
            rows = [[float(cell) for cell in line] for line in cells]
            lows, highs, contents = zip(*rows, strict=True)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{path}: no histogram ({error}); it needs lines LOW,HIGH,CONTENT"
            ) from None
        if lows[1:] != highs[:-1]:
            raise ConfigError(f"{path}: bins must follow each other, the next from where one ends")
        return parse(HistogramSpectrum, {"edges": (*lows, highs[-1]), "contents": contents}, path)


def constant(value: float) -> ChoiceSpectrum:
    """Return the spectrum of one value."""
    return ChoiceSpectrum(values=(value,))


def spectrum_of(dataset: Dataset, name: str) -> Spectrum:
    """Return the spectrum of a condition in the train split of a dataset, weights included.

    Raises:
        ConfigError: the dataset has no such condition.
        DataError: its shards are gone or damaged.
    """
    if name not in dataset.schema.conditions:
        raise ConfigError(f"--condition {name}: {dataset.uri} has no such condition")
    events = dataset.load("train")
    column, weight = events.columns[name].numpy(), events.weight.numpy()
    values, group = np.unique(column, return_inverse=True)
    if len(values) <= MOST_VALUES:
        shares = np.bincount(group, weight) / weight.sum()
        return ChoiceSpectrum(values=tuple(values.tolist()), weights=tuple(shares.tolist()))
    contents, edges = np.histogram(column, SPECTRUM_BINS, weights=weight / weight.sum())
    return HistogramSpectrum(edges=tuple(edges.tolist()), contents=tuple(contents.tolist()))


def read_condition(name: str, text: str, storage: str) -> Spectrum:
    """Read what a command line says of a condition: a number, or a spectrum.

    uniform(LOW,HIGH), log-uniform(LOW,HIGH), choice(A,B,...), histogram(FILE.csv), data(DATASET).

    Raises:
        ConfigError: it is none of these, or what it names cannot be read.
    """
    match = re.fullmatch(r"\s*([a-z-]+)\((.*)\)\s*", text)
    kind, inside = (match[1], match[2].strip()) if match else ("", text)
    if kind == "data":
        return spectrum_of(Dataset.prepared(storage, inside), name)
    if kind == "histogram":
        return HistogramSpectrum.read(inside)
    try:
        numbers = tuple(float(part) for part in inside.split(","))
    except ValueError:
        numbers = ()
    origin = f"--condition {name}={text}"
    if not all(map(math.isfinite, numbers)):
        raise ConfigError(f"{origin}: finite numbers are needed")
    if kind in ("uniform", "log-uniform") and len(numbers) == 2:
        return parse(SPECTRA[kind], {"kind": kind, "low": numbers[0], "high": numbers[1]}, origin)
    if (kind == "choice" and numbers) or (not kind and len(numbers) == 1):
        return parse(ChoiceSpectrum, {"values": numbers}, origin)
    raise ConfigError(
        f"{origin}: write it as {name}=NUMBER, or in place of the number uniform(LOW,HIGH), "
        "log-uniform(LOW,HIGH), choice(A,B,...), histogram(FILE.csv) or data(DATASET)"
    )


def _is_number(text: str) -> bool:
    """Tell whether a text is read as a number; so are `nan` and `inf`."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _inner_shares(weights: Sequence[float]) -> Tensor:
    """Return the shares (n - 1,) below the second, third, ... of n entries."""
    shares = torch.tensor(weights, dtype=torch.float64)
    return (shares.cumsum(0) / shares.sum())[:-1]


def _require_weights(weights: Sequence[float], n: int, of: str) -> None:
    if len(weights) != n:
        raise ConfigError(f"{len(weights)} weights for {n} {of}")
    if min(weights) < 0 or not math.fsum(weights) > 0:
        raise ConfigError("weights must not be negative, and not all zero")
