import json
from datetime import date, time
from pathlib import Path

import pytest

from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.settings.environment import ENV_PREFIX
from kalshi_daemon.settings.loader import Credentials, LoadedSettings, _origin_of, load_settings
from kalshi_daemon.settings.model import Mode, Settings

PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIH\n-----END PRIVATE KEY-----\n"


def load(text: str | None = None, tmp_path: Path | None = None, /, *, credentials=None, overrides=None, **env: str):
    path = None
    if text is not None:
        assert tmp_path is not None
        path = tmp_path / "config.toml"
        path.write_text(text)
    return load_settings(path, env, credentials, overrides or {}, needs=Credentials.NONE)


def refused(*args, **kwargs) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(*args, **kwargs)
    assert caught.value.exit_code is ExitCode.CONFIG
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_nothing_given_is_the_defaults():
    loaded = load()
    assert loaded.settings == Settings()
    assert {origin for _, _, origin in loaded.rows()} == {"default"}


def test_later_layers_win_and_say_so(tmp_path):
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "polygon_api_key").write_text("from-credentials\n")
    (folder / "unrelated").write_text("ignored")
    loaded = load(
        '[sim]\nseed = 3\nspeed = 50.0\nstart = 09:20:00\n\n[index_feed]\napi_key = "from-file"\n',
        tmp_path,
        credentials=folder,
        overrides={"sim.speed": 400.0, "sim.seed": None, "mode": None},
        KALSHI_DAEMON_SIM__SEED="4",
        KALSHI_DAEMON_SIM__SPEED="60",
        KALSHI_DAEMON_INDEX_FEED__API_KEY="from-environment",
        PATH="/usr/bin",
    )
    settings = loaded.settings
    assert (settings.sim.seed, settings.sim.speed, settings.sim.start) == (4, 400.0, time(9, 20))
    assert settings.index_feed.api_key.get_secret_value() == "from-credentials"
    origins = loaded.origins
    assert origins["sim.seed"] == "environment KALSHI_DAEMON_SIM__SEED"
    assert origins["sim.speed"] == "command line"
    assert origins["sim.start"] == f"{tmp_path / 'config.toml'}:4"
    assert origins["index_feed.api_key"] == "credentials directory (polygon_api_key)"
    assert "sim.until" not in origins


def test_a_sibling_key_survives_a_partial_override(tmp_path):
    loaded = load("[profiles.wide]\nlots = 2\n", tmp_path, KALSHI_DAEMON_PROFILES__WIDE__BINS="3")
    wide = loaded.settings.profiles.wide
    assert (wide.lots, wide.bins, wide.impact_cap, wide.series) == (2, 3, 0.05, ("KXINXU", "KXNASDAQ100U"))


def test_complex_values_are_json_in_the_environment():
    loaded = load(
        KALSHI_DAEMON_INDEX_FEED__CHANNELS='["V"]',
        KALSHI_DAEMON_MACRO__FEEDS='{"cpi": {"path": "/a", "age_hours_max": 2}}',
        KALSHI_DAEMON_MACRO__FEEDS__GAS__PATH="/b",
        KALSHI_DAEMON_MACRO__FEEDS__GAS__AGE_HOURS_MAX="48",
        KALSHI_DAEMON_SIM__SESSION_DATE="null",
        KALSHI_DAEMON_SIM__INDEX_REPLAY='["x.parquet"]',
    )
    settings = loaded.settings
    assert settings.index_feed.channels == ("V",)
    assert {name: feed.age_hours_max for name, feed in settings.macro.feeds.items()} == {"cpi": 2, "gas": 48}
    assert settings.sim.session_date is None
    assert settings.sim.index_replay == (Path("x.parquet"),)


def test_a_whole_section_may_come_as_json():
    loaded = load(KALSHI_DAEMON_KALSHI='{"subaccount": 4}')
    assert loaded.settings.kalshi.subaccount == 4
    assert loaded.origins["kalshi.subaccount"] == "environment KALSHI_DAEMON_KALSHI"


