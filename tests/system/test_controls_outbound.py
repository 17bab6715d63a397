"""Queues, Address Space, Advanced and General (ims_spec 3.2 to 3.7) on mail between two servers."""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from imsd.errors import NoSuchEntry
from tests.support.clients import poll, subjects
from tests.support.pair import Lab, as_it_was, change, lab
from tests.support.servers import PASSWORD

__all__ = ["as_it_was", "lab"]

pytestmark = pytest.mark.system

SECOND = 1 / 3600
"""In hours."""


def set_away(lab: Lab, **values: Any) -> None:
    change(lab.away, **values)


def waiting(lab: Lab) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lab.away.ask("queue.list")
    return rows


def empty(lab: Lab) -> None:
    for queue_id in {row["id"] for row in waiting(lab)}:
        with suppress(NoSuchEntry):  # It may leave by itself in this moment.
            lab.away.ask("queue.delete", messages=[queue_id])


def route(lab: Lab, text: str) -> None:
    """Have `here` decide about recipients by a program of these lines."""
    name = f"lab_{time.monotonic_ns()}"
    folder = lab.here.home / "plugins"
    folder.mkdir(exist_ok=True)
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    (folder / f"{name}.py").write_text(f"import time\ndef route(question):\n{lines}")
    lab.set(routing__plugin=f"{name}.route")


LATER = "return 'later:not now'"


# Retry interval, time-outs, notices (3.4.5) -----------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "minutes"),
    [
        ({"profile": "chapter22"}, 60),
        ({"profile": "exchange55"}, 15),
        ({"profile": "prompt"}, 5),
        ({"profile": "intervals", "intervals": [0.25, 0.5]}, 15),
        ({"profile": "growing", "first": 2.0}, 120),
    ],
)
def test_the_first_retry_by_profile(lab: Lab, settings: dict[str, Any], minutes: int) -> None:
    route(lab, LATER)
    for name, value in settings.items():
        set_away(lab, **{f"ims__retry__{name}": value})
    lab.send("later")
    poll(lambda: any(row["attempts"] for row in waiting(lab)))
    (row,) = waiting(lab)
    assert "not now" in row["last_error"]
    assert (row["next_attempt"] - row["last_attempt"]) / 60e6 == pytest.approx(minutes, rel=0.15)
    empty(lab)


def test_it_comes_again_and_gets_through(lab: Lab) -> None:
    route(lab, LATER)
    lab.send("at last")
    poll(lambda: any(row["attempts"] for row in waiting(lab)))
    lab.set(routing__plugin="")
    lab.came("at last")


@pytest.mark.parametrize(
    ("name", "header"), [("urgent", "X-Priority: 1\r\n"), ("normal", ""), ("nonurgent", "X-Priority: 5\r\n")]
)
def test_each_priority_has_its_time_out(lab: Lab, name: str, header: str) -> None:
    route(lab, LATER)
    set_away(lab, **{f"ims__timeout__{name}": 0.5 * SECOND})
    lab.send(f"in vain and {name}", header)
    other = "X-Priority: 1\r\n" if name != "urgent" else "X-Priority: 5\r\n"
    lab.send(f"not so long and {name}", other)
    assert "Status: 4." in lab.back(f"Not delivered: in vain and {name}")
    assert len(waiting(lab)) == 1
    empty(lab)


@pytest.mark.parametrize(
    ("name", "header"), [("urgent", "X-Priority: 1\r\n"), ("normal", ""), ("nonurgent", "X-Priority: 5\r\n")]
)
def test_a_delay_is_told_when_the_priority_wants_it(lab: Lab, name: str, header: str) -> None:
    route(lab, LATER)
    set_away(lab, **{f"ims__delay_notice__{name}": 0.5 * SECOND})
    lab.send(f"delayed and {name}", header)
    assert "Action: delayed" in lab.back(f"Delayed: delayed and {name}")
    assert len(waiting(lab)) == 1
    empty(lab)


# Connections (3.4.2) ----------------------------------------------------------------------------


