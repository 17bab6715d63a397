"""The LDAP protocol against the running server: ldap-utils, ldaptor's client, ldap3, raw sockets.

What the directory does with the operations is in test_directory.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import ldap3
import pytest
from ldaptor.protocols import pureldap
from ldaptor.protocols.pureber import BERDecoderContext, berDecodeObject

from protocols.ldap import client, filters
from protocols.ldap.messages import (
    BindRequest,
    BindResponse,
    Deref,
    ExtendedRequest,
    ExtendedResponse,
    Message,
    Sasl,
    Scope,
    SearchRequest,
    SearchResultEntry,
    Simple,
)
from protocols.ldap.reader import Reader
from protocols.ldap.results import ResultCode
from protocols.ldap.server import NOTICE_OF_DISCONNECTION
from protocols.lines import NEED_DATA
from protocols.sasl.client import Binding, ScramClient
from tests.support.servers import PASSWORD, RunningServer, need, run

pytestmark = pytest.mark.system

BASE = "dc=example,dc=test"
RECIPIENTS = f"cn=Recipients,ou=Main,{BASE}"
ALICE = f"cn=alice,{RECIPIENTS}"


# ldap-utils ----------------------------------------------------------------------------


def tool(server: RunningServer, name: str, *arguments: str, user: str = "administrator", **more: Any) -> Any:
    """Run one of ldap-utils, bound by password in the clear on loopback."""
    url = f"ldap://127.0.0.1:{server.port('ldap')}"
    return run(need(name), "-x", "-H", url, "-D", user, "-w", PASSWORD, *arguments, **more)


def search(server: RunningServer, *arguments: str, **more: Any) -> str:
    done = tool(server, "ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", BASE, *arguments, **more)
    return str(done.stdout)


def test_an_entry_lives_and_dies_by_ldap_utils(server: RunningServer, tmp_path: Path) -> None:
    name = f"cn=erika,{RECIPIENTS}"
    ldif = tmp_path / "erika.ldif"
    ldif.write_text(
        f"dn: {name}\nobjectClass: inetOrgPerson\ncn: Erika Müller\nsn: Müller\nuid: erika\n"
        f"userPassword: {PASSWORD}\n",
        "utf-8",
    )
    tool(server, "ldapadd", "-f", str(ldif))
    assert name in search(server, "(sn=MÜLLER)", "1.1")
    assert search(server, "(cn=er*mü*r)", "uid").splitlines()[1] == "uid: erika"
    assert tool(server, "ldapwhoami", user="erika").stdout.lower().startswith("dn:cn=erika,")
    change = f"dn: {name}\nchangetype: modify\nreplace: telephoneNumber\ntelephoneNumber: +1 555 0102\n"
    tool(server, "ldapmodify", input=change)
    assert "telephoneNumber: +1 555 0102" in search(server, "(telephoneNumber=+15550102)", "telephoneNumber")
    changed = tool(server, "ldappasswd", "-a", PASSWORD, "-s", "erikas-new-secret", user="erika")
    assert changed.returncode == 0
    refused = tool(server, "ldapwhoami", user="erika", check=False)
    assert refused.returncode == ResultCode.INVALID_CREDENTIALS
    generated = tool(server, "ldappasswd", name).stdout
    assert generated.startswith("New password: ") and len(generated.split()[-1]) >= 12
    tool(server, "ldapmodrdn", "-r", name, "cn=erica")
    renamed = name.replace("erika", "erica", 1)
    assert renamed in search(server, "(uid=erika)", "1.1")
    done = tool(server, "ldapcompare", renamed, "sn:müller", check=False)
    assert done.returncode == ResultCode.COMPARE_TRUE
    tool(server, "ldapdelete", renamed)
    assert search(server, "(uid=erika)", "1.1") == ""
    gone = tool(server, "ldapdelete", renamed, check=False)
    assert gone.returncode == ResultCode.NO_SUCH_OBJECT
    assert RECIPIENTS.lower() in gone.stderr.lower() + gone.stdout.lower()


def test_what_is_selected_is_returned(server: RunningServer) -> None:
    assert search(server, "(uid=alice)", "1.1") == f"dn: {ALICE}\n\n"
    operational = search(server, "(uid=alice)", "+")
    assert "entryUUID: " in operational and "mail: " not in operational
    types = search(server, "-A", "(uid=alice)", "mail")
    assert "mail:\n" in types and "alice@" not in types


def test_pages_and_limits(server: RunningServer) -> None:
    whole = search(server, "(objectClass=*)", "1.1").count("dn: ")
    paged = search(server, "-E", "pr=2/noprompt", "(objectClass=*)", "1.1")
    assert paged.count("dn: ") == whole > 4
    limited = tool(server, "ldapsearch", "-b", BASE, "-z", "2", "(objectClass=*)", "1.1", check=False)
    assert limited.returncode == ResultCode.SIZE_LIMIT_EXCEEDED
    assert limited.stdout.count("dn: ") == 2


def test_critical_controls(server: RunningServer) -> None:
    done = tool(server, "ldapsearch", "-e", "!1.2.3.4", "-b", BASE, "(uid=alice)", check=False)
    assert done.returncode == ResultCode.UNAVAILABLE_CRITICAL_EXTENSION
    assert "mail: alice" in search(server, "-M", "(uid=alice)", "mail")
    assert "mail: alice" in search(server, "-MM", "(uid=alice)", "mail")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("way", ["StartTLS", "ldaps"])
def test_tls_with_a_verified_certificate(
    server: RunningServer, way: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if host == "localhost" and socket.getfqdn() not in ("localhost", socket.gethostname()):
        pytest.skip("libldap compares the name that DNS knows this machine by")
    monkeypatch.setenv("LDAPTLS_CACERT", str(server.home / "tls/server.crt"))
    scheme, more = ("ldap", ["-ZZ"]) if way == "StartTLS" else ("ldaps", [])
    url = f"{scheme}://{host}:{server.port(scheme)}"
    done = run(need("ldapwhoami"), "-x", "-H", url, *more, "-D", "alice", "-w", PASSWORD)
    assert done.stdout.lower().startswith("dn:cn=alice,")


def test_the_wrong_ways_to_bind(server: RunningServer) -> None:
    url = f"ldap://127.0.0.1:{server.port('ldap')}"
    who = need("ldapwhoami")

    def status(*arguments: str) -> int:
        return int(run(who, "-x", "-H", url, *arguments, check=False).returncode)

    assert status("-D", "alice", "-w", "wrong") == ResultCode.INVALID_CREDENTIALS
    assert status("-D", "nobody", "-w", "wrong") == ResultCode.INVALID_CREDENTIALS
    assert status("-D", "alice", "-w", "") == ResultCode.UNWILLING_TO_PERFORM
    assert status("-P", "2", "-D", "alice", "-w", PASSWORD) != 0


# ldap3 ---------------------------------------------------------------------------------


def test_ldap3_after_start_tls(server: RunningServer) -> None:
    where = ldap3.Server(
        "localhost",
        server.port("ldap"),
        get_info=ldap3.ALL,
        tls=ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(server.home / "tls/server.crt")),
    )
    connection = ldap3.Connection(where, ALICE, PASSWORD, receive_timeout=20)
    connection.open()
    assert connection.start_tls()
    assert connection.bind(), connection.result
    assert connection.search(BASE, "(&(objectClass=*)(uid=bob))", attributes=["mail"])
    assert connection.entries[0].mail.value == server.address("bob")
    # Extensible matching, with the names of the entry counted (RFC 4511 4.5.1.7.7).
    assert connection.search(BASE, "(&(uid=bob)(ou:dn:=Main))", attributes=["1.1"])
    assert connection.search(BASE, "(&(uid=bob)(!(ou:dn:=Other)))", attributes=["1.1"])
    assert "caseIgnoreMatch" in str(where.schema.matching_rules)
    connection.unbind()


def test_ldap3_by_sasl(server: RunningServer) -> None:
    where = ldap3.Server("127.0.0.1", server.port("ldap"))
    connection = ldap3.Connection(
        where,
        authentication=ldap3.SASL,
        sasl_mechanism=ldap3.PLAIN,
        sasl_credentials=(None, "bob", PASSWORD),
        receive_timeout=20,
    )
    assert connection.bind(), connection.result
    assert connection.extend.standard.who_am_i().lower().startswith("dn:cn=bob,")
    connection.unbind()


# On the wire ---------------------------------------------------------------------------


class Wire:
    """A raw connection."""

    def __init__(self, server: RunningServer, tls: ssl.SSLContext | None = None) -> None:
        port = server.port("ldaps" if tls else "ldap")
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket)
        self._reader = Reader(1 << 24)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> bytes:
        while (taken := self._reader.next()) is NEED_DATA:
            data = self.socket.recv(65536)
            assert data, "the server closed the connection"
            self._reader.feed(data)
        return taken

    def message(self) -> Message:
        return client.read(self.receive())


@pytest.fixture
def wire(server: RunningServer) -> Iterator[Wire]:
    one = Wire(server)
    yield one
    one.socket.close()


def by_uid(uid: str) -> SearchRequest:
    wanted = filters.And((filters.Present("objectClass"), filters.Equal("uid", uid.encode())))
    return SearchRequest(BASE, Scope.SUBTREE, Deref.NEVER, 0, 0, False, wanted, ("mail",))


def test_many_searches_in_one_write(wire: Wire) -> None:
    wire.send(client.write(1, BindRequest(3, "alice", Simple(PASSWORD.encode()))))
    assert wire.message().operation.result.code is ResultCode.SUCCESS  # type: ignore[union-attr]
    wire.send(b"".join(client.write(number, by_uid("bob")) for number in range(2, 302)))
    ended = set()
    while len(ended) < 300:
        message = wire.message()
        if isinstance(message.operation, SearchResultEntry):
            assert message.operation.attributes[0].values == (b"bob@example.test",)
        else:
            ended.add(message.message_id)
    assert ended == set(range(2, 302))


@pytest.mark.parametrize("bound", [True, False])
def test_scram_is_bound_to_the_channel(server: RunningServer, bound: bool) -> None:
    """RFC 5802 6, RFC 5929 4: whoever has another certificate in between gets nowhere."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    one = Wire(server, context)
    shown = one.socket.getpeercert(binary_form=True)  # type: ignore[attr-defined]
    data = sha256(shown if bound else b"another certificate").digest()
    scram = ScramClient("alice", PASSWORD, binding=Binding("tls-server-end-point", data))

    def step(number: int, credentials: bytes | None) -> BindResponse:
        one.send(client.write(number, BindRequest(3, "", Sasl("SCRAM-SHA-256-PLUS", credentials))))
        answer = one.message().operation
        assert isinstance(answer, BindResponse)
        return answer

    first = step(1, scram.initial())
    assert first.result.code is ResultCode.SASL_BIND_IN_PROGRESS
    last = step(2, scram.respond(first.credentials or b""))
    assert last.result.code is (ResultCode.SUCCESS if bound else ResultCode.INVALID_CREDENTIALS)
    one.socket.close()


