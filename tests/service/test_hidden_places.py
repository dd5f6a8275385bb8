"""What `make service-test` and `scripts/setup` say about a place that the unit hides, before systemd says 203/EXEC."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.service.container import ServiceTestError, refuse_hidden

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check-visible"


def test_a_checkout_below_tmp_is_named_before_anything_boots(tmp_path):
    with pytest.raises(ServiceTestError, match=rf"the checkout \({tmp_path}\) is in a folder that the unit hides"):
        refuse_hidden({"checkout": tmp_path})


def test_a_folder_closed_to_others_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.service.container._HIDDEN_BY_PRIVATE_TMP", ())
    tmp_path.chmod(0o700)
    with pytest.raises(ServiceTestError, match=r"the environment .* is closed to the unit's user: chmod o"):
        refuse_hidden({"environment": tmp_path})
    tmp_path.chmod(0o755)
    refuse_hidden({"environment": tmp_path})


def test_the_set_up_names_each_place_that_the_shipped_unit_cannot_see(tmp_path):
    scripts = tmp_path / "app" / "scripts"
    scripts.mkdir(parents=True)
    shutil.copy(CHECK, scripts)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to("/bin/sh")
    done = subprocess.run(
        ["/bin/sh", scripts / CHECK.name, tmp_path / ".venv"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"the environment ({tmp_path}/.venv) is below a folder that the unit hides" in done.stderr
    assert f"the checkout ({tmp_path}/app) is below a folder that the unit hides" in done.stderr
    assert "the interpreter" not in done.stderr, "/bin/sh is where everybody sees it"