def test_how_many_connections_and_how_much_on_each(lab: Lab) -> None:
    lab.set(protocol_log__level="minimum")
    # Each recipient takes `here` a moment, so that connections which may be there at once are.
    route(lab, "time.sleep(0.1)")
    log = lab.here.home / "log/smtp.log"

    def connections(label: str, count: int = 5) -> tuple[int, int]:
        """How many it takes to bring some messages that wait, and how many there are at once."""
        set_away(lab, queue__paused=True)
        for number in range(count):
            lab.send(f"{label} {number}")
        start = log.stat().st_size if log.exists() else 0
        set_away(lab, queue__paused=False)
        poll(lambda: sum(each.startswith(label) for each in subjects(lab.here)) == count)
        # What is open is closed when nothing more comes.
        poll(lambda: _ended(log, start))
        events = [line for line in log.read_bytes()[start:].decode().splitlines() if line]
        total = most = now = 0
        for line in events:
            if "was accepted" in line:
                total, now = total + 1, now + 1
                most = max(most, now)
            elif "is over" in line:
                now -= 1
        return total, most

    total, most = connections("one for each")
    assert total == 5 and most > 1
    set_away(lab, ims__limits__per_host=1)
    assert connections("one at once") == (5, 1)
    set_away(lab, ims__limits__messages_per_connection=2)
    assert connections("two in each") == (3, 1)
    set_away(lab, ims__limits__per_host=10, ims__limits__messages_per_connection=1)
    total, most = connections("several again")
    assert total == 5 and most > 1
    set_away(lab, ims__limits__outbound=1)
    assert connections("one in all") == (5, 1)
    row = {"domain": "here.test", "per_host": 1, "messages_per_connection": 5}
    set_away(lab, ims__limits__outbound=20, ims__limits__domains=[row])
    assert connections("as the domain wants it") == (1, 1)


def _ended(log: Path, start: int) -> bool:
    text = log.read_bytes()[start:].decode() if log.exists() else ""
    return 0 < text.count("was accepted") == text.count("is over")


# Advanced (3.5), General (3.6) ----------------------------------------------------------------


def test_a_transfer_that_takes_too_long_is_tried_again(lab: Lab) -> None:
    route(lab, "time.sleep(0.6)")
    set_away(lab, ims__transfer_time__normal_min=0.3 / 60)
    lab.send("too slow")
    poll(lambda: any(row["attempts"] for row in waiting(lab)))
    assert "too slow" not in subjects(lab.here)
    set_away(lab, ims__transfer_time__normal_min=20)
    lab.came("too slow")


@pytest.fixture(autouse=True)
def nothing_waits(lab: Lab, as_it_was: None) -> Iterator[None]:
    yield
    empty(lab)


@pytest.mark.parametrize("setting", ["ims__flow__transfer_quota_kb", "ims__size_limit_out"])
def test_what_is_too_large_for_others_comes_back(lab: Lab, setting: str) -> None:
    body = "x" * 70 + "\r\n"
    lab.send(f"large {setting}", body=body * 100)
    lab.came(f"large {setting}")
    set_away(lab, **{setting: 2 if setting.endswith("kb") else 2_048})
    lab.send(f"too large {setting}", body=body * 100)
    told = " ".join(lab.back(f"Not delivered: too large {setting}").split())
    assert "3903 (000B099C) Message exceeds size limit." in told


def test_the_size_of_the_page_holds_for_what_comes(lab: Lab) -> None:
    lab.set(ims__size_limit_kb=2, ims__size_tolerance=100)
    with smtplib.SMTP("127.0.0.1", lab.here.port("smtp"), timeout=10) as smtp:
        smtp.ehlo()
        assert smtp.esmtp_features["size"] == str(2 * 1024 + 100)
    lab.send("too large for them", body=("x" * 70 + "\r\n") * 100)
    lab.back("Not delivered: too large for them")
    assert "too large for them" not in subjects(lab.here)


def test_what_is_beyond_the_unread_limit_is_kept_back(lab: Lab) -> None:
    route(lab, LATER)
    set_away(lab, ims__retry__profile="prompt", ims__flow__unread_limit=1, ims__flow__backoff_min=5)
    lab.send("waits to leave")
    poll(lambda: any(row["attempts"] for row in waiting(lab)))
    lab.send("kept back")
    kept = [row for row in waiting(lab) if row["queue"] == "outbound-conversion"]
    assert len(kept) == 1
    assert kept[0]["last_error"] == "Kept back: enough waits to leave (ims.flow.unread_limit)"
    empty(lab)


