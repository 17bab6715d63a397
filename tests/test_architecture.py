"""Who may import whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DRIVERS = {"sqlite3", "psycopg", "sqlalchemy", "alembic"}
VALUES = {
    "grammar",
    "reader",
    "responses",
    "ber",
    "dn",
    "filters",
    "schema",
    "matching",
    "sets",
    "keys",
    "messages",
}
SHARED = {
    "languages",
    "lines",
    "values",
    "deflate",
    "conversation",
    "connection",
    "security",
    "errors",
    "message",
    "sasl",
}


def modules(top: str) -> list[tuple[str, Path]]:
    found = []
    for path in sorted((ROOT / top).rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


ALL = modules("protocols") + modules("imsd")


def imports(path: Path, runtime: bool = True) -> Iterator[str]:
    """The modules imported anywhere in a file; those for type checkers alone left out."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if runtime and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for inner in node.body:
                skipped.update(ast.walk(inner))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offenders(applies: object, forbidden: object) -> list[str]:
    assert callable(applies) and callable(forbidden)
    return [
        f"{name} imports {imported}"
        for name, path in ALL
        if applies(name)
        for imported in imports(path)
        if forbidden(imported)
    ]


def under(package: str, *prefixes: str) -> bool:
    return any(package == prefix or package.startswith(prefix + ".") for prefix in prefixes)


def test_protocols_know_nothing_of_imsd() -> None:
    assert not offenders(lambda name: under(name, "protocols"), lambda module: under(module, "imsd"))


@pytest.mark.parametrize("one", ["smtp", "pop3", "imap4", "ldap", "message", "sasl"])
def test_no_protocol_imports_another(one: str) -> None:
    def forbidden(module: str) -> bool:
        if not module.startswith("protocols."):
            return False
        other = module.split(".")[1]
        return other != one and other not in SHARED

    assert not offenders(lambda name: under(name, f"protocols.{one}"), forbidden)


def test_grammars_and_values_know_nothing_of_twisted() -> None:
    def value(name: str) -> bool:
        parts = name.split(".")
        return under(name, "protocols.message") or (parts[0] == "protocols" and parts[-1] in VALUES)

    assert not offenders(value, lambda module: under(module, "twisted", "zope"))


def test_commands_know_nothing_of_twisted() -> None:
    assert not offenders(lambda name: ".commands" in name, lambda module: under(module, "twisted"))


def test_only_the_store_touches_a_database_driver() -> None:
    assert not offenders(
        lambda name: not under(name, "imsd.store"), lambda module: module.split(".")[0] in DRIVERS
    )


def test_store_and_directory_use_protocols_values_only() -> None:
    def forbidden(module: str) -> bool:
        parts = module.split(".")
        return parts[0] == "protocols" and parts[-1] in {
            "server",
            "conversation",
            "connection",
            "verbs",
            "interfaces",
        }

    assert not offenders(lambda name: under(name, "imsd.store", "imsd.directory"), forbidden)


# Who carries mail, who asks a host for it, and who is asked.
CARRIERS = ("imsd.mail.relay", "imsd.mail.retrieving", "imsd.mail.handover")


def test_the_relay_alone_uses_the_smtp_client() -> None:
    assert not offenders(
        lambda name: under(name, "imsd") and not under(name, *CARRIERS),
        lambda module: under(module, "protocols.smtp.client"),
    )


def test_sessions_and_administration_are_imported_by_the_composition_root_alone() -> None:
    assert not offenders(
        lambda name: not under(name, "imsd.service", "imsd.sessions", "imsd.admin", "imsd.ctl"),
        lambda module: under(module, "imsd.sessions", "imsd.admin"),
    )


def test_the_reactor_is_imported_at_the_top_alone() -> None:
    assert not offenders(
        lambda name: name not in ("imsd.tap", "imsd.ctl.offline"),
        lambda module: module == "twisted.internet.reactor",
    )


def test_there_are_no_import_cycles() -> None:
    names = {name for name, _ in ALL}
    edges: dict[str, set[str]] = {}
    for name, path in ALL:
        top = [
            node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        wanted: set[str] = set()
        for node in top:
            if isinstance(node, ast.Import):
                wanted.update(alias.name for alias in node.names)
            elif node.module:
                wanted.update(
                    full if (full := f"{node.module}.{alias.name}") in names else node.module
                    for alias in node.names
                )
        edges[name] = (wanted & names) - {name}
    done: set[str] = set()
    trail: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        assert name not in trail, "cycle: " + " -> ".join([*trail[trail.index(name) :], name])
        trail.append(name)
        for other in sorted(edges[name]):
            visit(other)
        trail.pop()
        done.add(name)

    sys.setrecursionlimit(5000)
    for name in sorted(edges):
        visit(name)


def test_no_module_opens_anything_when_imported() -> None:
    """Calls at module level of open, connect, listen and their like."""
    for name, path in ALL:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            for call in (inner for inner in ast.walk(node) if isinstance(inner, ast.Call)):
                called = ast.unparse(call.func).rpartition(".")[2]
                assert called not in {"open", "connect", "listen", "read_text", "read_bytes", "socket"}, (
                    name,
                    called,
                )
