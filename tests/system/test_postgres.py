"""The whole server over PostgreSQL: set up, killed, started again, and two nodes on one database."""

from __future__ import annotations

import json
import poplib
import shutil
import smtplib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ldap3
import pytest

from imsd import config, tls
from tests.support.clients import Idler, imap, poll, subjects
from tests.support.postgres import bare_database
from tests.support.remote import Remote
from tests.support.servers import DOMAIN, PASSWORD, RunningServer, free_offset

pytestmark = [pytest.mark.system, pytest.mark.postgres]

BASE = ",".join(f"dc={label}" for label in DOMAIN.split("."))


@pytest.fixture(scope="module")
def url() -> str:
    return bare_database()


@pytest.fixture(scope="module")
def node(make_server: Callable[..., RunningServer], url: str) -> Iterator[RunningServer]:
    one = make_server(database_url=url)
    one.add_user("alice")
    one.add_user("bob")
    yield one
    one.stop()


@pytest.fixture(scope="module")
def other_node(
    node: RunningServer, url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A second home over the same database: the first one's files with other ports.

    Large content is in files: nodes share their folder (docs/administration.md).
    """
    home = tmp_path_factory.mktemp("other")
    (home / "data").mkdir()
    (home / "data/blobs").symlink_to(node.home / "data/blobs")
    offset = free_offset()
    shutil.copytree(node.home / "tls", home / "tls")
    (home / config.FILE).write_text(config.render("localhost", offset, url, ("127.0.0.1",)))
    one = RunningServer(home, offset)
    one.start()
    yield one
    one.stop()


def ldap(server: RunningServer) -> ldap3.Connection:
    where = ldap3.Server("127.0.0.1", server.port("ldap"), get_info=ldap3.NONE)
    return ldap3.Connection(where, server.address("alice"), PASSWORD, auto_bind=True, raise_exceptions=True)


def telephone(server: RunningServer) -> list[str]:
    with ldap(server) as client:
        client.search(BASE, "(uid=alice)", attributes=["telephoneNumber"])
        (entry,) = [one for one in client.response if one["type"] == "searchResEntry"]
        return list(entry["attributes"].get("telephoneNumber", []))


def set_telephone(server: RunningServer, number: str) -> None:
    with ldap(server) as client:
        client.search(BASE, "(uid=alice)")
        (entry,) = [one for one in client.response if one["type"] == "searchResEntry"]
        client.modify(entry["dn"], {"telephoneNumber": [(ldap3.MODIFY_REPLACE, [number])]})


def test_mail_and_directory_survive_a_kill(node: RunningServer) -> None:
    node.deliver("Subject: kept\r\n\r\nkept\r\n", [node.address("alice")])
    node.deliver(b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 40_000, [node.address("alice")])
    set_telephone(node, "+49 30 1")
    node.kill()
    node.start()
    assert {"kept", "big"} <= set(subjects(node))
    assert telephone(node) == ["+49 30 1"]
    pop3 = poplib.POP3_SSL("localhost", node.port("pop3s"), context=node.tls(), timeout=20)
    pop3.user(node.address("alice"))
    pop3.pass_(PASSWORD)
    bodies = [b"\r\n".join(pop3.retr(number)[1]) for number in range(1, pop3.stat()[0] + 1)]
    pop3.quit()
    assert any(body.count(b"0123456789") == 40_000 for body in bodies)
    assert node.imsctl("verify").stdout == "Nothing found.\n"


def test_what_one_node_takes_reaches_who_idles_at_the_other(
    node: RunningServer, other_node: RunningServer
) -> None:
    idle = Idler(other_node)
    count = idle.exists
    for number in range(1, 4):
        started = time.monotonic()
        node.deliver(f"Subject: across {number}\r\n\r\nx\r\n", [node.address("alice")])
        idle.wait_for(b"* %d EXISTS" % (count + number))
        # The hint carries it; the poll behind it would take up to two seconds.
        assert time.monotonic() - started < 1.5
    idle.close()
    assert "across 3" in subjects(other_node)


def test_flags_and_expunges_cross(node: RunningServer, other_node: RunningServer) -> None:
    for number in range(3):
        node.deliver(f"Subject: cross {number}\r\n\r\nx\r\n", [node.address("bob")])
    here, there = imap(node, "bob"), imap(other_node, "bob")

    def flags() -> bytes:
        there.noop()
        return b"".join(row for row in there.fetch("1", "(FLAGS)")[1] if isinstance(row, bytes))

    assert here.store("1", "+FLAGS", r"(\Flagged $Work)")[0] == "OK"
    poll(lambda: rb"\Flagged" in flags() and b"$Work" in flags())
    here.store("2", "+FLAGS", r"(\Deleted)")
    here.expunge()
    poll(lambda: there.noop() and there.search(None, "ALL")[1] == [b"1 2"])
    here.logout()
    there.logout()


def test_directory_changes_cross(node: RunningServer, other_node: RunningServer) -> None:
    set_telephone(node, "+49 30 22")
    poll(lambda: telephone(other_node) == ["+49 30 22"])
    other_node.add_user("carol")

    def delivered() -> bool:
        try:
            node.deliver("Subject: for carol\r\n\r\nx\r\n", [node.address("carol")])
        except smtplib.SMTPRecipientsRefused:
            return False
        return True

    poll(delivered)
    assert subjects(other_node, "carol") == ["for carol"]


def test_settings_cross(node: RunningServer, other_node: RunningServer) -> None:
    node.set("admission.per_minute", "4321")
    key = "admission.per_minute"
    poll(lambda: other_node.ask("settings.get", key=key)["value"] == 4321)
    node.reset("admission.per_minute")


def test_one_node_dials_and_both_send(node: RunningServer, other_node: RunningServer, tmp_path: Path) -> None:
    log = tmp_path / "dialled"
    row = {
        "name": "isp",
        "up": ["/bin/sh", "-c", f"echo up >> {log}"],
        "down": ["/bin/sh", "-c", f"echo down >> {log}"],
    }
    closed = f"127.0.0.1:{free_offset() + 25}"
    for key, value in (
        ("ims.dialup.links", json.dumps([row])),
        ("ims.delivery.link", "isp"),
        ("ims.delivery.mode", "smarthost"),
        ("ims.delivery.smart_hosts", json.dumps([closed])),
    ):
        node.set(key, value)

    def places() -> set[str]:
        found = [one.ask("link.status") for one in (node, other_node)]
        return {row["elsewhere"] for rows in found for row in rows} if all(found) else set()

    poll(lambda: len(places()) == 2)
    holder, follower = (
        (node, other_node) if not node.ask("link.status")[0]["elsewhere"] else (other_node, node)
    )
    refused = follower.imsctl("link", "up", "isp", check=False)
    assert refused.returncode != 0
    assert f"({holder.home}) looks after link isp: run this command there" in refused.stderr
    bob = follower.address("bob")
    with smtplib.SMTP("localhost", follower.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=follower.tls())
        smtp.login(bob, PASSWORD)
        smtp.sendmail(bob, ["far@elsewhere.test"], f"From: {bob}\r\nSubject: far\r\n\r\nx\r\n")

    def state() -> str:
        (row,) = follower.ask("queue.list")
        return f"{row['state']}: {row['last_error']}"

    poll(lambda: state().startswith("parked"))
    assert holder.ask("link.up", name="isp")["state"] in ("up", "coming up")
    poll(lambda: "refused" in state())
    assert holder.ask("link.down", name="isp")["state"] == "down"
    assert log.read_text() == "up\ndown\n"
    poll(lambda: state().startswith("parked"))
    follower.imsctl("queue", "delete", "--yes", follower.ask("queue.list")[0]["id"])
    for key in ("ims.delivery.link", "ims.dialup.links", "ims.delivery.mode", "ims.delivery.smart_hosts"):
        node.reset(key)


def submit(server: RunningServer, subjects: list[str], to: str) -> None:
    bob = server.address("bob")
    with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=server.tls())
        smtp.login(bob, PASSWORD)
        for subject in subjects:
            smtp.sendmail(bob, [to], f"From: {bob}\r\nSubject: {subject}\r\n\r\nx\r\n")


def test_both_nodes_send_and_what_must_happen_once_happens_once(
    node: RunningServer, other_node: RunningServer
) -> None:
    remote = Remote()
    remote.rcpt = "451 4.2.0 not yet"
    nodes = (node, other_node)
    settings = {
        "ims.delivery.mode": "smarthost",
        "ims.delivery.smart_hosts": [f"127.0.0.1:{remote.port}"],
        "ims.delay_notice.normal": 1 / 3600,
        "ims.retry.profile": "intervals",
        "ims.retry.intervals": [2 / 3600],
    }
    for key, value in settings.items():
        node.set(key, json.dumps(value))
    expected = f"127.0.0.1:{remote.port}"
    poll(lambda: expected in str(other_node.ask("settings.get", key="ims.delivery.smart_hosts")["value"]))
    try:
        submit(node, ["together"], "far@elsewhere.test")
        # One tidies, and both know who.
        duties = node.ask("status")["duties"]
        assert duties == other_node.ask("status")["duties"]
        (holder,) = (one for one in nodes if f"({one.home})" in duties["upkeep"])
        (other,) = (one for one in nodes if one is not holder)
        poll(lambda: "Delayed: together" in subjects(node, "bob"))
        # Who stops gives his duties back, and the queue goes on without him.
        assert holder.stop() == 0
        assert str(holder.home) not in str(other.ask("status")["duties"])
        submit(other, ["together again"], "far@elsewhere.test")
        poll(lambda: "Delayed: together again" in subjects(other, "bob"))
        holder.start()
        assert holder.ask("status")["duties"]["upkeep"]
        notices = [each for each in subjects(other, "bob") if each.startswith("Delayed: together")]
        assert sorted(notices) == ["Delayed: together", "Delayed: together again"]
        # One queue, two schedulers: each message leaves once, from whichever claims it.
        remote.rcpt = "250 2.1.5 fine"
        for number, one in enumerate(nodes):
            submit(one, [f"shared {number}-{each}" for each in range(20)], "far@elsewhere.test")
        poll(lambda: not node.ask("queue.list"), 40)
        assert len(remote.taken) == 42
        found = {each.data.partition(b"Subject: ")[2].partition(b"\r\n")[0] for each in remote.taken}
        assert len(found) == 42
    finally:
        remote.close()
        for key in settings:
            node.reset(key)


def test_a_killed_node_leaves_the_other_at_work(node: RunningServer, other_node: RunningServer) -> None:
    other_node.kill()
    node.deliver("Subject: alone\r\n\r\nx\r\n", [node.address("alice")])
    assert "alone" in subjects(node)
    other_node.start()
    assert "alone" in subjects(other_node)


def test_a_database_that_is_not_there_is_named_in_one_sentence(tmp_path: Path) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    (tmp_path / "tls").mkdir()
    (tmp_path / config.FILE).write_text(config.render("localhost", free_offset(), nowhere, ("127.0.0.1",)))
    one = RunningServer(tmp_path, 0)
    tls.make_self_signed("localhost", tmp_path / "tls/server.crt", tmp_path / "tls/server.key")
    status, text = one.fail_to_start()
    assert status == 1
    assert "imsd cannot start: " in text
    assert "127.0.0.1" in text
    assert "Traceback" not in text
