"""Values of Pythia's settings: what Pythia would read as another is refused."""

import pytest

from mleg_ray.catalog.sources.pythia_settings import require_settings
from mleg_ray.errors import ConfigError

pythia8mc = pytest.importorskip("pythia8mc", reason="the optional package pythia8mc is not here")


@pytest.fixture(scope="module")
def pythia():
    return pythia8mc.Pythia("", False)


def test_values_that_pythia_reads(pythia):
    require_settings(
        pythia,
        {
            "PartonLevel:ISR": "OFF",
            "Tune:pp": "14",
            "PhaseSpace:mHatMin": "5e1",
            "PDF:pSet": "13",
            "23:onMode": "off",
            "23:onIfAny": "13 -11",
            "23:mWidth": "2.5",
            "23:name": "Z",
        },
    )
    settings, particles = pythia.settings, pythia.particleData
    assert settings.flag("PartonLevel:ISR") is False
    assert (settings.mode("Tune:pp"), settings.parm("PhaseSpace:mHatMin")) == (14, 50.0)
    assert (particles.mWidth(23), particles.name(23)) == (2.5, "Z")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("Topp:all", "on", "Pythia has no such setting"),
        ("PartonLevel:ISR", "maybe", r"it holds one of on, off, .* \(got 'maybe'\)"),
        ("PartonLevel:ISR", "on\nPartonLevel:FSR = off", "it holds one of on, off"),
        ("Tune:pp", "1.5", "it holds a whole number"),
        ("Tune:pp", "99", "refuses the value '99'"),
        ("PhaseSpace:mHatMin", "50 GeV", "it holds a number"),
        ("24:onMode", "sometimes", "it holds numbers, or 'on' or 'off'"),
        ("23:m0", "heavy", "it holds numbers"),
        ("23:onIfAny", "muon", "it holds numbers"),
        ("23:addChannel", "junk", "it holds numbers"),
        ("23:onMod", "off", "no such property of a particle"),
        ("99999999:onMode", "off", "no such property of a particle"),
        ("beams:eCM", "7000", "two protons at √s = source.energy"),
        ("Beams:frameType", "2", "two protons at"),
        ("Random:seed", "1", "with seeds from source.seed"),
        ("SLHA:file", "my.slha", "is `stop` or `slha` of the process"),
    ],
)
def test_values_that_pythia_would_read_as_others(pythia, key, value, message):
    with pytest.raises(ConfigError, match=f'^"{key}": .*{message}'):
        require_settings(pythia, {key: value})
