"""House rules: a plug-in for imsd, to use and to begin one's own from (docs/plugins.md).

    cp etc/plugins/house_rules.py HOME/plugins/
    imsctl settings set hooks.plugins '[{"name": "house_rules.HouseRules", "settings": {
        "refused": [".exe", ".js"], "external": true, "diary": "/var/log/imsd/fates.jsonl"}}]'

Mail with a file of a refused kind is refused. Mail from outside gets a field that says so. What becomes of
mail is written to a diary, a JSON object to a line.
"""

from __future__ import annotations

import json
from email import message_from_bytes, policy
from threading import Lock
from typing import Any


class HouseRules:
    """settings: those of the row."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.refused = tuple(kind.lower() for kind in settings.get("refused", [".exe"]))
        self.external = bool(settings.get("external", True))
        self.diary = settings.get("diary", "")
        self._lock = Lock()

    def received(self, message: Any) -> str | None:
        """No coroutine: it runs in a thread, for it reads the whole message."""
        # Fields that are wrong must not cost an answer: compat32 raises nothing.
        text = message_from_bytes(b"".join(message.pieces()), policy=policy.compat32)
        for part in text.walk():
            name = str(part.get_filename() or "").lower()
            if name.endswith(self.refused):
                return f"refuse:We do not take files like {name}"
        if self.external and message.account is None and message.protocol != "pickup":
            return "field:X-External: yes"
        return None

    def delivered(self, fate: Any) -> None:
        self._write("delivered", fate)

    def sent(self, fate: Any) -> None:
        self._write("sent", fate)

    def failed(self, fate: Any) -> None:
        self._write("failed", fate)

    def _write(self, what: str, fate: Any) -> None:
        if not self.diary:
            return
        line = {
            "time": fate.time / 1e6,
            "what": what,
            "message": fate.queue_id,
            "from": fate.sender,
            "to": fate.recipient,
            "why": fate.reason,
        }
        with self._lock, open(self.diary, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
