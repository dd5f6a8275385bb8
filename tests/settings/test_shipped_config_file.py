import re
from pathlib import Path

from kalshi_daemon.settings.loader import Credentials, load_settings
from kalshi_daemon.settings.model import Settings

SHIPPED = Path(__file__).resolve().parents[2] / "config.toml"


def test_the_shipped_file_says_exactly_the_defaults():
    loaded = load_settings(SHIPPED, {}, None, {}, needs=Credentials.NONE)
    assert loaded.settings == Settings()


def test_the_shipped_file_names_every_setting_each_on_a_line_of_its_own():
    loaded = load_settings(SHIPPED, {}, None, {}, needs=Credentials.NONE)
    text = SHIPPED.read_text()
    for key, _, _ in loaded.rows():
        origin = loaded.origins.get(key, "")
        if re.fullmatch(rf"{re.escape(str(SHIPPED))}:\d+", origin):
            continue
        section, _, name = key.rpartition(".")
        table = text.partition(f"\n[{section}]")[2].partition("\n[")[0]
        assert f"\n# {name} = " in table, f"{key} is neither set nor commented out"


def test_each_section_and_unusual_key_carries_words_for_its_reader():
    uncommented = [line for line in SHIPPED.read_text().splitlines() if "=" in line and "#" not in line]
    assert len(uncommented) < 40, "most keys say what they mean"


def test_the_commented_examples_are_valid_too(tmp_path):
    text = re.sub(r"^# (\w+ = )", r"\1", SHIPPED.read_text(), flags=re.MULTILINE)
    path = tmp_path / "config.toml"
    path.write_text(text)
    loaded = load_settings(path, {}, None, {}, needs=Credentials.NONE)
    assert loaded.settings.macro.feeds["cpi"].age_hours_max == 840
    assert loaded.settings.kalshi.private_key_path is not None
