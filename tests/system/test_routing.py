"""A small laboratory: two servers and a name server on the loopback, real mail between them."""

from __future__ import annotations

import email
import json
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ldap3
import pytest

from tests.support.clients import poll, subjects, texts
from tests.support.nameserver import NameServer
from tests.support.remote import Remote
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

EX = "/o=Example/ou=Main/cn=Recipients/cn=jean"


@dataclass
class Lab:
    """here: the hub, with bob and boss; there: the site in Paris, with jean. names: their DNS."""

    here: RunningServer
    there: RunningServer
    names: NameServer

    def set(self, server: RunningServer, **values: Any) -> None:
        for key, value in values.items():
            server.ask("settings.set", key=key.replace("__", "."), value=json.dumps(value))


@pytest.fixture(scope="module")
def lab(make_server: Callable[..., RunningServer]) -> Iterator[Lab]:
    names = NameServer()
    one = Lab(make_server(), make_server(), names)
    one.here.add_user("bob")
    one.here.add_user("boss")
    port = one.there.port("smtp")
    one.set(one.there, addressing__domains=["paris.test"])
    one.there.add_user("jean")
    add_addresses(one.there, "smtp$jean@paris.test", "MS$NET/PO/JEAN")
    names.zone["relay.lab.test", "MX"] = ["10 mx.lab.test."]
    names.zone["mx.lab.test", "A"] = ["127.0.0.1"]
    names.zone["null.test", "MX"] = ["0 ."]
    one.set(
        one.here,
        ims__delivery__nameservers=[names.address],
        ims__domains=[{"domain": "paris.test", "route": f"host:relay.lab.test:{port}"}],
    )
    yield one
    one.here.stop()
    one.there.stop()
    names.close()


@pytest.fixture(autouse=True)
def as_it_was(lab: Lab) -> Iterator[None]:
    """Settings that a test makes are gone after it."""
    before = [(server, server.ask("settings.export")) for server in (lab.here, lab.there)]
    yield
    for server, text in before:
        server.ask("settings.import", text=text)


def add_addresses(server: RunningServer, *addresses: str) -> None:
    """Give jean more addresses, as an administrator with an LDAP client does."""
    where = ldap3.Server(
        "127.0.0.1", server.port("ldaps"), use_ssl=True, tls=ldap3.Tls(validate=ssl.CERT_NONE)
    )
    name = next(one["dn"] for one in server.ask("user.list") if one["uid"] == "jean")
    with ldap3.Connection(where, "administrator@example.test", PASSWORD, auto_bind=True) as client:
        assert client.modify(name, {"otherMailbox": [(ldap3.MODIFY_ADD, list(addresses))]}), client.result


