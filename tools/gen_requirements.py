"""Writes `docs/requirements.md` from `docs/requirements.json`; `--check` writes nothing and exits 1 if they differ."""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "requirements.json"
PAGE = ROOT / "docs" / "requirements.md"

_ID = re.compile(r"^([A-Z]+)-([1-9][0-9]*)$")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One statement of the source documents: `id` like HS-5, `group` like HS, `text` (a paragraph), `source`."""

    id: str
    group: str
    text: str
    source: str


def load(path: Path = TABLE) -> tuple[dict[str, str], list[Requirement]]:
    """The groups (ID -> title) and the requirements, in the order of the file.

    Raises:
        ValueError: an ID is malformed, used twice, out of its group's numbering, or its group is not declared.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    groups = {group["id"]: group["title"] for group in document["groups"]}
    requirements = [Requirement(**item) for item in document["requirements"]]
    count: dict[str, int] = dict.fromkeys(groups, 0)
    for item in requirements:
        match = _ID.match(item.id)
        if match is None or match[1] != item.group or item.group not in groups:
            raise ValueError(f"requirement {item.id!r}: malformed, or of an undeclared group")
        count[item.group] += 1
        if int(match[2]) != count[item.group]:
            raise ValueError(f"requirement {item.id}: expected {item.group}-{count[item.group]} here")
        if not item.text.strip() or not item.source.strip():
            raise ValueError(f"requirement {item.id}: text and source must not be empty")
    return groups, requirements


def render(groups: dict[str, str], requirements: list[Requirement]) -> str:
    """The Markdown page. Every requirement has an anchor that is its ID in lower case (`#hs-5`)."""
    lines = [
        "# Requirements",
        "",
        "<!-- Generated from requirements.json by `make requirements`. Edit that file instead. -->",
        "",
        "Every statement of the two public documents about ALTS, in our words, under a stable ID: the vendor's white",
        "paper of December 2017 and an encyclopaedia article. The white paper calls itself an overview and no",
        "specification of the wire; where it is silent, SPEC.md decides and says so. Tests, vectors, queries and",
        "conformance cases name these IDs.",
    ]
    for group, title in groups.items():
        members = [item for item in requirements if item.group == group]
        lines += ["", f"## {group} – {title}", "", "| ID | Statement | Source |", "|---|---|---|"]
        for item in members:
            text, source = (value.replace("|", "\\|") for value in (item.text, item.source))
            lines.append(f'| <a id="{item.id.lower()}"></a>{item.id} | {text} | {source} |')
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Entry point. Exit codes: 0 all well, 1 --check found a difference, 3 the table is not valid."""
    parser = argparse.ArgumentParser(prog="python -m tools.gen_requirements", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page differs")
    check = parser.parse_args(argv).check
    try:
        groups, requirements = load()
    except (ValueError, KeyError, TypeError) as error:
        print(f"gen_requirements: {error}", file=sys.stderr)
        return 3
    page = render(groups, requirements)
    if check:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page
        print("gen_requirements: the page is up to date" if same else "gen_requirements: run `make requirements`")
        return 0 if same else 1
    PAGE.write_text(page, encoding="utf-8")
    print(f"gen_requirements: {len(requirements)} requirements in {len(groups)} groups")
    return 0


if __name__ == "__main__":
    sys.exit(main())