def test_scram_in_steps(wire: Wire) -> None:
    scram = ScramClient("alice", PASSWORD)

    def step(number: int, credentials: bytes | None) -> BindResponse:
        wire.send(client.write(number, BindRequest(3, "", Sasl("SCRAM-SHA-256", credentials))))
        answer = wire.message().operation
        assert isinstance(answer, BindResponse)
        return answer

    first = step(1, scram.initial())
    assert first.result.code is ResultCode.SASL_BIND_IN_PROGRESS
    last = step(2, scram.respond(first.credentials or b""))
    assert last.result.code is ResultCode.SUCCESS
    # The server's signature comes with the success (RFC 4422 3.6, RFC 4511 4.2.2).
    scram.respond(last.credentials or b"")
    scram.finish()
    wire.send(client.write(3, by_uid("alice")))
    assert isinstance(wire.message().operation, SearchResultEntry)


def test_ldaptor_reads_every_answer(wire: Wire) -> None:
    context = pureldap.LDAPBERDecoderContext_TopLevel(
        inherit=pureldap.LDAPBERDecoderContext_LDAPMessage(
            fallback=pureldap.LDAPBERDecoderContext(fallback=BERDecoderContext()),
            inherit=pureldap.LDAPBERDecoderContext(fallback=BERDecoderContext()),
        )
    )

    def ask(number: int, request: Any) -> Any:
        wire.send(pureldap.LDAPMessage(request, id=number).toWire())
        found, _ = berDecodeObject(context, wire.receive())
        assert found.id == number
        return found.value

    bound = ask(1, pureldap.LDAPBindRequest(dn=ALICE, auth=PASSWORD))
    assert bound.resultCode == 0
    everything = pureldap.LDAPSearchRequest(
        baseObject=ALICE, scope=pureldap.LDAP_SCOPE_baseObject, attributes=["*", "+"]
    )
    entry = ask(2, everything)
    assert dict(entry.attributes)[b"mail"] == [b"alice@example.test"]
    done, _ = berDecodeObject(context, wire.receive())
    assert done.value.resultCode == 0
    missing = ask(3, pureldap.LDAPSearchRequest(baseObject=f"cn=nobody,{RECIPIENTS}"))
    assert missing.resultCode == ResultCode.NO_SUCH_OBJECT
    assert missing.matchedDN.lower() == RECIPIENTS.lower().encode()


