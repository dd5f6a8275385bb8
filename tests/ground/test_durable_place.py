"""Where a file that an operator names may be written."""

import os

import pytest

from kalshi_daemon.ground.durable import place_for
from kalshi_daemon.ground.errors import ConfigurationError


def test_a_link_is_followed_and_a_new_file_may_be_made(tmp_path):
    target = tmp_path / "there.csv"
    (tmp_path / "link.csv").symlink_to(target)
    assert place_for(tmp_path / "link.csv", "CSV", tmp_path / "state") == target
    assert place_for(tmp_path / "new.csv", "CSV", tmp_path / "state") == tmp_path / "new.csv"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("state/live/journal.sqlite3", "lies in the state directory"),
        ("elsewhere/../state/new.csv", "lies in the state directory"),
        ("pipe", "no regular file"),
        ("elsewhere", "no regular file"),
    ],
)
def test_what_is_the_daemons_or_no_file_is_refused(tmp_path, name, words):
    (tmp_path / "state").mkdir()
    (tmp_path / "elsewhere").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match=words):
        place_for(tmp_path / name, "CSV", tmp_path / "state")