def test_variables_of_ours_that_are_no_settings_are_left_alone():
    assert load(KALSHI_DAEMON_CONFIG="x.toml", KALSHI_DAEMON_DATA="/data").settings == Settings()


# ---- the file ----


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("mode = \n", ":1:8", "not valid TOML"),
        ("[kalshi\nkey_id = 'x'\n", ":1:8", "not valid TOML"),
        ("mode = 'sim'\nmode = 'sim'\n", ":2:13", "not valid TOML"),
        ("[kalshi]\nkey_id = 'super-secret\n", ":2", "not valid TOML"),
        ("key = '''", ":1", "not valid TOML"),
        ("[kalshi]\n\nkey_idd = 'super-secret'\n", ":3", "unknown key kalshi.key_idd (did you mean kalshi.key_id?)"),
        ("[kalsi]\nkey_id = 'super-secret'\n", ":2", "unknown key kalsi.key_id (did you mean kalshi.key_id?)"),
        ("[nothing]\n", ":1", "unknown key nothing"),
        ("modus = 'sim'\n", ":1", "unknown key modus"),
        ("[kalshi.key_id]\nx = 1\n", ":2", "unknown key kalshi.key_id.x"),
        ("[sim]\nseed = 'super-secret'\n", ":2", "sim.seed: wanted a valid integer"),
        ("[guards]\ndaily_loss_dollars = -1\n", ":2", "guards.daily_loss_dollars: wanted greater than 0"),
        ("mode = 'super-secret'\n", ":1", "mode: wanted 'sim', 'demo' or 'live'"),
        ("kalshi = 'super-secret'\n", ":1", "kalshi: wanted a valid dictionary"),
        ("[index_feed]\nchannels = ['V', 'super-secret']\n", ":2", "index_feed.channels.1: wanted 'V', 'A' or 'AM'"),
        ("[index_feed]\napi_key = 12345678\n", ":2", "index_feed.api_key: wanted a valid string"),
        ("[windows]\nfirst_quotes = 'half nine'\n", ":2", "windows.first_quotes: wanted in a valid time format"),
        ("[macro.feeds]\ncpi = { path = '/x' }\n", ":2", "macro.feeds.cpi.age_hours_max is required"),
        ("[macro.feeds]\ncpi = { pth = '/x', age_hours_max = 1 }\n", ":2", "macro.feeds.cpi.path is required; 1 more"),
        ("[sim]\nseed = 'x'\nspeed = 'y'\n", ":2", "; 1 more"),
        ("[kalshi]\nkey_id = '-----BEGIN RSA'\n", ":2", "holds key material"),
        ("[profiles.wide]\nseries = ['KXBTC']\n", ":2", "profiles.wide.series unknown series 'KXBTC'"),
    ],
)
def test_a_bad_file_is_one_line_naming_the_place_and_never_the_value(tmp_path, text, place, problem):
    line = refused(text, tmp_path)
    assert line.startswith(f"{tmp_path / 'config.toml'}{place}: ")
    assert problem in line
    assert "super-secret" not in line
    assert "12345678" not in line


def test_a_named_but_missing_file_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="no such file"):
        load_settings(tmp_path / "none.toml", {}, None, {})


def test_a_file_that_is_no_text_or_no_file_is_an_error(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"mode = '\xff'")
    with pytest.raises(ConfigurationError, match=r"not UTF-8 text \(byte 8\)"):
        load_settings(tmp_path / "binary.toml", {}, None, {})
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, {}, None, {})


