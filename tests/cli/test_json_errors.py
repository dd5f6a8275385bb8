"""With --json an error is one line of JSON on standard error, as the help of every command says."""

import json

import pytest

from kalshi_daemon.cli.main import COMMANDS, main


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_an_error_goes_where_the_help_says(name, capsys):
    assert main([name, "--json", "--no-such-option"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert json.loads(printed.err)["error"]["exit_code"] == 2
    with pytest.raises(SystemExit):
        main([name, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "an error is one line of JSON on standard error" in said
