"""The custom routing program: what it may answer, and what its failures cost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.logger import globalLogPublisher

from imsd.mail.rerouting import Question, RoutingPlugin
from imsd.plugins.functions import Plugin, load
from imsd.plugins.threads import THREADS, PluginFailed
from tests.mail.test_inbound import ALICE, World
from tests.support.stores import StoreReactor, run


class Program:
    """A world whose routing program is `function`."""

    def __init__(
        self, reactor: StoreReactor, home: Path, function: Callable[[Question], Any], **more: Any
    ) -> None:
        self.world = World(**more)
        self.world.policy.plugin = self.plugin = RoutingPlugin(self.world.settings, reactor, home)
        self.plugin.plugin.name = "test.function"
        self.plugin.plugin._function = function

    def to(self, *args: Any, **more: str) -> str:
        return self.world.to(*args, **more)


@pytest.fixture
def program(store_reactor: StoreReactor, tmp_path: Path) -> Iterator[Callable[..., Program]]:
    made: list[Program] = []

    def make(function: Callable[[Question], Any], **more: Any) -> Program:
        made.append(Program(store_reactor, tmp_path, function, **more))
        return made[-1]

    yield make
    for one in made:
        one.plugin.stop()


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
    ("answer", "address", "wanted"),
    [
        (None, "user@sales.ms.com", "out user@host1.ms.com"),
        ("", "bob@ms.com", "here alice@example.test"),
        ("relay", "user@sales.ms.com", "out user@sales.ms.com"),
        ("reroute:Other.test", "user@sales.ms.com", "out user@other.test"),
        ("host:[192.0.2.9]:2525", "user@sales.ms.com", "out user@sales.ms.com =[192.0.2.9]:2525"),
        ("host:gate.test", "alice@example.test", "out alice@example.test =gate.test"),
        ("refuse:No", "alice@example.test", "PolicyRejected"),
        ("later", "alice@example.test", "TryLater"),
        ("inbound", "user@pms.com", "NoSuchRecipient"),
        ("relay", "Postmaster", "here alice@example.test"),
    ],
)
def test_answers(program: Any, answer: str | None, address: str, wanted: str) -> None:
    one = program(lambda question: answer)
    one.world.directory.known["postmaster@example.test"] = one.world.directory.known["alice@example.test"]
    assert one.to(address, ALICE) == wanted


def test_a_recipient_in_another_s_place_is_asked_about_too(program: Any) -> None:
    asked: list[Question] = []

    def function(question: Question) -> str | None:
        asked.append(question)
        return "recipient:alice@example.test" if question.recipient == "sales@pms.com" else None

    assert program(function).to("sales@pms.com", sender="x@out.test") == "here alice@example.test"
    assert asked[0] == Question("x@out.test", "sales@pms.com", "198.51.100.1", "192.0.2.1", False)
    assert [each.recipient for each in asked] == ["sales@pms.com", "alice@example.test"]


def test_it_is_no_way_around_the_restrictions(program: Any) -> None:
    for answer in ("relay", "reroute:other.test", "host:gate.test", "recipient:x@other.test"):
        assert program(lambda question, said=answer: said).to("x@pms.com") in ("RelayDenied", "LoopDetected")
    denied = program(lambda question: "relay", routing__restrictions__deny=["203.0.113.0/24"])
    assert denied.to("x@open.test", ALICE, "203.0.113.9") == "RelayDenied"


def test_a_circle_ends(program: Any, events: list[int]) -> None:
    def function(question: Question) -> str:
        return "recipient:b@pms.com" if question.recipient[0] == "a" else "recipient:a@pms.com"

    assert program(function).to("a@pms.com", ALICE) == "LoopDetected"
    assert 4115 in events


@pytest.mark.parametrize(
    "said", [7, "nonsense", "reroute:", "reroute:a b", "recipient:x", "host:", "relay:x"]
)
def test_what_is_no_answer_is_a_failure(program: Any, events: list[int], said: Any) -> None:
    assert program(lambda question: said).to("alice@example.test") == "here alice@example.test"
    assert events == [20_021]
    careful = program(lambda question: said, routing__plugin_failure="refuse")
    assert careful.to("alice@example.test") == "TryLater"


def test_what_it_raises_is_contained(program: Any, events: list[int]) -> None:
    def function(question: Question) -> str:
        raise SystemExit(3)

    assert program(function).to("alice@example.test") == "here alice@example.test"
    assert events == [20_021]


def test_one_that_hangs_is_given_up_and_all_hang_at_last(store_reactor: StoreReactor, tmp_path: Path) -> None:
    plugin = Plugin(store_reactor, tmp_path, "test")
    go, began = threading.Event(), threading.Semaphore(0)

    def function() -> str:
        began.release()
        assert go.wait(20)
        return "late"

    plugin.name, plugin._function = "test.function", function
    ended: list[Any] = []
    for _ in range(THREADS):
        ensureDeferred(plugin.call(2)).addBoth(ended.append)
        assert began.acquire(timeout=20)
    store_reactor.advance(2.1)
    assert [each.value.args[0] for each in ended] == ["test.function took longer than 2 s"] * THREADS
    with pytest.raises(PluginFailed, match="hangs"):
        run(plugin.call(2))
    go.set()
    while plugin._threads._hanging:
        fn, args = store_reactor._calls.get(timeout=20)
        fn(*args)
    assert run(plugin.call(2)) == "late"
    plugin.stop()


def test_who_hangs_up_meanwhile_leaves_nothing_behind(store_reactor: StoreReactor, tmp_path: Path) -> None:
    plugin = Plugin(store_reactor, tmp_path, "test")
    go, began = threading.Event(), threading.Semaphore(0)

    def function() -> None:
        began.release()
        assert go.wait(20)

    plugin.name, plugin._function = "test.function", function
    ended: list[Any] = []
    waiting = ensureDeferred(plugin.call(2)).addBoth(ended.append)
    assert began.acquire(timeout=20)
    waiting.cancel()
    assert (len(ended), plugin._threads._hanging) == (1, 1)
    assert not store_reactor.getDelayedCalls()
    go.set()
    fn, args = store_reactor._calls.get(timeout=20)
    fn(*args)
    assert plugin._threads._hanging == 0
    plugin.stop()


def test_a_function_is_found_in_the_home_and_read_anew(tmp_path: Path, store_reactor: StoreReactor) -> None:
    file = tmp_path / "imsd_test_router.py"
    file.write_text("def route(question):\n    return 'relay'\n")
    assert load("imsd_test_router.route", tmp_path)(None) == "relay"
    file.write_text("def route(question):\n    return 'inbound' + ''\n")
    assert load("imsd_test_router.route", tmp_path)(None) == "inbound"
    for name in ("imsd_test_router.other", "imsd_no_such_module.route", "imsd_test_router.__name__"):
        with pytest.raises(PluginFailed):
            load(name, tmp_path)
    plugin = Plugin(store_reactor, tmp_path, "test")
    plugin.use("imsd_no_such_module.route")
    assert "cannot be imported" in plugin.problem
    with pytest.raises(PluginFailed, match="cannot be imported"):
        run(plugin.call(1))


def test_it_is_taken_from_the_settings_as_they_are(tmp_path: Path, store_reactor: StoreReactor) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/imsd_test_live.py").write_text(
        "def route(question):\n    return 'refuse:By program'\n"
    )
    world = World()
    world.policy.plugin = RoutingPlugin(world.settings, store_reactor, tmp_path)
    assert world.to("alice@example.test") == "here alice@example.test"
    world.set(routing__plugin="imsd_test_live.route")
    assert world.to("alice@example.test") == "PolicyRejected"
    world.set()
    assert world.to("alice@example.test") == "here alice@example.test"
    world.policy.plugin.stop()
