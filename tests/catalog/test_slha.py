"""Spectra of top squarks, and those of users."""

import pytest

from mleg_ray.catalog.sources.slha import OTHERS, Stop, read_slha
from mleg_ray.errors import DataError


def lines(stop: Stop) -> list[list[str]]:
    return [line.split() for line in stop.slha().splitlines()]


def test_spectrum_of_a_stop():
    spectrum = lines(Stop(m_stop=220, m_chi=20))
    assert ["1000006", "220"] in spectrum
    assert ["1000022", "20"] in spectrum
    assert len(set(OTHERS)) == 5 + 6 + 6 + 9 == len(OTHERS)
    assert all([f"{number}", "10000"] in spectrum for number in OTHERS)
    mixing = spectrum.index(["BLOCK", "STOPMIX"])  # none: the lighter squark is left-handed
    assert [value for *_, value in spectrum[mixing + 1 : mixing + 5]] == ["1", "0", "0", "1"]
    assert spectrum[-1] == ["DECAY", "1000022", "0.0"]  # stable
    decay = spectrum[spectrum.index(["DECAY", "1000006", "1.0"]) + 1]
    assert decay == ["1.0", "2", "6", "1000022"]  # to a top quark of 172.5 GeV: 220 - 20 > 172.5


def test_a_stop_too_light_for_a_top_quark_decays_to_three_particles():
    for m_stop in (200, 272.4):  # less 100 GeV below 172.5
        assert ["1.0", "3", "5", "24", "1000022"] in lines(Stop(m_stop=m_stop, m_chi=100))
    assert ["1.0", "2", "6", "1000022"] in lines(Stop(m_stop=272.6, m_chi=100))
    with pytest.raises(ValueError, match="too light to decay to b W.*more than 185.2 GeV"):
        Stop(m_stop=185, m_chi=100)


def test_what_is_written_can_be_read(tmp_path):
    text = Stop(m_stop=300, m_chi=100).slha()
    (tmp_path / "stop.slha").write_text(text)
    assert read_slha(str(tmp_path / "stop.slha")) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BLOCK MODSEL\n 1 0\n",
        "Block MASS  # none\nBLOCK STOPMIX\n 1 1 1.0\n",
        "BLOCK MASS\n# 1000006 300.0\nDECAY 1000006 1.0\n 1.0 2 6 1000022\n",
    ],
)
def test_a_spectrum_without_masses_is_refused(tmp_path, text):
    file = tmp_path / "user.slha"
    file.write_text(text)
    with pytest.raises(DataError, match="user.slha: an SLHA file without masses"):
        read_slha(str(file))
    with pytest.raises(DataError, match="none.slha: cannot be read"):
        read_slha(str(tmp_path / "none.slha"))


@pytest.mark.parametrize("mass", ["nan", "1e400", "heavy"])
def test_a_mass_that_is_no_number_is_refused(tmp_path, mass):
    file = tmp_path / "user.slha"
    file.write_text(f"BLOCK MASS\n 1000006 300.0\n 1000022 {mass}\n")
    with pytest.raises(DataError, match=f"user.slha: '1000022 {mass}' of BLOCK MASS has no mass"):
        read_slha(str(file))


def test_a_users_spectrum_may_be_written_otherwise(tmp_path):
    file = tmp_path / "user.slha"
    file.write_text("block mass # masses\n\n   1000006   3.0E+02  # ~t_1\n")
    assert "3.0E+02" in read_slha(str(file))
