"""`imsctl check` on links, one mistake at a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imsd.admin.dialup import findings
from imsd.settings import PAGES, LiveSettings

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
"""A Wednesday."""


def found(link: dict[str, Any] | None = None, **settings: Any) -> list[str]:
    live = LiveSettings(PAGES)
    rows = {} if link is None else {"ims.dialup.links": [{"name": "isp", "idle_min": 1, **link}]}
    values = {**rows, **{key.replace("__", "."): value for key, value in settings.items()}}
    live.replace({key: json.dumps(value) for key, value in values.items()})
    assert not live.rejected
    return [f"{each['level']}: {each['text']}" for each in findings(live, ["here.test"], NOW)]


GOOD: dict[str, Any] = {
    "up": ["/bin/true"],
    "down": ["/bin/true"],
    "schedule": ["every 1:00"],
    "retrieve": "etrn",
    "host": "hub.test",
}


def test_a_link_that_is_well_set_up() -> None:
    assert found(GOOD) == [] and found() == []
    assert found(GOOD, ims__delivery__link="ISP") == []
    assert (
        found({"schedule": ["weekdays at 8:00,18:00"], "queued_after_min": 10}, ims__delivery__link="isp")
        == []
    )


@pytest.mark.parametrize(
    ("link", "settings", "what"),
    [
        ({"host": ""}, {}, "error: link isp: there is nobody to ask"),
        ({"up": ["/no/such"]}, {}, "error: link isp: up: /no/such is not there"),
        ({"down": ["/etc/passwd"]}, {}, "error: link isp: down: /etc/passwd cannot be executed"),
        ({"retrieve": "command", "command": ["/no/such"]}, {}, "error: link isp: command: /no/such is not"),
        ({"up": ["true"]}, {}, "warning: link isp: up: true is looked for along PATH"),
        ({"up": [""]}, {}, "error: link isp: up has no program"),
        ({"down": []}, {}, "warning: link isp: up has a command and down has none"),
        ({"schedule": []}, {}, "warning: link isp: it has neither a schedule nor queued_after_min"),
        (
            {"schedule": []},
            {"ims__delivery__link": "isp"},
            "error: link isp: it has neither a schedule nor queued_after_min: it comes up by hand alone, and",
        ),
        ({"queued_after_min": 5}, {}, "warning: link isp: queued_after_min does nothing"),
        ({"retrieve": "none"}, {}, "warning: link isp: nothing is sent over it"),
        (
            {"schedule": ["mon at 7:00"]},
            {"ims__delivery__link": "isp"},
            "warning: link isp: 168 hours may pass before it comes up, and mail is returned after 72",
        ),
        (
            {},
            {"ims__delivery__link": "other"},
            "error: connector ims waits for link other, and there is none",
        ),
        ({}, {"ims__transfer_mode": "outbound"}, "error: link isp: a host that is asked by ETRN connects"),
        (
            {"retrieve": "atrn", "user": "us", "password_file": "/no/such"},
            {},
            "error: link isp: password_file: [Errno 2]",
        ),
        (
            {"retrieve": "atrn", "user": "us", "password_file": "/dev/null"},
            {},
            "error: link isp: password_file /dev/null: its first line is empty",
        ),
    ],
)
def test_what_is_wrong_with_a_link(link: dict[str, Any], settings: dict[str, Any], what: str) -> None:
    settings = {"ims__security": [{"domain": "hub.test", "tls": "verify"}], **settings}
    (text,) = found({**GOOD, **link}, **settings)
    assert text.startswith(what)


def test_nothing_to_ask_for() -> None:
    live = LiveSettings(PAGES)
    live.replace({"ims.dialup.links": json.dumps([{"name": "isp", **GOOD}])})
    (one,) = findings(live, [], NOW)
    assert "no domain to ask for" in one["text"]


def test_a_password_that_is_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("pass word\n")
    asking = {**GOOD, "retrieve": "atrn", "user": "us", "password_file": str(secret)}
    safe = {"ims__security": [{"domain": "hub.test", "tls": "verify"}]}
    assert found(asking, **safe) == []
    (text,) = found(asking)
    assert (
        text.startswith("warning: link isp: our password is given to whoever is there") and "hub.test" in text
    )


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"ims__domains": [{"domain": "a.test", "route": "atrn:x@here.test"}]}, "error: mail for a.test"),
        ({"ims__domains": [{"domain": "a.test", "route": "etrn"}], "smtp__etrn": False}, "error: mail"),
        ({"smtp__atrn": True}, "warning: smtp.atrn is on, and no row"),
        ({"ims__turn": "atrn"}, "warning: ims.turn does nothing"),
    ],
)  # fmt: skip
def test_what_is_held_and_cannot_be_had(settings: dict[str, Any], what: str) -> None:
    (text,) = found(**settings)
    assert text.startswith(what)