# Address Space (3.2), Connected Sites (3.3), Delivery Restrictions (3.7) -------------------------


def submitted(lab: Lab, to: str) -> tuple[int, bytes]:
    """What bob hears who names a recipient."""
    with smtplib.SMTP("localhost", lab.away.port("submission"), timeout=10) as smtp:
        smtp.starttls(context=lab.away.tls())
        smtp.login("bob@example.test", PASSWORD)
        smtp.mail("bob@example.test")
        return smtp.rcpt(to)


def test_who_no_address_space_fits_has_no_route(lab: Lab) -> None:
    assert submitted(lab, "x@here.test")[0] == 250
    set_away(lab, ims__address_space=[{"pattern": "there.test"}])
    code, said = submitted(lab, "x@here.test")
    assert code == 550 and said.startswith(b"5."), said
    assert submitted(lab, "x@below.there.test")[0] == 250


def test_an_address_space_of_another_location_is_not_used(lab: Lab) -> None:
    rows = [{"pattern": "near.test"}]
    far = {
        "name": "far",
        "location": "Oslo",
        "address_space": [{"pattern": "here.test", "scope": "location"}],
        "delivery": {"mode": "smarthost", "smart_hosts": [f"127.0.0.1:{lab.here.port('smtp')}"]},
    }
    set_away(lab, ims__address_space=rows, ims__connectors=[far])
    assert submitted(lab, "x@here.test")[0] == 550
    set_away(lab, ims__location="Oslo")
    lab.send("of this location")
    lab.came("of this location")
    # LOCAL with SMTP: is the older word for the scope of a site, which this is.
    set_away(lab, ims__connectors=[], ims__address_space=[{"type": "LOCAL", "pattern": "SMTP:here.test"}])
    lab.send("of this site")
    lab.came("of this site")


def test_a_connector_that_works_stands_in_for_one_that_does_not(lab: Lab) -> None:
    def connector(name: str, port: int, cost: int) -> dict[str, Any]:
        delivery = {"mode": "smarthost", "smart_hosts": [f"127.0.0.1:{port}"]}
        return {"name": name, "address_space": [{"pattern": "*", "cost": cost}], "delivery": delivery}

    # Nobody listens on port 1.
    rows = [connector("first", 1, 1), connector("second", lab.here.port("smtp"), 5)]
    set_away(lab, ims__address_space=[], ims__lowest_cost_only=True, ims__connectors=rows)
    lab.send("by the cheap one alone")
    poll(lambda: any(row["attempts"] >= 2 for row in waiting(lab)))
    assert "by the cheap one alone" not in subjects(lab.here)
    set_away(lab, ims__lowest_cost_only=False)
    lab.came("by the cheap one alone")


def test_members_of_a_list_may_use_a_connector(lab: Lab) -> None:
    lab.away.add_user("carol")
    lab.away.ask("group.add", address="inner@example.test", name="Inner", members=["bob@example.test"])
    lab.away.ask("group.add", address="outer@example.test", name="Outer", members=["inner@example.test"])
    set_away(lab, ims__restrict__accept_from=["carol@example.test"])
    assert submitted(lab, "x@here.test")[0] == 550
    set_away(lab, ims__restrict__accept_from=["outer@example.test"])
    assert submitted(lab, "x@here.test")[0] == 250
    set_away(lab, ims__restrict__reject_from=["inner@example.test"])
    assert submitted(lab, "x@here.test")[0] == 550


def test_hosts_of_connected_sites_are_written_to_over_tls(lab: Lab) -> None:
    """And however large the message is."""
    target = "EX:/o=Example/ou=Main/cn=Recipients/cn=alice"
    lab.away.ask("contact.add", address="jean@example.test", target=target, name="Jean")
    set_away(
        lab,
        ims__connected_sites=[{"site": "Main", "address": "here.test"}],
        ims__size_limit_out=2_048,
    )
    large = ("x" * 70 + "\r\n") * 100
    lab.send("among sites", to=("jean@example.test",), body=large)
    came = lab.came("among sites")
    assert " with ESMTPS " in came, came[:900]
    set_away(lab, ims__tls__connected_sites="none")
    lab.send("among sites in clear", to=("jean@example.test",))
    assert " with ESMTP " in lab.came("among sites in clear")


