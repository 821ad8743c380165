"""Links and anchors of Markdown files, as far as these documents use the language."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

_FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[`~]*[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_INLINE = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'][^)]*)?\)")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s+[\"'(].*)?$", re.MULTILINE)
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE)
_EXPLICIT = re.compile(r'<[a-z0-9]+\s[^>]*?(?:id|name)="([^"]+)"')


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def links(text: str) -> list[str]:
    """The targets of all links and images outside code and comments, in order."""
    text = _CODE.sub(_blank, _COMMENT.sub(_blank, _FENCE.sub(_blank, text)))
    return _INLINE.findall(text) + _REFERENCE.findall(text)


def anchors(path: Path) -> set[str]:
    """What a link to `path` may name after `#`: explicit anchors, and headings as forges turn them into anchors."""
    text = _FENCE.sub(_blank, path.read_text(encoding="utf-8"))
    names = set(_EXPLICIT.findall(text))
    seen: dict[str, int] = {}
    for heading in _HEADING.findall(text):
        plain = re.sub(r"<[^>]*>|[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading))
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        number = seen.get(slug, 0)
        seen[slug] = number + 1
        names.add(f"{slug}-{number}" if number else slug)
    return names


def broken_links(path: Path, root: Path) -> list[str]:
    """One line for each link of `path` into the repository that leads nowhere. Links with a scheme are not followed."""
    wrong = []
    for target in links(path.read_text(encoding="utf-8")):
        if _SCHEME.match(target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / unquote(name)).resolve() if name else path
        where = f"{path.relative_to(root)} -> {target}"
        if name.startswith("/") or not file.is_relative_to(root):
            wrong.append(f"{where}: leaves the repository")
        elif not file.exists():
            wrong.append(f"{where}: no such file")
        elif anchor and file.suffix == ".md" and unquote(anchor) not in anchors(file):
            wrong.append(f"{where}: no such anchor")
    return wrong
