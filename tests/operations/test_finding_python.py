"""Which Python set-up takes, and what it says where there is none that is new enough."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def stub(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def ask(script: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script with nothing on PATH but our stubs and the plain tools it needs."""
    for tool in ("dirname", "rm", "sh"):
        if not (folder / tool).exists():
            (folder / tool).symlink_to(f"/bin/{tool}" if Path(f"/bin/{tool}").exists() else f"/usr/bin/{tool}")
    return subprocess.run(
        ["/bin/sh", str(ROOT / "scripts" / script)],
        env={"PATH": str(folder), "HOME": str(folder), "PYENV_ROOT": str(folder)} | env,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_an_interpreter_that_is_new_enough_is_taken(tmp_path):
    stub(tmp_path, "python3", f'exec {sys.executable} "$@"')
    done = ask("find-python", tmp_path)
    assert done.returncode == 0
    assert Path(done.stdout.strip()).samefile(sys.executable)


def test_a_machine_with_an_old_python_only_is_not_sent_after_a_package_it_does_not_have(tmp_path):
    stub(tmp_path, "python3", "exit 1")
    done = ask("find-python", tmp_path)
    assert done.returncode == 1
    assert "Debian 12 has no such package" in done.stderr
    assert "scripts/managed-python" in done.stderr


def test_uv_that_cannot_download_gives_advice_that_is_true_there(tmp_path):
    stub(tmp_path, "python3", "exit 0")
    managed = tmp_path / "managed"
    (managed / "uv" / "bin").mkdir(parents=True)
    stub(managed / "uv" / "bin", "uv", 'echo "policy $UV_PYTHON_DOWNLOADS" >&2; exit 2')
    done = ask("managed-python", tmp_path, MANAGED_PYTHON=str(managed))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "policy manual" in done.stderr
    assert "uv could not fetch Python 3.13" in done.stderr
    assert "Debian 12 has 3.11 only" in done.stderr
    assert "apt-get" not in done.stderr, "there is nothing to install by apt there"


def test_uv_that_can_is_asked_for_the_path_without_a_second_download(tmp_path):
    stub(tmp_path, "python3", "exit 0")
    managed = tmp_path / "managed"
    (managed / "uv" / "bin").mkdir(parents=True)
    stub(
        managed / "uv" / "bin", "uv", 'echo "$UV_PYTHON_DOWNLOADS: $*" >&2; [ "$2" = find ] && echo /managed/python; :'
    )
    done = ask("managed-python", tmp_path, MANAGED_PYTHON=str(managed))
    assert (done.returncode, done.stdout.strip()) == (0, "/managed/python")
    assert "manual: python install" in done.stderr
    assert "never: python find --managed-python 3.13" in done.stderr
    assert "letting uv fetch" in done.stderr


def test_without_any_python_it_says_so(tmp_path):
    done = ask("managed-python", tmp_path, MANAGED_PYTHON=str(tmp_path / "managed"))
    assert done.returncode == 1
    assert "no Python 3.9 or newer" in done.stderr
