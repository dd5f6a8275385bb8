"""Rows that do not fit together are refused at loading, each with its key; the table can be read alone."""

import pytest

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.loader import Credentials, load_instruments, load_settings
from kalshi_daemon.settings.model import Settings

DJI = '[instruments.indices.DJI]\nlevel = 46000.0\nstand_ins = ["YM", "DIA x 100"]\n'
KXDJIH = '[instruments.series.KXDJIH]\nindex = "DJI"\ncadence = "hourly"\nstep = 50\n'


def loaded(tmp_path, text: str, **env: str) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load_settings(path, env, None, {}, needs=Credentials.NONE).settings


def test_a_third_index_and_its_series_can_be_quoted(tmp_path):
    settings = loaded(tmp_path, DJI + KXDJIH + '[profiles.wide]\nseries = ["KXDJIH"]\n')
    assert list(instruments_of(settings.instruments).rows) == ["SPX", "NDX", "DJI"]
    assert list(instruments_of(settings.instruments).series)[-1] == "KXDJIH"
    assert settings.profiles.wide.series == ("KXDJIH",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (DJI, "instruments.indices.DJI has no series"),
        (KXDJIH, "instruments.series.KXDJIH.index DJI is not in the table"),
        (DJI + KXDJIH.replace("50\n", "50\nfirst_fixing = 10:30:00\n"), "KXDJIH.first_fixing is not a full hour"),
        (DJI + KXDJIH.replace("50\n", "50\nfirst_fixing = 09:00:00\n"), "KXDJIH.first_fixing is not a full hour"),
        (DJI.replace("YM", "ES") + KXDJIH, "instruments.indices.DJI.stand_ins ES is taken"),
        (DJI.replace("YM", "NDX") + KXDJIH, "instruments.indices.DJI.stand_ins NDX is taken"),
        (DJI + DJI.replace("DJI", "Dji").replace("YM", "MYM") + KXDJIH, "is there twice, in other letters"),
        (DJI.replace("DIA x 100", "DIA x 0") + KXDJIH, "instruments.indices.DJI.stand_ins.1"),
        (DJI.replace(".DJI", ".D1") + KXDJIH, "instruments.indices.D1"),
        (DJI + KXDJIH.replace("hourly", "daily"), "instruments.series.KXDJIH.cadence"),
        (DJI + KXDJIH.replace("step = 50", "steps = 50"), "instruments.series.KXDJIH.step"),
        ('[profiles.wide]\nseries = ["KXDJIH"]\n', "profiles.wide.series unknown series 'KXDJIH'"),
        ("".join(DJI.replace("DJI", f"D{x}").replace('"YM", "DIA x 100"', "") for x in "ABCDEFG"), "makes 9 indices"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_key(tmp_path, text, told):
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, text)
    assert told in str(caught.value)
    assert "config.toml" in str(caught.value)


def test_the_table_alone_is_read_from_file_and_environment_whatever_the_rest_says(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('mode = "live"\n[guards]\ndaily_loss_dollars = -1.0\n' + DJI + KXDJIH)
    found = load_instruments(path, {"KALSHI_DAEMON_KALSHI__NONSENSE": "1"})
    assert found.indices["DJI"].level == 46_000.0
    told = {"KALSHI_DAEMON_INSTRUMENTS__SERIES": '{"KXDJIH": {"step": 25}}'}
    assert load_instruments(path, told).series["KXDJIH"].step == 25
    path.write_text(DJI)
    with pytest.raises(ConfigurationError, match="has no series"):
        load_instruments(path, {})
    assert instruments_of(load_instruments(None, {})).rows.keys() == {"SPX", "NDX"}