@pytest.mark.parametrize(
    "data", [b"EHLO x\r\n", b"\x30\x84\x7f\xff\xff\xff", b"\x30\x80", b"\x30\x03\x02\x01\x01"]
)
def test_what_is_no_ldap_ends_the_session_with_a_notice(wire: Wire, data: bytes) -> None:
    wire.send(data)
    message = wire.message()
    assert message.message_id == 0
    assert isinstance(message.operation, ExtendedResponse)
    assert message.operation.oid == NOTICE_OF_DISCONNECTION
    assert message.operation.result.code is ResultCode.PROTOCOL_ERROR
    assert wire.socket.recv(1) == b""


def test_what_is_sent_before_the_handshake_is_thrown_away(server: RunningServer, wire: Wire) -> None:
    start = client.write(1, ExtendedRequest("1.3.6.1.4.1.1466.20037"))
    wire.send(start + client.write(2, ExtendedRequest("1.3.6.1.4.1.4203.1.11.3")))
    assert wire.message().message_id == 1
    with server.tls().wrap_socket(wire.socket, server_hostname="localhost") as tls:
        tls.settimeout(20)
        tls.sendall(client.write(3, ExtendedRequest("1.3.6.1.4.1.4203.1.11.3")))
        assert client.read(tls.recv(65536)).message_id == 3
