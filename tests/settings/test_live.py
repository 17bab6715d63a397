"""Settings are typed, bounded and live."""

from __future__ import annotations

import pytest

from imsd.errors import ConstraintViolation, NoSuchEntry
from imsd.settings import PAGES, LiveSettings
from imsd.settings.imap import Imap
from imsd.settings.listeners import Admission


def test_defaults_until_a_row_says_otherwise() -> None:
    settings = LiveSettings(PAGES)
    assert settings[Admission].per_address == 200
    settings.replace({"admission.per_address": "7"})
    assert settings[Admission].per_address == 7
    settings.replace({})
    assert settings[Admission].per_address == 200


def test_a_bad_row_is_named_and_does_not_spoil_its_page() -> None:
    settings = LiveSettings(PAGES)
    settings.replace({"admission.per_address": "7", "admission.connections": "-1", "no.such": "1"})
    assert settings[Admission].per_address == 7
    assert settings[Admission].connections == Admission().connections
    assert set(settings.rejected) == {"admission.connections", "no.such"}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("ims.accept.hosts", "x", "Input should be a list, as JSON"),
        ("ims.accept.hosts", "[" * 60_000, "Input should be a list, as JSON"),
        (
            "ims.accept.hosts",
            '[{"network": "::1"}, {"network": "10.0.0.0/99"}]',
            "row 2, network: '10.0.0.0/99' does",
        ),
        (
            "ims.connectors",
            '[{"name": "x", "address_space": [{"cost": 101}]}]',
            "row 1, address_space, row 1, cost: In",
        ),
        ("addressing.share_domain_with", '{"x y": "z"}', "x y: x y is no domain"),
    ],
)
def test_what_does_not_fit_is_said_by_row_and_field(key: str, value: str, said: str) -> None:
    with pytest.raises(ConstraintViolation) as refused:
        LiveSettings(PAGES).parse(key, value)
    assert refused.value.text.startswith(f"{key}: {said}")


def test_watchers_hear_of_changes_until_they_stop() -> None:
    settings = LiveSettings(PAGES)
    heard: list[int] = []
    stop = settings.on_change(lambda: heard.append(settings[Admission].per_minute))
    settings.replace({"admission.per_minute": "5"})
    stop()
    settings.replace({})
    assert heard == [5]


def test_what_a_person_types_is_checked() -> None:
    settings = LiveSettings(PAGES)
    assert settings.parse("admission.per_address", "12") == ("admission.per_address", "12")
    with pytest.raises(ConstraintViolation):
        settings.parse("admission.connections", "many")
    with pytest.raises(NoSuchEntry):
        settings.parse("admission.nothing", "1")
    with pytest.raises(ConstraintViolation, match="is none of %s"):
        settings.parse("addressing.smtp", '["%q@example.test"]')


def test_every_setting_has_a_default_and_a_help_text() -> None:
    rows = LiveSettings(PAGES).describe()
    assert rows
    assert all(text for _, _, _, text in rows)
    assert len({key for key, *_ in rows}) == len(rows)


# Site and server ------------------------------------------------------------------------


def test_a_server_has_values_of_its_own_and_the_site_s_for_the_rest() -> None:
    settings = LiveSettings(PAGES, "Mail2.example.test")
    settings.replace(
        {
            "imap.idle_minutes": "40",
            "imap.login_seconds": "60",
            "imap.idle_minutes@mail2.example.test": "50",
            "imap.login_seconds@mail1.example.test": "70",
        }
    )
    assert (settings[Imap].idle_minutes, settings[Imap].login_seconds) == (50, 60)
    assert settings.level("imap", "idle_minutes") == "server"
    assert settings.level("imap", "login_seconds") == "site"
    assert settings.level("imap", "list_public") == "default"
    assert settings.find("imap.idle_minutes")[1:3] == (40, 31)
    assert settings.find("imap.idle_minutes@MAIL2.example.test")[1:3] == (50, 40)
    assert settings.own("mail2.example.test", "imap") == ["imap.idle_minutes@mail2.example.test"]


def test_pages_that_are_the_site_s_alone_take_no_server() -> None:
    settings = LiveSettings(PAGES, "mail2.example.test")
    with pytest.raises(NoSuchEntry, match="the site's"):
        settings.parse("logins.basic@mail2.example.test", "false")
    settings.replace({"logins.basic@mail2.example.test": "false"})
    assert set(settings.rejected) == {"logins.basic@mail2.example.test"}
