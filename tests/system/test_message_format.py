"""The form in which POP3 hands out a message, for one mailbox, with a real client."""

from __future__ import annotations

import poplib
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system


def test_one_mailbox_gets_plain_text_with_uuencode(server: RunningServer) -> None:
    who, other = server.add_user("simple"), server.address("bob")
    server.imsctl("user", "protocols", who, "--protocol", "pop3", "--format", "uuencode")
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.org", "forms"
    message.set_content("plain words\n")
    message.add_alternative("<b>html words</b>", subtype="html")
    message.add_attachment(bytes(range(200)), maintype="application", subtype="x-test", filename="a.bin")
    server.deliver(message.as_bytes(policy=policy.SMTP), [who, other])
    for address, expected in ((who, "text/plain"), (other, "multipart/mixed")):
        client = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=20)
        client.user(address)
        client.pass_(PASSWORD)
        _, lines, octets = client.retr(1)
        whole = b"".join(line + b"\r\n" for line in lines)
        assert int(client.list(1).split()[2]) == octets == len(whole)
        assert message_from_bytes(whole).get_content_type() == expected
        assert (b"begin 644 a.bin" in whole) is (address == who)
        client.quit()
