"""An old name of a setting is refused with the new one, from file, environment and command line."""

import pytest

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.settings.environment import ENV_PREFIX, place_of
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.settings.renamed import RENAMED, new_name


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_the_new_name_is_a_setting_and_the_old_one_is_not(old, new):
    assert place_of(new) is not None
    assert place_of(old) is None
    assert new_name(new) == ""


@pytest.mark.parametrize(("old", "new"), list(RENAMED.items())[:3])
def test_an_old_name_is_refused_wherever_it_stands(tmp_path, old, new):
    section, _, key = old.partition(".")
    path = tmp_path / "config.toml"
    path.write_text(f"[{section}]\n{key} = 1\n")
    with pytest.raises(ConfigurationError, match=f"{old} is called {new} since 0.1.0"):
        load_settings(path, {}, None, {})
    path.write_text("")
    name = ENV_PREFIX + old.upper().replace(".", "__")
    with pytest.raises(ConfigurationError, match=f"{name} is called {ENV_PREFIX}{new.upper().replace('.', '__')} "):
        load_settings(path, {name: "1"}, None, {})


def test_the_age_of_a_feed_is_renamed_whatever_the_feed_is_called(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[macro.feeds]\ncpi = { path = "cpi.csv", age_most_hours = 3 }\n')
    with pytest.raises(ConfigurationError, match=r"called macro\.feeds\.cpi\.age_hours_max since"):
        load_settings(path, {}, None, {})
