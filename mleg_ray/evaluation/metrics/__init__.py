"""Figures of merit, one file each, or one for those that share what is costly."""

from mleg_ray.evaluation.metrics import (
    amplification,
    c2st,
    chi2,
    correlations,
    events_per_second,
    histograms,
    ks,
    memorisation,
    physics_distances,
    swd,
    unphysical,
    w1,
)
from mleg_ray.evaluation.metrics.base import Metric

# By the names and in the order of scorecards and tables; users may enter their own.
METRICS: dict[str, Metric] = {
    "c2st_auc": c2st.AUC,
    "c2st_weights": c2st.WEIGHTS,
    "chi2_ndf": chi2.CHI2_NDF,
    "chi2_all": chi2.CHI2_ALL,
    "unphysical_rate": unphysical.UNPHYSICAL_RATE,
    "invalid_event_rate": unphysical.INVALID_EVENT_RATE,
    "ks": ks.KS,
    "w1": w1.W1,
    "js": histograms.JS,
    "kl": histograms.KL,
    "separation": histograms.SEPARATION,
    "chi2_paper": histograms.CHI2_PAPER,
    "corr_frobenius": correlations.CORR_FROBENIUS,
    "swd": swd.SWD,
    "fpd": physics_distances.FPD,
    "kpd": physics_distances.KPD,
    "memorisation": memorisation.MEMORISATION,
    "amplification": amplification.AMPLIFICATION,
    "events_per_second": events_per_second.EVENTS_PER_SECOND,
}
