"""Plug-ins by themselves: made from rows, asked and told, and contained whatever they do."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from imsd.errors import PolicyRejected, TryLater
from imsd.plugins import interfaces, plugins
from imsd.plugins.answers import Answer, answer
from imsd.plugins.plugins import Plugins, Verdict
from imsd.plugins.threads import PluginFailed, Threads
from imsd.plugins.values import Logged
from imsd.settings import PAGES, LiveSettings
from imsd.settings.hooks import Event
from tests.support.stores import StoreReactor, run


class Site:
    """The plug-ins of one module of HOME/plugins, whose text a test writes."""

    def __init__(self, reactor: StoreReactor, home: Path) -> None:
        self.reactor = reactor
        self.folder = home / "plugins"
        self.folder.mkdir()
        self.settings = LiveSettings(PAGES)
        self.plugins = Plugins(self.settings, reactor, self.folder)
        self.plugins.start()

    def write(self, text: str, module: str = "imsd_test_plugin") -> None:
        (self.folder / f"{module}.py").write_text(text)

    def set(self, *rows: Any) -> None:
        self.settings.replace({"hooks.plugins": json.dumps(rows)})
        assert not self.settings.rejected

    def ask(self, event: str = "mail", question: Any = "it") -> Verdict:
        return run(self.plugins.ask(event, question))


@pytest.fixture
def site(store_reactor: StoreReactor, tmp_path: Path) -> Iterator[Site]:
    made = Site(store_reactor, tmp_path)
    yield made
    made.plugins.stop()
    # Another test writes another module of this name elsewhere.
    sys.modules.pop("imsd_test_plugin", None)
    sys.path[:] = [each for each in sys.path if each != str(made.folder)]


@pytest.fixture
def events() -> Iterator[list[int]]:
    """Numbers of what is logged."""
    seen: list[int] = []

    def note(event: Any) -> None:
        if "event_id" in event:
            seen.append(event["event_id"])

    globalLogPublisher.addObserver(note)
    yield seen
    globalLogPublisher.removeObserver(note)


@pytest.mark.parametrize(
    ("said", "whole", "wanted"),
    [
        (None, False, Answer()),
        ("", False, Answer()),
        ("refuse", False, Answer("refuse")),
        ("Refuse: No\r\n250 fine", False, Answer("refuse", "No??250 fine")),
        ("later:soon", False, Answer("later", "soon")),
        ("discard", True, Answer("discard")),
        ("field:X-A: b ", True, Answer(fields=("X-A: b\r\n",))),
        (["field:X-A: b", "field:X-B:c"], True, Answer(fields=("X-A: b\r\n", "X-B: c\r\n"))),
        (("field:X-A: b", "refuse:no"), True, Answer("refuse", "no")),
    ],
)
def test_answers(said: Any, whole: bool, wanted: Answer) -> None:
    assert answer(said, whole) == wanted


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        (7, True),
        (True, True),
        ([7], True),
        ("yes", True),
        ("discard", False),
        ("discard:it", True),
        ("field:X-A: b", False),
        ("field:no colon", True),
        ("field:X-A: b\r\nBcc: all", True),
        ("field:X-\xe4: b", True),
        ("field:X-A: " + "b" * 901, True),
    ],
)
def test_what_is_no_answer(said: Any, whole: bool) -> None:
    with pytest.raises(PluginFailed):
        answer(said, whole)


def test_the_setting_and_the_interfaces_name_the_same_events() -> None:
    assert set(Event.__args__) == set(interfaces.EVENTS)  # type: ignore[attr-defined]
    for name, interface in interfaces.EVENTS.items():
        assert list(interface.names()) == [name]


def test_coroutines_and_functions_are_asked_in_order(site: Site) -> None:
    site.write(
        "class A:\n"
        "    def __init__(self, settings):\n"
        "        self.word = settings['word']\n"
        "    async def mail(self, sender):\n"
        "        return None if sender == 'it' else f'later:{self.word} {sender}'\n"
        "    def recipient(self, recipient):\n"
        "        return 'field:X-Never: here'\n"
        "class B:\n"
        "    def __init__(self, settings): pass\n"
        "    def mail(self, sender):\n"
        "        return 'refuse:' + sender\n"
    )
    assert not site.plugins.wants("mail")
    assert site.ask() == Verdict()
    a, b = {"name": "imsd_test_plugin.A", "settings": {"word": "not"}}, {"name": "imsd_test_plugin.B"}
    site.set(a, b)
    assert [list(each.methods) for each in site.plugins.all] == [["mail", "recipient"], ["mail"]]
    with pytest.raises(PolicyRejected, match=r"^it$"):
        site.ask()
    with pytest.raises(TryLater, match=r"^not that$"):
        site.ask(question="that")
    # What one row names alone is asked of it alone.
    site.set({**a, "events": ["mail"]})
    assert not site.plugins.wants("recipient")
    assert site.ask() == Verdict()


def test_fields_of_several_come_together_and_have_an_end(site: Site) -> None:
    site.write(
        "class A:\n"
        "    def __init__(self, settings): self.said = settings['said']\n"
        "    async def received(self, message): return self.said\n"
    )
    a = {"name": "imsd_test_plugin.A"}
    many = [f"field:X-{number}: {'x' * 880}" for number in range(5)]
    site.set(
        {**a, "settings": {"said": "field:X-A: 1"}},
        {**a, "settings": {"said": many}},
    )
    fields = site.ask("received").fields
    assert fields.startswith("X-A: 1\r\nX-0: ")
    assert fields.count("\r\n") == 4 and len(fields) <= 3_000
    site.set({**a, "settings": {"said": "discard"}})
    assert site.ask("received") == Verdict(discarded="imsd_test_plugin.A")


@pytest.mark.parametrize("failure", ["open", "closed"])
@pytest.mark.parametrize(
    "body",
    ["    raise ValueError('oh')", "    raise SystemExit", "    return 7", "    return 'perhaps'"],
)
@pytest.mark.parametrize("word", ["def", "async def"])
def test_failures_are_logged_and_mean_what_the_row_says(
    site: Site, events: list[int], failure: str, body: str, word: str
) -> None:
    site.write(
        f"class A:\n    def __init__(self, settings): pass\n    {word} mail(self, sender):\n    {body}\n"
    )
    site.set({"name": "imsd_test_plugin.A", "failure": failure})
    for _ in range(3):
        if failure == "open":
            assert site.ask() == Verdict()
        else:
            with pytest.raises(TryLater):
                site.ask()
    assert site.plugins.all[0].failures == 3
    # Once a minute, not once a message.
    assert events == [20_024]


def test_one_that_is_late_is_given_up(site: Site) -> None:
    site.write(
        "from twisted.internet.defer import Deferred\n"
        "class A:\n"
        "    def __init__(self, settings): pass\n"
        "    async def mail(self, sender):\n"
        "        while True:\n"
        "            try:\n"
        "                await Deferred()\n"
        "            except BaseException:\n"
        "                if sender == 'it': raise\n"
        "                sender = 'it'\n"
    )
    site.set({"name": "imsd_test_plugin.A", "seconds": 0.5, "failure": "closed"})
    for question in ("it", "one that cannot be cancelled"):
        asking = Deferred.fromCoroutine(site.plugins.ask("mail", question))
        outcome: list[Any] = []
        asking.addBoth(outcome.append)
        site.reactor.advance(0.4)
        assert not outcome
        site.reactor.advance(0.2)
        assert outcome[0].check(TryLater)
    assert "took longer than 0.5 s" in site.plugins.all[0].last_failure


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("class A(", "SyntaxError"),
        ("class B: pass", "AttributeError"),
        ("A = 7", "is no function"),
        ("class A: pass", "TypeError"),
        ("def A(settings): return 7", "has no method"),
        ("class A:\n def __init__(self, s): pass\n def mail(self): pass", "one argument"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_one_that_cannot_be_made(site: Site, events: list[int], text: str, problem: str) -> None:
    site.write(text)
    site.set({"name": "imsd_test_plugin.A"})
    assert problem in site.plugins.all[0].problem
    assert events == [20_020]
    assert site.ask("received") == Verdict() and not site.plugins.wants("received")
    # Where it must not be without it, mail waits; who logs in does not, unless the row says so.
    site.set({"name": "imsd_test_plugin.A", "failure": "closed"})
    with pytest.raises(TryLater):
        site.ask("received")
    assert site.plugins.wants("sending") and not site.plugins.wants("login")
    site.set({"name": "imsd_test_plugin.A", "failure": "closed", "events": ["login"]})
    assert site.plugins.wants("login") and not site.plugins.wants("received")


def test_what_changes_is_made_anew_and_the_rest_stays(site: Site) -> None:
    site.write(
        "closed = []\n"
        "class A:\n"
        "    def __init__(self, settings): self.name = settings.get('name')\n"
        "    async def mail(self, sender): return f'refuse:{self.name}'\n"
        "    def close(self): closed.append(self.name)\n"
    )
    one, two = ({"name": "imsd_test_plugin.A", "settings": {"name": name}} for name in ("one", "two"))
    site.set(one, two)
    first, second = site.plugins.all
    site.set(two, {**one, "seconds": 9})
    assert site.plugins.all[0] is second and site.plugins.all[1] is not first
    site.write(
        "class A:\n    def __init__(self, s): pass\n    async def mail(self, sender): return 'refuse:now'\n"
    )
    with pytest.raises(PolicyRejected, match="two"):
        site.ask()
    site.plugins.reload()
    with pytest.raises(PolicyRejected, match="now"):
        site.ask()
    site.set()
    assert site.ask() == Verdict() and not site.plugins.all


def test_facts_are_told_later_in_order_and_not_without_end(
    site: Site, events: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "WAITING", 3)
    site.write(
        "told = []\n"
        "class A:\n"
        "    def __init__(self, settings): pass\n"
        "    async def logged(self, event):\n"
        "        told.append(event.number)\n"
        "        if event.number == 13: raise ValueError\n"
    )
    site.set({"name": "imsd_test_plugin.A"})
    import imsd_test_plugin  # type: ignore[import-not-found]

    for number in (13, 14, 15, 16):
        site.plugins.tell("logged", Logged(number, "text"))
    site.plugins.tell("sent", "nobody listens")
    assert imsd_test_plugin.told == []
    site.reactor.settle()
    site.reactor.advance(0)
    site.reactor.settle()
    assert imsd_test_plugin.told == [13, 14, 15]
    assert site.plugins.all[0].dropped == 1
    assert events == [20_025, 20_024]


def test_what_was_not_told_yet_is_told_after_a_reload(site: Site) -> None:
    text = (
        "class A:\n"
        "    told = []\n"
        "    def __init__(self, settings): pass\n"
        "    async def logged(self, event): self.told.append(event.number)\n"
    )
    site.write(text)
    site.set({"name": "imsd_test_plugin.A"})
    site.plugins.tell("logged", Logged(7, "text"))
    site.write(text.replace("told", "heard"))
    site.plugins.reload()
    site.reactor.advance(0)
    assert sys.modules["imsd_test_plugin"].A.heard == [7]


def test_who_goes_answers_what_he_was_asked(site: Site) -> None:
    threads = Threads(site.reactor, "test")
    asking = Deferred.fromCoroutine(threads.call("f", lambda: 7, 5))
    threads.stop()
    assert run(asking) == 7
    before = threading.active_count()
    assert run(Deferred.fromCoroutine(threads.call("f", lambda: 8, 5))) == 8
    for _ in range(100):
        if threading.active_count() <= before:
            break
        time.sleep(0.01)
    assert threading.active_count() <= before, "no thread is left"


def test_a_function_runs_in_a_thread(site: Site) -> None:
    site.write(
        "import threading\n"
        "class A:\n"
        "    def __init__(self, settings): pass\n"
        "    def mail(self, sender): return 'refuse:' + threading.current_thread().name\n"
    )
    site.set({"name": "imsd_test_plugin.A"})
    with pytest.raises(PolicyRejected) as refused:
        site.ask()
    assert refused.value.text != threading.current_thread().name
