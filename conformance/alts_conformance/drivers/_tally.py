"""Counts, sizes and digest of a sequence of messages, as DRIVER.md wants them reported."""

from __future__ import annotations

import hashlib
import struct
from typing import Any


class Tally:
    """Counts messages without keeping them."""

    def __init__(self) -> None:
        self.count = self.total = 0
        self.first = b""
        self._digest = hashlib.sha256()

    def add(self, message: bytes) -> None:
        """Count one message."""
        if not self.count:
            self.first = message
        self.count += 1
        self.total += len(message)
        self._digest.update(struct.pack(">I", len(message)))
        self._digest.update(message)

    def summary(self) -> bytes:
        """The response of ``ClientStream``."""
        return struct.pack(">QQ", self.count, self.total) + self._digest.digest()

    def report(self, name: str) -> dict[str, Any]:
        """The fields of an outcome."""
        report: dict[str, Any] = {f"{name}_messages": self.count, f"{name}_bytes": self.total}
        report[f"{name}_sha256"] = self._digest.hexdigest()
        if self.count and len(self.first) <= 4096:
            report[f"{name}_first"] = self.first.hex()
        return report
