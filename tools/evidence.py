"""Keeps the report of a run as evidence: `python -m tools.evidence FILE COMMAND...`.

COMMAND prints one JSON document. It is kept as FILE only if COMMAND exits 0; else there is no FILE, but FILE with
`.failed` before its ending, for whoever looks into it, and what went wrong in it is printed. The exit code is
COMMAND's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HARNESS = 3


def main(arguments: list[str]) -> int:
    """Entry point; 2 for a wrong call."""
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    kept, command = Path(arguments[0]), arguments[1:]
    failed = kept.with_suffix(f".failed{kept.suffix}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    for path in (kept, failed):
        path.unlink(missing_ok=True)
    with failed.open("wb") as output:
        code = subprocess.run(command, stdout=output, check=False).returncode
    try:
        document = json.loads(failed.read_text(encoding="utf-8"))
    except ValueError:
        document, code = None, code or HARNESS
    if code == 0:
        failed.replace(kept)
        results = list(entries(document))
        skipped = sum(bool(entry.get("skipped")) or entry.get("result") == "skipped" for entry in results)
        is_open = sum("open" in entry for entry in results)
        apart = [f"{count} {word}" for count, word in ((skipped, "SKIPPED"), (is_open, "OPEN")) if count]
        print(
            f"{kept}: {len(results)} results, {', '.join([*apart, 'all else' if apart else 'all'])} as they should be"
        )
        return 0
    print(f"exit status {code}; no evidence; the report, as far as it goes: {failed}")
    for finding in findings(document):
        print(f"  {finding}")
    return code if 0 < code < 128 else HARNESS


def entries(document: Any) -> Iterator[dict[str, Any]]:
    """The results in a report: every object with a name of its own in a list."""
    if isinstance(document, list):
        for item in document:
            yield from entries(item)
    elif isinstance(document, dict):
        if any(name in document for name in ("id", "query", "scenario")) or {"name", "findings"} <= document.keys():
            yield document
        for value in document.values():
            if isinstance(value, list):
                yield from entries(value)


def findings(document: Any) -> Iterator[str]:
    """What went wrong, one line each."""
    for entry in entries(document):
        name = next(str(entry[key]) for key in ("id", "query", "scenario", "name") if key in entry)
        if entry.get("mismatch"):
            yield f"{name}: {entry['mismatch']}"
        if "expected" in entry and entry["expected"] != entry.get("result") and "open" not in entry:
            yield f"{name}: {entry.get('result')}, not {entry['expected']}; {entry.get('reason', '')}"
        for finding in entry.get("findings") or ():
            yield f"{name}: {finding}"
        if "evidence" in entry and not entry["evidence"] and entry.get("violation") is not None:
            yield f"{name}: {entry['violation']}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
