"""The frame in-process: parsing, one-line errors, exit codes. Whole processes are in test_cli_processes."""

import argparse
import importlib
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from kalshi_daemon.cli import main as cli_main
from kalshi_daemon.cli.common import CONFIG_VARIABLE, Parser, UsageError, a_date, config_path, load, wants_json
from kalshi_daemon.cli.main import COMMANDS, EXIT_CODES, main
from kalshi_daemon.ground import errors
from kalshi_daemon.ground.errors import (
    ConfigurationError,
    DaemonError,
    ExitCode,
    FeedAuthFailed,
    InstanceAlreadyRunning,
    VenueUnreachable,
)
from kalshi_daemon.settings.loader import Credentials


@pytest.fixture
def command(monkeypatch):
    """Replace `unkill` by a function of the test."""

    def install(run) -> None:
        module = SimpleNamespace(
            add_parser=lambda subparsers: subparsers.add_parser("unkill", help="x"),
            run=run,
        )
        monkeypatch.setattr(importlib, "import_module", lambda name: module)

    return install


def failing_with(error: BaseException):
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


def test_commands_keep_their_names():
    names = [command.name for command in COMMANDS]
    assert " ".join(names) == (
        "run simulate-exchange backtest replay sweep config doctor status windows orders ledger digest resting "
        "cancel-all kill unkill alert reset-group why pack calibration-report backfill fetch-history learn score "
        "calibrate"
    )
    assert COMMANDS[13].module == "kalshi_daemon.cli.cancel_all"


def test_every_exit_code_is_documented():
    for code in ExitCode:
        assert f"{code.value:5d}  " in EXIT_CODES


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        ([], "a command is required"),
        (["fly"], "invalid choice: 'fly'"),
        (["config", "--sped", "3"], "unrecognized arguments: --sped 3"),
        (["config", "--mod", "sim"], "unrecognized arguments: --mod sim"),
        (["config", "--mode", "paper"], "argument --mode: invalid choice: 'paper'"),
        (["windows", "--from", "yesterday"], "'yesterday' is not a date such as 2026-11-27"),
        (["windows", "--from", "0001-01-01"], "0001-01-01 is not between 1990 and 2099"),
        (["windows", "--from", "2026-11-27", "--to", "2026-11-26"], "is not a span of at most"),
        (["windows", "--from", "2000-01-01", "--to", "2099-11-26"], "is not a span of at most"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(argv, problem, capsys):
    assert main(argv) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("kalshi-daemon: command line: ")
    assert problem in err


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (ConfigurationError("here", "is wrong", "do this"), "here: is wrong (do this)", 78),
        (InstanceAlreadyRunning("lock", "held"), "lock: held", 78),
        (VenueUnreachable("GET /series", "refused"), "GET /series: exchange not reachable: refused", 69),
        (FeedAuthFailed("bad key"), "index feed refused the session: bad key", 78),
        (DaemonError("plain"), "plain", 1),
        (ConfigurationError("here", "two\nlines"), "here: two lines", 78),
    ],
)
def test_an_error_of_ours_is_one_line_with_its_exit_code(error, line, code, command, capsys):
    command(failing_with(error))
    assert main(["unkill"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"kalshi-daemon: {line}")
    assert err.count("\n") == 1


def test_with_json_an_error_is_an_object(command, capsys):
    command(failing_with(ConfigurationError("here", "is wrong")))
    assert main(["unkill", "--json"]) == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err) == {"error": {"type": "ConfigurationError", "message": "here: is wrong", "exit_code": 78}}


def test_errors_out_of_a_task_group_are_reported_like_single_ones(command, capsys):
    nested = ExceptionGroup("tasks", [ExceptionGroup("inner", [ConfigurationError("a", "b")]), DaemonError("c")])
    command(failing_with(nested))
    assert main(["unkill"]) == 78
    assert capsys.readouterr().err == "kalshi-daemon: a: b\n"


def test_a_bug_keeps_its_traceback(command):
    command(failing_with(ExceptionGroup("tasks", [ConfigurationError("a", "b"), ValueError("bug")])))
    with pytest.raises(ExceptionGroup):
        main(["unkill"])
    command(failing_with(ValueError("bug")))
    with pytest.raises(ValueError, match="bug"):
        main(["unkill"])


