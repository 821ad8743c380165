"""Words of the typed ProVerif language, each with the place it stands at."""

from __future__ import annotations

import re
from dataclasses import dataclass

from alts_proofs.engine._errors import ScriptError

KEYWORDS = frozenset(
    [
        "type",
        "set",
        "forall",
        "fail",
        "or",
        "const",
        "letfun",
        "channel",
        "def",
        "expand",
        "yield",
        "proba",
        "letproba",
        "proof",
        "implementation",
        "foreach",
        "do",
        "secret",
        "public_vars",
        "table",
        "insert",
        "get",
        "param",
        "new",
        "out",
        "in",
        "if",
        "then",
        "else",
        "fun",
        "equation",
        "reduc",
        "pred",
        "process",
        "let",
        "query",
        "putbegin",
        "noninterf",
        "event",
        "not",
        "elimtrue",
        "free",
        "clauses",
        "suchthat",
        "nounif",
        "select",
        "noselect",
        "phase",
        "sync",
        "among",
        "weaksecret",
        "equivalence",
        "otherwise",
        "choice",
        "diff",
        "lemma",
        "axiom",
        "restriction",
        "for",
    ]
)

_TOKEN = re.compile(
    r"(?P<space>[ \t\f\r\n]+)"
    r"|(?P<comment>\(\*)"
    r"|(?P<word>inj-event(?![\w'])|[A-Za-z][A-Za-z0-9_'\u00c0-\u00ff]*)"
    r"|(?P<int>[0-9]+)"
    r'|(?P<string>"(?:[^"\\]|\\.)*")'
    r"|(?P<sign><-R|==>|<->|<=>|->|<-|<=|>=|<>|\|\||&&|[,()\[\]{}|;!=/.*:+\-^<>@_#~])"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Token:
    """A word: `kind` is ``id``, ``int``, ``string``, ``end`` or, for keywords and signs, the text itself."""

    kind: str
    text: str
    place: Place


def tokenize(text: str, file: str) -> list[Token]:
    """The words of `text`, ended by one of kind ``end``.

    Raises `ScriptError` for a character or comment that the language does not know.
    """
    tokens: list[Token] = []
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ScriptError(f"unknown character {text[position]!r}", Place(file, line))
        place = Place(file, line)
        kind = match.lastgroup
        if kind == "comment":
            end = _comment_end(text, position, place)
            line += text.count("\n", position, end)
            position = end
            continue
        word = match.group()
        if kind == "word":
            tokens.append(Token(word if word in KEYWORDS or word == "inj-event" else "id", word, place))
        elif kind != "space":
            tokens.append(Token(kind if kind is not None and kind in ("int", "string") else word, word, place))
        line += word.count("\n")
        position = match.end()
    tokens.append(Token("end", "", Place(file, line)))
    return tokens


def _comment_end(text: str, start: int, place: Place) -> int:
    depth = 0
    for match in re.compile(r"\(\*|\*\)").finditer(text, start):
        depth += 1 if match.group() == "(*" else -1
        if depth == 0:
            return match.end()
    raise ScriptError("a comment without an end", place)
