"""Operations on settings."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterator
from typing import Any

from imsd.admin.operations import Json, operation
from imsd.auth import protocols
from imsd.errors import ConstraintViolation, NoSuchEntry
from imsd.store import settings as rows


def _row(core: Any, wanted: str) -> Json:
    key, value, default, text = core.settings.find(wanted)
    return {"key": key, "value": _plain(value), "default": _plain(default), "help": text}


def _of(key: str, server: str) -> str:
    """The key of a server's own value; "": the site's."""
    return f"{key}@{server}" if server else key


async def _change(core: Any, put: dict[str, str], gone: tuple[str, ...] = ()) -> None:
    """Write rows; they hold when this returns."""
    await core.db.write(rows.change, put, gone)
    await core.read_settings()


def _plain(value: Any) -> Json:
    return json.loads(json.dumps(value, default=_as_json))


def _as_json(value: Any) -> Json:
    if isinstance(value, set | frozenset):
        return sorted(value)
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)


@operation("settings.list")
async def list_settings(core: Any) -> Json:
    """Every setting with its value, default and meaning; then what servers have of their own."""
    return [_row(core, key) for key, *_ in core.settings.describe()]


@operation("settings.get")
async def get_setting(core: Any, key: str, server: str = "") -> Json:
    """One setting, of the site or of a server."""
    return _row(core, _of(key, server))


@operation("settings.set")
async def set_setting(core: Any, key: str, value: str, server: str = "") -> Json:
    """Change one setting, of the site or of a server; refused when the value does not fit."""
    row, checked = core.settings.parse(_of(key, server), value)
    await _change(core, {row: checked})
    return _row(core, row)


@operation("settings.reset")
async def reset_setting(core: Any, key: str, server: str = "") -> Json:
    """Put one setting back to its default; a server's, or a whole section of it, to the site's."""
    if server and key in core.settings.sections:
        await _change(core, {}, tuple(core.settings.own(server, key)))
        return {"key": _of(key, server), "value": "as the site has it"}
    row = _row(core, _of(key, server))
    await _change(core, {}, (row["key"],))
    return _row(core, row["key"])


@operation("settings.export")
async def export_settings(core: Any) -> Json:
    """What differs from its default, as TOML text; a server's own value is `"name@server"`."""
    sections: dict[str, list[str]] = {}
    for key, value, default, _ in core.settings.describe():
        if value != default or "@" in key:
            section, name = _divided(key)
            quoted = json.dumps(name) if "@" in name else name
            sections.setdefault(section, []).append(f"{quoted} = {_toml(_plain(value))}")
    return "\n".join(f"[{section}]\n" + "\n".join(lines) + "\n" for section, lines in sections.items())


@operation("settings.import")
async def import_settings(core: Any, text: str, dry_run: bool = False) -> Json:
    """Make the settings equal to a TOML text, all or none; gives what changes."""
    try:
        wanted = tomllib.loads(text)
    except ValueError as error:
        raise ConstraintViolation(str(error)) from None
    checked: dict[str, str] = {}
    for name, value in _flat(core.settings.sections, wanted):
        key, row = core.settings.parse(name, json.dumps(value))
        checked[key] = row
    changes, gone = [], []
    for key in dict.fromkeys([*(key for key, *_ in core.settings.describe()), *sorted(checked)]):
        _, value, default, _ = core.settings.find(key)
        before = _plain(value)
        after = json.loads(checked[key]) if key in checked else _plain(default)
        own = key in core.settings.stored() and "@" in key
        if before != after or ("@" in key and own != (key in checked)):
            changes.append({"key": key, "before": before, "after": after})
            if key not in checked:
                gone.append(key)
    if changes and not dry_run:
        await _change(core, checked, tuple(gone))
    return changes


@operation("settings.explain")
async def explain_settings(core: Any, who: str, protocol: str) -> Json:
    """What holds for a mailbox in a protocol: each value, which level decided, and why."""
    person = await core.directory.person_by_login(who)
    if person is None:
        raise NoSuchEntry(f"There is nobody called {who}")
    rows = [
        {"name": each.name, "value": _plain(each.value), "decided_by": each.level, "why": each.why}
        for each in protocols.explain(core.settings, protocol, person.protocols, person.capabilities_off)
    ]
    limits = await core.directory.limits(person.account)
    level = "mailbox" if limits.own else "site"
    why = "limits of its own" if limits.own else "the quotas page"
    for name, bound in (
        ("warn", limits.bounds.warn),
        ("send", limits.bounds.send),
        ("most", limits.bounds.most),
    ):
        value = max(bound, 0) // 1024 if bound else None
        rows.append({"name": f"quotas.{name}_kb", "value": value, "decided_by": level, "why": why})
    return rows


def _divided(key: str) -> tuple[str, str]:
    """Section and name of a key; a section may have dots, and so may a server's name."""
    dotted, at, server = key.partition("@")
    section, _, name = dotted.rpartition(".")
    return section, name + at + server


def _flat(sections: Collection[str], values: dict[str, Json], above: str = "") -> Iterator[tuple[str, Json]]:
    """Tables of TOML as dotted keys: a table that is no section may hold some."""
    for name, value in values.items():
        key = f"{above}{name}"
        if isinstance(value, dict) and any(f"{one}.".startswith(f"{key}.") for one in sections):
            yield from _flat(sections, value, f"{key}.")
        elif above:
            yield key, value
        else:
            raise NoSuchEntry(f"There is no setting {name}; settings stand below a [section]")


def _toml(value: Json) -> str:
    """A JSON value in TOML; objects become inline tables, null has no form there."""
    if isinstance(value, dict):
        inner = ", ".join(
            f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items() if item is not None
        )
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