def test_an_interrupt_is_130(command):
    command(failing_with(KeyboardInterrupt()))
    assert main(["unkill"]) == 130


def test_what_a_command_returns_is_the_exit_code(command):
    command(lambda args: ExitCode.UNVERIFIED)
    assert main(["unkill"]) == 3


def test_defect_17_a_failure_is_never_invisible(command):
    # The predecessor's loop ran its commands with failures ignored; every argparse failure of months went unseen.
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, DaemonError):
            assert error.exit_code != ExitCode.OK
    assert UsageError.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    "argv",
    [
        ["-c", "x.toml", "--mode", "demo", "--state-dir", "s", "--json", "unkill"],
        ["unkill", "-c", "x.toml", "--mode", "demo", "--state-dir", "s", "--json"],
        ["--config", "x.toml", "--json", "unkill", "--mode=demo", "--state-dir=s"],
        ["--config", "other.toml", "unkill", "--config", "x.toml", "--mode=demo", "--state-dir=s", "--json"],
    ],
)
def test_global_options_stand_before_or_after_the_command(argv, command):
    seen: list[argparse.Namespace] = []

    def run(args: argparse.Namespace) -> int:
        seen.append(args)
        return 0

    command(run)
    assert main(argv) == 0
    (args,) = seen
    assert (str(args.config), args.mode, str(args.state_dir), args.json) == ("x.toml", "demo", "s", True)


def test_options_not_given_are_absent(command):
    def run(args: argparse.Namespace) -> int:
        assert not hasattr(args, "config")
        assert not wants_json(args)
        return 0

    command(run)
    assert main(["unkill"]) == 0


# ---- which settings file ----


def test_the_settings_file_is_named_or_found(elsewhere):
    given, empty = argparse.Namespace(config=Path("a.toml")), argparse.Namespace()
    assert config_path(given, {CONFIG_VARIABLE: "b.toml"}) == Path("a.toml")
    assert str(config_path(empty, {CONFIG_VARIABLE: "b.toml"})) == "b.toml"
    with pytest.raises(ConfigurationError, match=f"environment {CONFIG_VARIABLE}: is empty"):
        config_path(empty, {CONFIG_VARIABLE: ""})
    (elsewhere / "config.toml").write_text("")
    assert str(config_path(empty, {})) == "config.toml"


def test_global_options_are_settings_from_the_command_line(elsewhere):
    args = argparse.Namespace(mode="demo", state_dir=elsewhere / "s")
    loaded = load(args, Credentials.NONE, {"sim.speed": 3.0}, {})
    assert loaded.settings.mode_dir == elsewhere / "s" / "demo"
    assert loaded.settings.sim.speed == 3.0
    assert loaded.origins["mode"] == loaded.origins["sim.speed"] == "command line"


def test_the_credentials_directory_comes_from_systemd(elsewhere):
    (elsewhere / "polygon_api_key").write_text("k")
    loaded = load(argparse.Namespace(), Credentials.NONE, None, {"CREDENTIALS_DIRECTORY": str(elsewhere)})
    assert loaded.settings.index_feed.api_key.get_secret_value() == "k"


def test_dates_and_parsers():
    assert a_date("2026-11-27").isoformat() == "2026-11-27"
    with pytest.raises(UsageError, match=r"command line: boom \(see prog --help\)"):
        Parser(prog="prog").error("boom")


@pytest.mark.parametrize("option", ["--state-dir", "--config"])
def test_an_empty_path_on_the_command_line_is_not_the_working_directory(option, capsys):
    assert main(["config", option, ""]) == ExitCode.USAGE
    assert f"argument {'-c/' * (option == '--config')}{option}: the path is empty" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "then"), [(None, "1"), ("4", "4")])
def test_the_console_script_multiplies_in_one_thread_unless_told_otherwise(monkeypatch, given, then):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", given or "")
    if given is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    monkeypatch.setattr(cli_main, "main", lambda _argv: int(os.environ["OPENBLAS_NUM_THREADS"]))
    with pytest.raises(SystemExit) as left:
        cli_main.entry()
    assert left.value.code == int(then)