def test_a_byte_order_mark_before_the_file_is_no_part_of_it(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbfsim.seed = 3\n")
    assert load_settings(tmp_path / "config.toml", {}, None, {}).settings.sim.seed == 3
    (tmp_path / "config.toml").write_text("sim.seed = 3\n", encoding="utf-16")
    with pytest.raises(ConfigurationError, match=r"config\.toml: not UTF-8 text \(byte 0\) \(save it as UTF-8\)"):
        load_settings(tmp_path / "config.toml", {}, None, {})


@pytest.mark.parametrize("raised", [ValueError("of an integer"), RecursionError()])
def test_whatever_the_parser_raises_is_the_files_fault(tmp_path, monkeypatch, raised):
    def loads(_text):
        raise raised

    monkeypatch.setattr("tomllib.loads", loads)
    assert "holds a number or nesting beyond any setting" in refused("", tmp_path)


def test_a_key_written_in_an_unusual_way_is_found_without_its_line(tmp_path):
    line = refused('"sim" = { "sede" = 1 }\n', tmp_path)
    assert line.startswith(f"{tmp_path / 'config.toml'}: unknown key sim.sede")


# ---- the environment ----


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("KALSHI_DAEMON_TYPO", "super-secret", "unknown key KALSHI_DAEMON_TYPO"),
        ("KALSHI_DAEMON_SIM__SEDE", "1", "did you mean KALSHI_DAEMON_SIM__SEED?"),
        ("KALSHI_DAEMON_SIM_SEED", "1", "did you mean KALSHI_DAEMON_SIM__SEED?"),
        ("KALSHI_DAEMON_KALSHI__KEY_ID__X", "super-secret", "unknown key"),
        ("KALSHI_DAEMON_", "super-secret", "unknown key"),
        ("KALSHI_DAEMON_SIM__SEED", "super-secret", "sim.seed: wanted a valid integer"),
        ("KALSHI_DAEMON_ORDERS__STOP_DEADLINE_S", "26", "orders.stop_deadline_s: wanted less than or equal to 25"),
        ("KALSHI_DAEMON_INDEX_FEED__CHANNELS", "super-secret", 'not JSON (wanted a list such as ["a", "b"])'),
        ("KALSHI_DAEMON_MACRO__FEEDS", "super-secret", 'not JSON (wanted a table such as {"key": 1})'),
        ("KALSHI_DAEMON_KALSHI", '{"typo": "super-secret"}', "unknown key kalshi.typo"),
        ("KALSHI_DAEMON_KALSHI__PRIVATE_KEY", "super-secret", "never travels in the environment"),
        ("KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PEM", "super-secret", "never travels in the environment"),
        ("KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH", PEM, "holds key material"),
    ],
)
def test_a_bad_variable_is_one_line_naming_it_and_never_the_value(name, value, problem):
    line = refused(**{name: value})
    assert line.startswith(f"environment {name}: ")
    assert problem in line
    assert "super-secret" not in line
    assert "MC4C" not in line


# ---- credentials ----


def credentials(tmp_path, **files: str | bytes) -> Path:
    folder: Path = tmp_path / "credentials"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def test_the_private_key_is_named_by_path_and_not_read(tmp_path):
    folder = credentials(tmp_path, kalshi_private_key=PEM, kalshi_key_id=" 4f6b7a12-aaaa-bbbb-cccc-0123456789ab\n")
    loaded = load(credentials=folder)
    assert loaded.settings.kalshi.private_key_path == folder / "kalshi_private_key"
    assert loaded.settings.kalshi.key_id == "4f6b7a12-aaaa-bbbb-cccc-0123456789ab"
    assert "PRIVATE KEY" not in repr(loaded)


@pytest.mark.parametrize("content", ["", "two words", b"\xff\xfe"])
def test_a_credential_that_is_not_one_word_is_refused_unseen(tmp_path, content):
    folder = credentials(tmp_path, polygon_api_key=content)
    line = refused(credentials=folder)
    assert line.startswith(f"credentials directory: {folder / 'polygon_api_key'}: ")
    assert "two words" not in line


def test_alerts_and_the_page_have_their_secrets_from_credentials_too(tmp_path):
    targets = "tgram://a/b\nntfys://c"
    folder = credentials(tmp_path, alert_targets=targets, alert_ping_url="https://ping.example/x", page_token="t" * 16)
    loaded = load(credentials=folder)
    assert loaded.settings.alerts.targets.get_secret_value() == targets
    assert loaded.settings.alerts.ping_url.get_secret_value() == "https://ping.example/x"
    assert loaded.settings.page.token.get_secret_value() == "t" * 16
    shown = {key: value for key, value, _ in loaded.rows()}
    assert {shown[key] for key in ("alerts.targets", "alerts.ping_url", "page.token")} == {"(set)"}


