"""A command ends with lines and an exit code, never with a traceback."""

from __future__ import annotations

import pytest

from epaas_shared.command import DEBUG_VARIABLE, run_command
from epaas_shared.errors import InvalidBundle


def outcome(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run_command("epaas-x", command)
    written = capsys.readouterr()
    assert not written.out
    return ended.value.code, written.err


def test_an_error_of_ours_is_told_with_its_field_and_hint(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = outcome(InvalidBundle("is wrong", field="layers[0]", hint="mend it"), capsys)
    assert (code, told) == (2, "epaas-x: error: layers[0]: is wrong\nepaas-x: hint: mend it\n")


def test_what_the_system_refuses_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = outcome(PermissionError(13, "Permission denied", "some/file"), capsys)
    assert (code, told) == (3, "epaas-x: error: some/file: permission denied\n")


def test_a_bug_is_one_line_and_its_traceback_is_for_who_asks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    code, told = outcome(ZeroDivisionError("by zero"), capsys)
    assert code == 1
    assert told.startswith("epaas-x: error: unexpected ZeroDivisionError: by zero\n")
    assert "Traceback" not in told
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    assert "Traceback" in outcome(ZeroDivisionError("by zero"), capsys)[1]


def interrupted() -> None:
    raise KeyboardInterrupt


def test_success_and_interruption_pass_through(capsys: pytest.CaptureFixture[str]) -> None:
    run_command("epaas-x", lambda: None)
    with pytest.raises(KeyboardInterrupt):
        run_command("epaas-x", interrupted)
    assert capsys.readouterr().err == ""
