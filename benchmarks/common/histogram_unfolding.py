"""Unfolding of histograms, the rivals of what unfolds events: bin by bin, and D'Agostini's.

Both have from simulated pairs how events migrate between k bins, first and last of which hold what
lies below and above the others, so that every event is in one.
"""

from dataclasses import dataclass

import numpy as np

from mleg_ray.evaluation.samples.column import FloatArray


@dataclass(frozen=True)
class Migration:
    """Simulated numbers of events: (k, k) measured in bin i and true in bin j; true in all (k,).

    The latter also counts events that the detector does not see.
    """

    pairs: FloatArray
    true: FloatArray

    @staticmethod
    def of(
        true: FloatArray, measured: FloatArray, seen: FloatArray, edges: FloatArray
    ) -> "Migration":
        """Count pairs of true and measured numbers (n,); of the likes of each, `seen` (n,) are."""
        rows, columns = np.digitize(measured, edges), np.digitize(true, edges)
        k = len(edges) + 1
        pairs = np.zeros((k, k))
        np.add.at(pairs, (rows, columns), 1.0)
        return Migration(pairs, np.bincount(columns, 1 / seen, minlength=k).astype(float))


def counted(measured: FloatArray, weight: FloatArray, edges: FloatArray) -> FloatArray:
    """Return the sums of weights (k,) of measured numbers in the bins."""
    bins = np.digitize(measured, edges)
    return np.bincount(bins, weight, minlength=len(edges) + 1).astype(float)


def bin_by_bin(migration: Migration, data: FloatArray) -> FloatArray:
    """Return data (k,) times what is true over what is measured in each bin of the simulation."""
    measured = migration.pairs.sum(axis=1)
    return data * _over(migration.true, measured)


def dagostini(migration: Migration, data: FloatArray, *, iterations: int) -> FloatArray:
    """Return the spectrum (k,) of data (k,) after so many iterations from that of the simulation.

    With the probabilities R_ij to be measured in bin i if true in bin j, and ε_j = Σ_i R_ij,

        p_j <- p_j / ε_j Σ_i R_ij d_i / Σ_l R_il p_l.

    Source: G. D'Agostini, Nucl. Instrum. Meth. A 362 (1995) 487, sec. 4.
    """
    true = migration.true
    response = _over(migration.pairs, np.broadcast_to(true, migration.pairs.shape))
    efficiency = response.sum(axis=0)
    spectrum: FloatArray = true  # in any unit, which cancels
    for _ in range(iterations):
        back = response.T @ _over(data, response @ spectrum)
        spectrum = spectrum * _over(back, efficiency)
    return spectrum


def _over(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Return the ratio, 0 where the denominator is."""
    out = np.zeros(numerator.shape)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out
