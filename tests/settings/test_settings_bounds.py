"""Every number has a range and one grammar, whatever key it is and wherever it comes from."""

import json
from collections.abc import Iterator
from datetime import date, time
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.settings.environment import ENV_PREFIX
from kalshi_daemon.settings.loader import Credentials, load_settings
from kalshi_daemon.settings.model import PROFILE_NAMES, Settings
from kalshi_daemon.windows.table import build_windows
from tests.guardrails.guard_rig import chain_of
from tests.settings.numeric_keys import BESIDE, NUMERIC
from tests.support.instruments import SERIES

DAY: Final = date(2026, 11, 23)
every_key = pytest.mark.parametrize("numeric", NUMERIC, ids=lambda numeric: numeric.key)
drawn = settings(
    deadline=None,
    max_examples=8,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def refusal(tmp_path: Path, text: str, **env: str) -> ConfigurationError:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, env, None, {}, needs=Credentials.NONE)
    assert caught.value.exit_code is ExitCode.CONFIG
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_walk_sees_every_section():
    keys = {numeric.key for numeric in NUMERIC}
    assert {"guards.daily_loss_dollars", "profiles.wide.min_ev", "macro.feeds.x.age_hours_max", "sim.seed"} <= keys
    shown = {key for key, value in leaves(Settings().model_dump()) if type(value) in {int, float}}
    assert shown <= keys


def leaves(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


@every_key
def test_every_number_has_a_least_and_a_greatest_value(numeric):
    assert numeric.low is not None, "no lower bound"
    assert numeric.high is not None, "no upper bound"
    assert -1e7 <= numeric.low < numeric.high <= 2**32, "no unit of ours needs more"


@every_key
@drawn
@given(data=st.data())
def test_out_of_range_is_refused_with_key_and_place(tmp_path, numeric, data):
    value = data.draw(numeric.outside())
    text = repr(value)
    told = str(refusal(tmp_path, numeric.document(text)))
    assert f"{numeric.key}: wanted " in told
    assert "config.toml" in told
    plain = f"{value:.9f}" if isinstance(value, float) else text
    assume(float(plain) == value)
    told = str(refusal(tmp_path, "", **numeric.environ(plain)))
    assert told.startswith(f"environment {numeric.variable}: {numeric.key}: wanted ")


OTHER_FORMS: Final = (
    "1_0", " 5", "5 ", "5\n", "\u00a05", "+5", "\u0665", "nan", "inf", "1e1", "1e99", "0x10", "true", "", "1" * 400,
)  # fmt: skip
OTHER_KINDS: Final = ('"5"', "true", "nan", "-inf", "1e400", "[5]", "09:35:00", "2026-11-23")


@every_key
def test_no_other_form_is_a_number_in_the_environment(tmp_path, numeric):
    for text in OTHER_FORMS:
        told = str(refusal(tmp_path, "", **numeric.environ(text)))
        assert told.startswith(f"environment {numeric.variable}: {numeric.key}"), text


@every_key
def test_no_other_kind_is_a_number_in_the_file(tmp_path, numeric):
    for text in OTHER_KINDS:
        assert f"{numeric.key}: wanted " in str(refusal(tmp_path, numeric.document(text))), text


@every_key
def test_a_json_section_in_the_environment_is_held_to_the_same(tmp_path, numeric):
    table, _, name = numeric.key.rpartition(".")
    variable = ENV_PREFIX + table.upper().replace(".", "__")
    beside = {key: value for key, value in BESIDE.get(table, {}).items() if key != name}
    for wrong in ("5", True, [5]):
        told = str(refusal(tmp_path, "", **{variable: json.dumps(beside | {name: wrong})}))
        assert told.startswith(f"environment {variable}: {numeric.key}: wanted ")
    twice = json.dumps(beside | {name: 5})[:-1] + f', "{name}": 6}}'
    assert "not JSON" in str(refusal(tmp_path, "", **{variable: twice}))


@every_key
def test_a_fraction_is_no_whole_number(tmp_path, numeric):
    if numeric.whole:
        assert f"{numeric.key}: wanted a valid integer" in str(refusal(tmp_path, numeric.document("5.0")))


@pytest.mark.parametrize("key", ["mode", "kalshi.key_id", "sim.start", "state_dir", "log.file"])
def test_white_space_around_a_value_is_refused_for_every_kind(tmp_path, key):
    variable = ENV_PREFIX + key.upper().replace(".", "__")
    told = str(refusal(tmp_path, "", **{variable: " live"}))
    assert told.startswith(f"environment {variable}: {key} has white space around its value")


@pytest.mark.parametrize("key", ["windows.first_quotes", "sim.start", "sim.session_date"])
@pytest.mark.parametrize("text", ["34500", "true", "34500.0", '"34500"', '"09.35"', "[9, 35]"])
def test_a_number_is_no_time(tmp_path, key, text):
    assert f"{key}: wanted " in str(refusal(tmp_path, f"{key} = {text}\n"))


@pytest.mark.parametrize("text", ["1", "0", "1.0", '"maybe"', "[]"])
def test_a_number_is_no_switch_in_the_file(tmp_path, text):
    assert "log.file: wanted " in str(refusal(tmp_path, f"log.file = {text}\n"))


@pytest.mark.parametrize(
    "text", ["guards.book_lag_ms_max = " + "9" * 5_000, "index_feed.channels = " + "[" * 3_000 + "]" * 3_000]
)
def test_a_file_the_parser_gives_up_on_is_refused_in_one_line(tmp_path, text):
    assert "config.toml: holds a number or nesting beyond any setting" in str(refusal(tmp_path, text))


def test_a_file_that_is_no_configuration_is_not_read_whole(tmp_path):
    assert "larger than 1000000 bytes" in str(refusal(tmp_path, "#" * 1_000_001))


@settings(drawn, max_examples=300)
@given(
    chosen=st.lists(
        st.sampled_from(NUMERIC), min_size=1, max_size=4, unique_by=(lambda one: one.key, lambda one: one.entry)
    ),
    data=st.data(),
)
def test_what_is_in_range_is_accepted_whole_or_refused_as_a_contradiction(tmp_path, chosen, data):
    """And what is accepted can be traded on: its guards can be built, and each profile has a window that opens."""
    text = "".join(numeric.document(repr(data.draw(numeric.inside(), numeric.key))) for numeric in chosen)
    if "instruments.indices.x." in text:  # a row that nothing settles on is refused
        text += 'instruments.series.xx.index = "x"\ninstruments.series.xx.cadence = "close"\n'
        text += "instruments.series.xx.step = 5\n"
    path = tmp_path / "config.toml"
    path.write_text(text)
    try:
        accepted = load_settings(path, {}, None, {}, needs=Credentials.NONE).settings
    except ConfigurationError as refused:
        told = str(refused)
    else:
        tradable(accepted)
        return
    keys = {numeric.key for numeric in NUMERIC} | OTHER_SIDES
    assert sum(key in told for key in keys) > 1, told


OTHER_SIDES: Final = frozenset({"windows.first_quotes", *(f"profiles.{name}.series" for name in PROFILE_NAMES)})


def tradable(accepted: Settings) -> None:
    chain_of(accepted)
    session = Session("2026-11-23", eastern_ns(DAY, time(9, 30)), eastern_ns(DAY, time(16)), half_day=False)
    opened = {window.series.ticker for window in build_windows(session, accepted.windows, SERIES.values())}
    for _, profile in accepted.profiles:
        assert set(profile.series) <= opened