def submit(server: RunningServer, alias: str, to: str, subject: str) -> None:
    sender = server.address(alias)
    with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=server.tls())
        smtp.login(sender, PASSWORD)
        smtp.sendmail(sender, [to], f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nhi\r\n")


def arrived(lab: Lab, subject: str) -> Callable[[], bool]:
    return lambda: subject in subjects(lab.there, "jean")


def test_mail_is_relayed_to_a_host_that_dns_knows(lab: Lab) -> None:
    submit(lab.here, "bob", "jean@paris.test", "by its exchanger")
    poll(arrived(lab, "by its exchanger"))
    assert ("relay.lab.test", "MX") in lab.names.asked
    assert ("mx.lab.test", "A") in lab.names.asked


def test_a_domain_that_takes_no_mail_is_reported(lab: Lab) -> None:
    submit(lab.here, "bob", "x@null.test", "to nowhere")
    poll(lambda: any(b"5.1.10" in text and b"to nowhere" in text for text in texts(lab.here, "bob")))


def test_a_rerouted_domain_is_rewritten_and_no_stranger_relays(lab: Lab) -> None:
    rows = [{"domain": "old.test", "action": "reroute:paris.test", "override": True}]
    lab.set(lab.here, routing__table=rows)
    lab.here.deliver("Subject: moved\r\n\r\nhi\r\n", ["jean@sub.old.test"])
    poll(arrived(lab, "moved"))
    (text,) = (each for each in texts(lab.there, "jean") if b"Subject: moved" in each)
    assert email.message_from_bytes(text)["Delivered-To"] == "jean@paris.test"
    inner = ("jean%paris.test@example.test", "IMCEASMTP-jean+40paris.test@example.test")
    for address in ("jean@paris.test", *inner):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            lab.here.deliver("Subject: no\r\n\r\n", [address])
        assert caught.value.recipients[address][0] == 550
    tracked = lab.here.imsctl("track", "jean@paris.test").stdout
    assert "Relaying is prohibited" in tracked


def test_a_recipient_of_a_connected_site_is_encapsulated_and_taken_out_again(lab: Lab) -> None:
    (jean,) = (one for one in lab.there.ask("user.list") if one["uid"] == "jean")
    site = jean["dn"].split(",ou=")[1].partition(",")[0]
    lab.set(lab.here, ims__connected_sites=[{"site": site, "address": "paris.test"}])
    target = EX.replace("Main", site)
    lab.here.ask("contact.add", address="jeanne@example.test", target=f"EX:{target}", name="Jeanne")
    try:
        submit(lab.here, "bob", "jeanne@example.test", "between sites")
        poll(arrived(lab, "between sites"))
        tracked = lab.here.imsctl("track", "--limit", "500", lab.here.address("bob")).stdout
        assert f"IMCEAEX-_o=Example_ou={site}_cn=Recipients_cn=jean@paris.test" in tracked
    finally:
        lab.here.ask("recipient.delete", kind="contact", address="jeanne@example.test")


def test_a_gateway_gets_addresses_of_its_type(lab: Lab) -> None:
    gateway = Remote()
    rows = [{"pattern": "*"}, {"type": "MS", "pattern": "NET/PO", "via": "gate.test"}]
    route = [{"domain": "gate.test", "route": f"host:127.0.0.1:{gateway.port}"}]
    lab.set(lab.here, ims__address_space=rows, ims__domains=route)
    lab.here.ask("contact.add", address="ms@example.test", target="MS:NET/PO/JEAN", name="Ms")
    try:
        submit(lab.here, "bob", "ms@example.test", "through the gateway")
        poll(lambda: gateway.taken)
        assert gateway.taken[0].recipients == ("IMCEAMS-NET_PO_JEAN@gate.test",)
    finally:
        gateway.close()


def test_a_held_domain_gets_its_mail_when_it_asks(lab: Lab) -> None:
    port = lab.there.port("smtp")
    lab.set(lab.there, routing__table=[{"domain": "held.test", "action": "reroute:paris.test"}])
    lab.set(
        lab.here,
        ims__delivery__smart_hosts=[f"127.0.0.1:{port}"],
        ims__delivery__mode="smarthost",
        ims__domains=[{"domain": "held.test", "route": "etrn"}],
    )
    submit(lab.here, "bob", "jean@held.test", "held")
    (row,) = lab.here.ask("queue.list")
    assert (row["recipient"], row["state"], row["attempts"]) == ("jean@held.test", "parked", 0)
    with smtplib.SMTP("127.0.0.1", lab.here.port("smtp"), timeout=20) as client:
        client.ehlo("there.test")
        assert "etrn" in client.esmtp_features
        assert client.docmd("ETRN", "other.test")[0] == 458
        code, text = client.docmd("ETRN", "held.test")
        assert (code, text) == (253, b"2.0.0 1 pending messages for node held.test started")
    poll(arrived(lab, "held"))
    poll(lambda: not lab.here.ask("queue.list"))


def test_a_connector_takes_mail_of_some_alone(lab: Lab) -> None:
    lab.here.ask("group.add", address="chiefs@example.test", name="Chiefs", members=["boss@example.test"])
    lab.set(lab.here, ims__restrict__accept_from=["chiefs@example.test"])
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        submit(lab.here, "bob", "jean@paris.test", "not allowed")
    code, text = caught.value.recipients["jean@paris.test"]
    assert code == 550 and text.startswith(b"5.7.1 Not accepted for delivery")
    submit(lab.here, "boss", "jean@paris.test", "allowed")
    poll(arrived(lab, "allowed"))


def test_who_is_unknown_in_a_shared_domain_is_known_elsewhere(lab: Lab) -> None:
    lab.set(lab.here, addressing__share_domain_with={"example.test": f"127.0.0.1:{lab.there.port('smtp')}"})
    lab.here.deliver("Subject: shared\r\n\r\nhi\r\n", ["jean@example.test"])
    poll(arrived(lab, "shared"))


def test_a_rejected_host_is_not_greeted(lab: Lab) -> None:
    lab.set(lab.here, ims__accept__hosts=[{"network": "127.0.0.0/8", "action": "reject"}])
    with socket.create_connection(("127.0.0.1", lab.here.port("smtp")), timeout=20) as client:
        heard = client.makefile("rb").read()
    assert heard == b"521 localhost access denied\r\n"


def test_route_explains_shows_and_tests(lab: Lab) -> None:
    lab.set(lab.here, routing__table=[{"domain": "old.test", "action": "reroute:paris.test"}])
    told = lab.here.imsctl("route", "explain", "jean@old.test", "--from", "bob@example.test").stdout
    port = lab.there.port("smtp")
    for line in (
        "jean@old.test from bob@example.test, logged in",
        "routing table, old.test: reroute:paris.test",
        "relaying: allowed, it is authenticated",
        "connector ims, SMTP:*, cost 1: the only one that fits",
        f"delivery: ims.domains, paris.test: host:relay.lab.test:{port}",
        "relayed: jean@paris.test by connector ims",
        f"mx.lab.test[127.0.0.1]:{port}  (TLS may (ims.tls.level))",
    ):
        assert line in told
    told = lab.here.imsctl("route", "explain", "jean@old.test", "--client", "192.0.2.1").stdout
    assert told.endswith("refused: Relaying is prohibited\n")
    for address, *lines in (
        ("bob@example.test", "here: mailbox bob@example.test, cn=bob,cn=Recipients,"),
        ("bob", "here: mailbox bob@example.test, "),
        (
            "bob+x@example.test",
            "addressing.separator: x is a detail of bob@example.test",
            "here: mailbox bob@",
        ),
        ("abuse@example.test", "abuse: ims.admin_mailbox, else who is ", "here: mailbox "),
    ):
        told = lab.here.imsctl("route", "explain", address).stdout
        assert all(line in told for line in lines), told
    lab.set(lab.here, routing__catch_all={"example.test": "bob@example.test"})
    told = lab.here.imsctl("route", "explain", "who@example.test").stdout
    assert "routing.catch_all, example.test: nobody has who@example.test" in told
    assert "here: mailbox bob@example.test" in told
    lab.set(lab.here, routing__catch_all={})
    shown = lab.here.imsctl("route", "show").stdout
    assert "old.test" in shown and "reroute:paris.test" in shown and "#example.test" in shown
    assert lab.here.imsctl("route", "test-relay", "--client", "127.0.0.1").stdout.startswith("refused: ")
    assert lab.here.imsctl("route", "test-relay", "--client", "192.0.2.1", "--auth").stdout.startswith(
        "allowed"
    )


def test_check_calls_an_open_relay_an_error(lab: Lab) -> None:
    lab.set(lab.here, routing__allow_open_relay=True, ims__restrict__reject_from=["ghost@example.test"])
    found = lab.here.ask("check")
    assert any(one["level"] == "error" and "allow_open_relay" in one["text"] for one in found)
    assert any("ghost@example.test is nobody" in one["text"] for one in found)


def test_no_surprise_in_the_logs(lab: Lab) -> None:
    for server in (lab.here, lab.there):
        assert "Traceback" not in server.log, server.log[-3000:]
