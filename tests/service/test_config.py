"""HOME/imsd.toml: defaults, and mistakes named by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from imsd import config

HOME = Path("/nowhere")


def test_what_setup_writes_is_what_load_reads(tmp_path: Path) -> None:
    text = config.render("mail.example.test", 1000, "postgresql://u@h/d", ("127.0.0.1",))
    (tmp_path / config.FILE).write_text(text)
    loaded = config.load(tmp_path)
    assert loaded.server.hostname == "mail.example.test"
    assert loaded.server.addresses == ("127.0.0.1",)
    assert loaded.database.url == "postgresql://u@h/d"
    assert {name: loaded.port(name) for name in config.STANDARD_PORTS} == {
        name: port + 1000 for name, port in config.STANDARD_PORTS.items()
    }
    assert len(text.splitlines()) < 60


def test_a_listener_of_port_0_is_off_whatever_the_offset() -> None:
    assert config.parse("[server]\nport_offset = 1000\n[listeners]\npop3 = 0\n", HOME).port("pop3") == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[server]\n\nport_offset = -1\n", "imsd.toml:3: server.port_offset: "),
        ("[server]\nportoffset = 1\n", "imsd.toml:2: server.portoffset: no such option"),
        ("# x\n[server]\n[surver]\n", "imsd.toml:3: surver: no such option"),
        ("[tls]\n[listeners]\nsmtp = 'x'\n", "imsd.toml:3: listeners.smtp: "),
        ("[server]\nhostname = \n", "imsd.toml:2: "),
        ("[database]\nurl = 'mysql://x'\n", "imsd.toml:2: database.url: "),
        ("home = '/x'\n", "imsd.toml:1: home"),
    ],
)
def test_a_mistake_is_named_by_file_and_line(text: str, expected: str) -> None:
    with pytest.raises(config.ConfigError) as caught:
        config.parse(text, HOME)
    assert str(caught.value).startswith(expected)


def test_a_missing_file_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match="setup"):
        config.load(tmp_path)