def test_a_credential_that_cannot_be_read_is_refused(tmp_path):
    folder = credentials(tmp_path)
    (folder / "kalshi_key_id").mkdir()
    assert "cannot be read: Is a directory" in refused(credentials=folder)


def test_a_credentials_directory_that_is_none_is_refused(tmp_path):
    assert "is not a directory" in refused(credentials=tmp_path / "nowhere")


def test_a_problem_is_placed_at_the_nearest_value_that_was_given():
    origins = {"macro.feeds.cpi.path": "a", "sim.seed": "b"}
    assert _origin_of("sim.seed", origins) == "b"
    assert _origin_of("macro.feeds.cpi.age_hours_max", origins) == "a"
    assert _origin_of("kalshi.key_id", origins) == "settings"


def test_an_unknown_override_is_refused():
    assert refused(overrides={"sim.sede": 1}).startswith("command line: unknown key sim.sede")


# ---- what is shown ----


def test_secrets_are_never_shown():
    loaded = load(
        KALSHI_DAEMON_INDEX_FEED__API_KEY="topsecretkey",
        KALSHI_DAEMON_KALSHI__KEY_ID="4f6b7a12-aaaa-bbbb-cccc-0123456789ab",
        KALSHI_DAEMON_SIM__INDEX_REPLAY='["a", "b"]',
        KALSHI_DAEMON_MACRO__FEEDS='{"gas": {"path": "/a", "age_hours_max": 2}}',
    )
    shown = {key: value for key, value, _ in loaded.rows()}
    assert shown["index_feed.api_key"] == "(set)"
    assert shown["kalshi.key_id"] == "...89ab"
    assert shown["sim.index_replay"] == "a, b"
    assert shown["macro.feeds"] == "gas"
    assert shown["macro.calendar"] == ""
    for text in (json.dumps(list(loaded.rows())), repr(loaded), str(loaded.settings)):
        assert "topsecretkey" not in text
    short = {key: value for key, value, _ in load(KALSHI_DAEMON_KALSHI__KEY_ID="abcd").rows()}
    assert short["kalshi.key_id"] == "(set)", "four characters of four would be all of it"
    nothing = {key: value for key, value, _ in load().rows()}
    assert nothing["kalshi.key_id"] == nothing["index_feed.api_key"] == ""


def test_rows_name_every_setting_once():
    keys = [key for key, _, _ in load().rows()]
    assert len(keys) == len(set(keys))
    assert "profiles.close.scan_every_s" in keys


def test_settings_are_frozen():
    loaded: LoadedSettings = load()
    with pytest.raises(ValueError, match="frozen"):
        setattr(loaded.settings.sim, "seed", 3)  # noqa: B010 - the type checker knows it is frozen
    assert loaded.settings.mode is Mode.SIM
    assert loaded.settings.sim.session_date == date(2026, 11, 23)


def test_defect_21_every_threshold_has_one_place():
    """The predecessor had 500, 700, 800, 1500 ms, 2 s and 10 s for one question, in as many files."""
    keys = [key for key, _, _ in load().rows()]
    ages = [key for key in keys if "age" in key and key.startswith("guards.feed")]
    assert ages == ["guards.feed_age_soft_ms", "guards.feed_age_pull_ms", "guards.feed_age_final_minute_ms"]
    assert not [key for key in keys if "age_soft" in key and not key.startswith("guards.")]
    variables = [ENV_PREFIX + key.upper().replace(".", "__") for key in keys]
    assert len(set(variables)) == len(keys), "each has one variable"


def test_defect_15_no_macro_feed_is_required_by_default_and_no_setting_overrides_guards(tmp_path):
    # A missing file made the predecessor's macro feeds required, so its operator overrode every gate, for good.
    assert load().settings.macro.feeds == {}
    keys = [key for key, _, _ in load().rows()]
    assert not [key for key in keys if "force" in key or "override" in key or "skip" in key]
    assert "unknown key" in refused("[guards]\nforce_gate_pass = true\n", tmp_path)
