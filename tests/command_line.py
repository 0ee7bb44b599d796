"""Running commands in tests: what they print, and that they end without a traceback."""

import json

from typer.testing import CliRunner

from bayescale import cli


def run(*arguments, code=0, charset="utf-8", **options):
    """The result of a command, which ends with an exit code and never with a traceback."""
    runner = CliRunner(charset=charset)
    result = runner.invoke(cli.app, [str(x) for x in arguments], **options)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def error(*arguments):
    """The one line that a refused command prints."""
    result = run(*arguments, code=2)
    if "--json" in arguments:
        found = json.loads(result.stdout)["error"]
        assert result.stderr == f"error: {' '.join(found['message'].split())}\n"
        assert found["code"]
    else:
        assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr
