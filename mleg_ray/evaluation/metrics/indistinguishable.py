"""`n_indistinguishable`: how many events of a sample can be used before a test tells them apart."""

from collections.abc import Mapping

import numpy as np

from mleg_ray.evaluation.metrics.base import Comparison, Metric
from mleg_ray.evaluation.metrics.c2st import area_under_roc, classifications
from mleg_ray.evaluation.metrics.chi2 import Compared, all_events
from mleg_ray.evaluation.statistics.estimate import Figure, NotComputableError
from mleg_ray.evaluation.statistics.noncentrality import (
    Noncentrality,
    SizedTest,
    numbers_of_events,
)


def n_indistinguishable(comparison: Comparison, rng: np.random.Generator) -> Mapping[str, Figure]:
    """Return how many events of each sample the tests need to tell one from the other.

    The tests are Pearson's χ² of all events by plane and observable, as `chi2_all` has it, and the
    areas under the ROC curve of classifiers that others than the counted events have taught.

    Raises:
        NotComputableError: see `PooledSample`.
    """
    truth, generated = comparison.truth, comparison.generated
    tests: dict[str, SizedTest] = {}
    missing: dict[str, Figure] = {}
    for subject, found in all_events(comparison).items():
        if isinstance(found, Compared):
            test = Noncentrality.of_histograms(found.truth, found.generated, found.design)
            each = test.of_events(found.objects or 1.0)
            tests[subject] = SizedTest(each, truth.counted, found.events)
        else:
            missing[subject] = found
    try:
        for name, classification in classifications(comparison).items():
            test = Noncentrality.of_area(*area_under_roc(classification.test))
            tests[name] = SizedTest(test, classification.events, classification.events)
    except NotComputableError:  # `c2st_auc` says why; the histograms may tell all the same
        pass
    return missing | numbers_of_events(tests, generated.origin.events)


N_INDISTINGUISHABLE = Metric(
    title="Indistinguishable events",
    meaning="events of each sample by which a test tells them apart, as likely as not at 3σ",
    of_all_events=True,
    headline="Limited by {subject}: more events than that are told from true ones.",
    compute=n_indistinguishable,
)
