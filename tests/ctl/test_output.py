"""What imsctl shows of what other systems say."""

from __future__ import annotations

import pytest
from rich.console import Console

from imsd.ctl import output


def test_what_others_say_is_no_markup_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "Console", lambda: Console(force_terminal=True, width=200))
    output.show_table(("HOST", "SAID"), [("mx.test[fd00::1]:25", "550 [/b] go [red]away\x1b]0;mine\x07")])
    shown = capsys.readouterr().out
    assert "mx.test[fd00::1]:25  550 [/b] go [red]away ]0;mine" in shown


def test_a_value_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(("SAID",), [("550 one\r\ntwo\tthree",)])
    output.show_fields({"said": "550 one\rtwo\x1b[2J"})
    assert capsys.readouterr().out == "550 one  two three\nsaid  550 one two [2J\n"
