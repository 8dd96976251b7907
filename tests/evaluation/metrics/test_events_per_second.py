import pytest

from mleg_ray.evaluation.metrics.events_per_second import events_per_second
from mleg_ray.evaluation.statistics.estimate import NotComputableError


def test_provenance_says_how_fast_or_that_it_does_not():
    run = {"events": 10, "seconds": 40.0, "events_per_second": 1e6, "workers": 3}
    assert str(events_per_second({"production": run})) == "1,000,000 (events/s, 3 workers)"
    with pytest.raises(NotComputableError, match=r"took 3\.0 s; 30 s are needed"):
        events_per_second({"production": run | {"seconds": 3.0}})
    with pytest.raises(NotComputableError, match="no record"):
        events_per_second({"production": None})
