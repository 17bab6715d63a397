"""The Security page applied to a route, certificates and their names, sealed passwords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from imsd.errors import TryLater
from imsd.mail.relay.certificates import is_for
from imsd.mail.relay.protection import Protections
from imsd.mail.routing import Route, Target
from imsd.mail.security import Wanted, wanted
from imsd.settings import PAGES, LiveSettings
from imsd.settings.connectors import Ims
from imsd.settings.security import SecurityRow, Tls
from imsd.store.keyring import Keyring
from tests.support.stores import run

LOGIN = {"auth": "plain", "user": "u", "password": "p"}


def of(domain: str, *hosts: str, rows: list[dict[str, Any]], **more: Any) -> Wanted:
    return wanted(Route("ims", domain, hosts), Ims.model_validate({"security": rows, **more}), Tls())


def test_the_most_specific_row_decides() -> None:
    rows = [{"domain": "a.test", "tls": "encrypt"}, {"domain": "#a.test", "tls": "verify"}]
    assert of("a.test", rows=rows).level == "verify"
    assert of("x.a.test", rows=rows).level == "encrypt"
    assert of("b.test", rows=rows) == Wanted()
    rows.append({"domain": "*", "tls": "none"})
    assert of("b.test", rows=rows).level == "none"


def test_a_host_that_mail_is_handed_to_has_the_login_and_the_stricter_level_holds() -> None:
    rows = [{"domain": "smart.test", "tls": "encrypt", **LOGIN}, {"domain": "a.test", "tls": "verify"}]
    found = of("a.test", "smart.test:587", rows=rows)
    assert (found.level, found.user) == ("verify", "u")
    assert str(found) == "verify, log in by plain as u (ims.security a.test, smart.test)"
    assert of("b.test", "smart.test", rows=rows).level == "encrypt"
    assert of("a.test", rows=rows).auth == ""
    # What DNS says is the host gets no login.
    assert of("mx.smart.test", rows=[{"domain": "#smart.test", **LOGIN}]).auth == ""
    assert of("a.test", "192.0.2.1", rows=[{"domain": "[192.0.2.1]", **LOGIN}]).user == "u"
    assert of("a.test", "[x.test]:26", rows=[{"domain": "x.test", "tls": "none"}]).level == "none"


def test_connected_sites_are_encrypted_unless_a_row_says_more() -> None:
    sites = [{"site": "Paris", "address": "paris.test"}]
    assert of("paris.test", rows=[], connected_sites=sites).level == "encrypt"
    assert of("other.test", rows=[], connected_sites=sites).level == "may"
    rows = [{"domain": "paris.test", "tls": "verify"}]
    assert of("paris.test", rows=rows, connected_sites=sites).level == "verify"


@pytest.mark.parametrize(
    "row",
    [
        {"auth": "plain", "user": "u"},
        {"auth": "external", "tls": "verify"},
        {"auth": "external", "certificate": "c.pem"},
        {"auth": "scram-sha-256-plus", "user": "u", "password": "p", "tls": "none"},
        {"tls": "ssl"},
        {"names": ["no domain"]},
    ],
)
def test_rows_that_cannot_work_are_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SecurityRow.model_validate({"domain": "a.test", **row})


@pytest.mark.parametrize(
    ("presented", "name", "fits"),
    [
        ("a.test", "a.test", True),
        ("*.a.test", "x.a.test", True),
        ("*.a.test", "a.test", False),
        ("*.a.test", "y.x.a.test", False),
        ("*.test", "a.test", False),
        ("*", "test", False),
        ("x*.a.test", "xy.a.test", False),
        ("x.a.test", ".a.test", True),
        ("*.a.test", ".a.test", True),
        ("a.test", ".a.test", False),
        ("xa.test", ".a.test", False),
    ],
)
def test_names_in_certificates(presented: str, name: str, fits: bool) -> None:
    assert is_for(presented, name) is fits


def test_passwords_are_sealed_and_opened(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path)
    settings = LiveSettings(PAGES, sealer=keyring)
    typed = '[{"domain": "a.test", "auth": "plain", "user": "u", "password": "geheim"}]'
    key, row = settings.parse("ims.security", typed)
    assert "geheim" not in row
    settings.replace({key: row})
    (stored,) = settings[Ims].security
    assert keyring.open(stored.password) == "geheim"
    # What is sealed already stays as it is: an export can be imported.
    assert settings.parse("ims.security", row) == (key, row)
    assert (tmp_path / "tls/settings.key").stat().st_mode & 0o077 == 0
    assert Keyring(tmp_path).open(stored.password) == "geheim"
    (tmp_path / "p").write_text("von hier\nnot this\n")
    assert keyring.open("file:p") == "von hier"
    for lost in ("file:gone", "sealed:nonsense"):
        with pytest.raises(TryLater):
            keyring.open(lost)


@pytest.mark.parametrize(
    ("hosts", "secure", "names"),
    [
        ((), False, ("mx.a.test",)),
        (("smart.test:587",), False, ("smart.test", ".smart.test")),
        (("smart.test",), True, ("smart.test", ".smart.test", "mx.a.test")),
        (("192.0.2.1",), False, ("[192.0.2.1]",)),
    ],
)
def test_a_name_that_dns_made_up_gets_no_password(
    hosts: tuple[str, ...], secure: bool, names: tuple[str, ...]
) -> None:
    protections = Protections(LiveSettings(PAGES), None, None)  # type: ignore[arg-type]
    target, route = Target("mx.a.test", "192.0.2.1", 25, secure), Route("ims", "a.test", hosts)
    found = run(protections.of(target, route, Wanted("verify"), None))
    assert found.names == names