# Queues (1.3) ---------------------------------------------------------------------------------


def drop(lab: Lab, subject: str, to: str = "x@here.test") -> Path:
    """Put a message into the pickup folder of `away`."""
    folder = lab.away.home / "pickup"
    folder.mkdir(exist_ok=True)
    unfinished = folder.parent / "unfinished.eml"
    envelope = f"X-Sender: bob@example.test\r\nX-Receiver: {to}\r\n"
    unfinished.write_bytes(f"{envelope}Subject: {subject}\r\n\r\nx\r\n".encode())
    return unfinished.rename(folder / f"{subject.replace(' ', '-')}.eml")


def test_a_file_in_the_pickup_folder_is_sent(lab: Lab) -> None:
    set_away(lab, pickup__enabled=False, pickup__seconds=0.5)
    path = drop(lab, "picked up")
    time.sleep(0.8)
    assert path.exists()
    set_away(lab, pickup__enabled=True)
    lab.came("picked up")
    assert not path.exists()


def test_the_file_of_routes_follows_the_settings(lab: Lab) -> None:
    def says(name: str, what: str) -> bool:
        # While it is turned over there is none for a moment.
        path = lab.away.home / name
        with suppress(FileNotFoundError):
            return what in path.read_text()
        return False

    set_away(lab, ims__address_space=[{"pattern": "first.test"}])
    poll(lambda: says("routes.txt", "first.test"))
    set_away(lab, ims__address_space=[{"pattern": "second.test"}])
    poll(lambda: says("routes.txt", "second.test") and says("routes.old", "first.test"))


def test_a_connector_that_carries_nothing_is_told(lab: Lab) -> None:
    def told() -> str:
        return str(json.loads(lab.away.imsctl("check", "--json", check=False).stdout))

    assert "carries nothing" not in told()
    set_away(lab, ims__address_space=[])
    assert "address_space" in told() or "carries nothing" in told()


# Administrator's mailbox (3.1.1) -----------------------------------------------------------------


def unknown(lab: Lab) -> None:
    set_away(lab, pickup__seconds=0.5)
    drop(lab, "unknown", "nobody@example.test")


def nowhere(lab: Lab) -> None:
    set_away(
        lab,
        ims__domains=[{"domain": "nowhere.test", "route": "dns"}],
        ims__delivery__nameservers=[lab.names.address],
    )
    lab.send("nowhere", to=("x@nowhere.test",))


def refused(lab: Lab) -> None:
    lab.send("refused", to=("nobody@none.test",))


def unconvertible(lab: Lab) -> None:
    lab.set(smtp__disable_esmtp=True)
    lab.send("unconvertible", header="X-Name: J\u00f6rg\r\n")


def late(lab: Lab) -> None:
    route(lab, LATER)
    set_away(lab, ims__timeout__normal=0.5 * SECOND)
    lab.send("late")


@pytest.mark.parametrize(
    ("kind", "happens", "reason"),
    [
        ("address-not-found", unknown, "Inbound Mail Failure"),
        ("host-not-found", nowhere, "Outbound Mail Failure - The destination host could not be found."),
        ("protocol-error", refused, "Outbound Mail Failure - A protocol error occurred."),
        ("conversion-failed", unconvertible, "Outbound Mail Failure - The message conversion failed."),
        ("timeout", late, "Outbound Mail Failure - The message time-out was exceeded."),
    ],
)
def test_the_administrator_is_told_of_what_he_chose(
    lab: Lab, kind: str, happens: Callable[[Lab], None], reason: str
) -> None:
    boss = f"boss.{kind}"
    lab.away.add_user(boss)
    set_away(lab, ims__admin_mailbox=lab.away.address(boss), ims__notifications__kinds=[kind])
    happens(lab)
    poll(lambda: subjects(lab.away, boss))
    (subject,) = subjects(lab.away, boss)
    assert " ".join(subject.split()) == f"Notification: {reason}"
    # Nothing is told of what he did not choose.
    others = {"timeout", "protocol-error", "host-not-found"} - {kind}
    set_away(lab, ims__notifications__kinds=sorted(others))
    before = len(subjects(lab.away, "bob"))
    happens(lab)
    poll(lambda: len(subjects(lab.away, "bob")) > before)
    assert subjects(lab.away, boss) == [subject]
