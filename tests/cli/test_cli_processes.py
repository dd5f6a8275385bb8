"""The real program as processes: what a user or a script sees."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def cli(*argv: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kalshi_daemon", *argv],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("config", "argv", "env", "where"),
    [
        ("mode = \n", ("config",), {}, "config.toml:1:8: not valid TOML"),
        ("[simm]\nseed = 1\n", ("config",), {}, "config.toml:2: unknown key simm.seed"),
        ("", ("--config", "nope.toml", "config"), {}, "nope.toml: no such file"),
        (
            "",
            ("config", "--mode", "demo"),
            {"KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH": "none.pem"},
            "environment KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH: kalshi.private_key_path none.pem: No such file",
        ),
    ],
)
def test_bad_input_is_one_line_exit_78_and_no_traceback(tmp_path, config, argv, env, where):
    (tmp_path / "config.toml").write_text(config)
    done = cli(*argv, cwd=tmp_path, **env)
    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr.startswith(f"kalshi-daemon: {where}")
    assert done.stderr.count("\n") == 1


def test_help_is_quick_and_imports_nothing_heavy(tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = cli("--help", cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert "exit codes:" in done.stdout
    # Processor time, because this machine may be busy with something else.
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 0.3
    heavy = "import sys; import kalshi_daemon.cli.main as m; m._parser(['--help']); print(*sorted(sys.modules))"
    listed = subprocess.run(
        [sys.executable, "-c", heavy], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    assert not {"pydantic", "numpy", "pandas", "exchange_calendars", "aiohttp", "rich", "structlog"} & set(listed)


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "kalshi_daemon", "windows", "--from", "2024-01-01", "--to", "2026-12-31"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("date")
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


def test_closed_standard_files_keep_no_command_from_its_work(tmp_path):
    """Nor does a file of ours get their numbers, where what is printed would land in it."""
    command = f"{sys.executable} -m kalshi_daemon"
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    for line in ("config >&-", "kill >&- 2>&-", "kill <&- >&- 2>&-", "config --json >&-"):
        assert subprocess.run(f"{command} {line}", shell=True, cwd=tmp_path, env=env, check=False).returncode == 0, line
    (switch,) = tmp_path.rglob("kill_switch")
    assert json.loads(switch.read_text())["reason"] == "by hand"
    refused = subprocess.run(f"{command} nope >&- 2>&-", shell=True, cwd=tmp_path, env=env, check=False)
    assert refused.returncode == 2


def test_version(tmp_path):
    done = cli("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "kalshi-daemon 0.1.0\n")
