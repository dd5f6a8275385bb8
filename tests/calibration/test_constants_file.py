import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalshi_daemon.calibration.constants import FEATURES
from kalshi_daemon.calibration.constants_file import (
    SHIPPED,
    SHIPPED_PATH,
    document_of,
    read_constants,
    read_judged_constants,
)
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode


def shipped() -> dict:
    found = json.loads(SHIPPED_PATH.read_text())
    assert isinstance(found, dict)
    return found


def written(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "constants.json"
    path.write_text(json.dumps(document))
    return path


def test_what_is_written_is_read_back(tmp_path):
    back = read_constants(written(tmp_path, document_of(SHIPPED)))
    assert document_of(back) == document_of(SHIPPED)
    assert back.variance.level == SHIPPED.variance.level
    assert back.diurnal.mean() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "docs" / "evidence").glob("*.json")))
def test_the_constants_of_the_evidence_are_sound(path):
    assert read_constants(path).fitted_until <= "2019-12-31"


def test_constants_that_were_never_judged_are_not_traded_on(tmp_path):
    assert read_judged_constants(SHIPPED_PATH).name == SHIPPED.name
    document = shipped()
    document["provenance"]["held_back"] = None
    path = written(tmp_path, document)
    assert read_constants(path).name == SHIPPED.name
    with pytest.raises(ConfigurationError, match="held back"):
        read_judged_constants(path)


@pytest.mark.parametrize("held_back", [True, "yes", 1, [1], {}, {"n": 0}, {"n": True}, {"n": "12"}])
def test_a_judgement_is_a_table_with_a_number_of_forecasts(tmp_path, held_back):
    document = shipped()
    document["provenance"]["held_back"] = held_back
    with pytest.raises(ConfigurationError, match="held back"):
        read_judged_constants(written(tmp_path, document))


def test_the_shipped_ones_know_half_days_and_every_kind_that_moves_the_market():
    assert {"FOMC_STATEMENT", "FOMC_MINUTES", "CPI", "NFP"} <= set(SHIPPED.events)
    assert (SHIPPED.half_day[0][0], SHIPPED.half_day[-1][1]) == (0.0, 210.0)
    assert 0.5 < SHIPPED.half_day[3][2] < 0.8, "two thirds of a usual morning"
    assert SHIPPED.provenance["span"]


def test_features_are_found_by_name_not_by_place(tmp_path):
    document = shipped()
    features = document["variance"]["features"]
    document["variance"]["features"] = dict(reversed(features.items()))
    assert read_constants(written(tmp_path, document)).variance.level == tuple(features[n][0] for n in FEATURES)


def test_the_figures_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="read-only"):
        SHIPPED.diurnal[0] = 2.0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d.update(format=2), "format"),
        (lambda d: d.update(more=1), "more"),
        (lambda d: d.pop("residual"), "residual"),
        (lambda d: d["variance"]["features"].pop("L3-L30"), "features"),
        (lambda d: d["variance"].update(intercept=[0.0, float("nan"), 0.0]), "intercept"),
        (lambda d: d["residual"].update(log_freedom=[0.5, 0.0, 0.0]), "log_freedom"),
        (lambda d: d["residual"].update(log_freedom=[2.0, 0.0, -0.5]), "log_freedom"),
        (lambda d: d["diurnal"].pop(), "diurnal"),
        (lambda d: d.update(diurnal=[1.1] * 390), "diurnal"),
        (lambda d: d.update(diurnal=[0.0, 2.0] * 195), "diurnal"),
        (lambda d: d["events"].update(CPI={"steps": [[60.0, 30.0, 2.0]]}), "ascend"),
        (lambda d: d["events"].update(CPI={"steps": [[0.0, 30.0, -2.0]]}), "events.CPI"),
        (lambda d: d.update(fitted_until="yesterday"), "fitted_until"),
        (lambda d: d.update(fitted_until="2026-02-30"), "fitted_until"),
        (lambda d: d.update(fitted_until="2026-0\u0662-01"), "fitted_until"),
        (lambda d: d.update(format="1"), "format"),
        (lambda d: d.update(format=True), "format"),
        (lambda d: d.update(name=7), "name"),
        (lambda d: d["variance"].update(intercept=["0.5", 0.0, 0.0]), r"variance\.intercept\.0"),
        (lambda d: d["residual"].update(location=[True, 0.0, 0.0]), r"residual\.location\.0"),
        (lambda d: d["diurnal"].__setitem__(7, "1.0"), r"diurnal\.7"),
        (lambda d: d["diurnal"].__setitem__(7, None), r"diurnal\.7"),
        (lambda d: d["events"].update({"": {"steps": [[0.0, 1.0, 2.0]]}}), "events"),
        (lambda d: d["provenance"].update(deep=json.loads("[" * 40 + "]" * 40)), "levels deep"),
        (lambda d: d["provenance"].update(odd=float("nan")), "is not JSON"),
        (lambda d: d["provenance"].update(odd=float("inf")), "is not JSON"),
    ],
)
def test_a_file_that_is_not_sound_is_refused_by_place(tmp_path, change, named):
    document = shipped()
    change(document)
    path = written(tmp_path, document)
    with pytest.raises(ConfigurationError, match=named) as refused:
        read_constants(path)
    assert refused.value.exit_code is ExitCode.CONFIG
    told = str(refused.value)
    assert str(path) in told
    assert "\n" not in told
    assert "written by `kalshi-daemon calibrate`" in told


def test_a_key_said_twice_is_refused_wherever_it_stands(tmp_path):
    text = SHIPPED_PATH.read_text()
    for once, again in (('"format": ', "1"), ('"L3-L30": ', "[0.1, 0.1]"), ('"command": ', '"x"')):
        assert text.count(once) == 1
        path = tmp_path / "constants.json"
        path.write_text(text.replace(once, f"{once}{again}, {once}"))
        with pytest.raises(ConfigurationError, match="each key once"):
            read_constants(path)


@st.composite
def one_value_replaced(draw: st.DrawFn) -> tuple[str, object]:
    """(section, document): one number of the shipped file is replaced by something that is none."""
    document = shipped()
    section = draw(st.sampled_from(["variance", "residual", "half_day", "events", "diurnal"]))
    held: Any = document
    key: Any = section
    while isinstance(held[key], (dict, list)):
        held = held[key]
        key = draw(st.sampled_from(list(held) if isinstance(held, dict) else range(len(held))))
    held[key] = draw(st.sampled_from(["0.5", "", True, False, None, [], {}, [1.0], 1e9, -1e9, "nan"]))
    return section, document


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one_value_replaced())
def test_a_value_of_another_kind_or_size_is_refused_where_it_stands(tmp_path, changed):
    section, document = changed
    with pytest.raises(ConfigurationError) as refused:
        read_constants(written(tmp_path, document))
    assert f": {section}." in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "\xff"])
def test_a_file_that_is_not_a_document_is_refused(tmp_path, text):
    path = tmp_path / "constants.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"constants\.json"):
        read_constants(path)


def test_a_missing_or_endless_file_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_constants(tmp_path / "none.json")
    with pytest.raises(ConfigurationError, match="is a device, not a regular file"):
        read_constants(Path("/dev/zero"))
    (tmp_path / "large.json").write_bytes(bytes(1_000_001))
    with pytest.raises(ConfigurationError, match="larger"):
        read_constants(tmp_path / "large.json")
