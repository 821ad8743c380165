"""Reads declarations of the typed ProVerif language; `_phrases` reads what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from alts_proofs.engine import _syntax as ast
from alts_proofs.engine._errors import ScriptError, Unsupported
from alts_proofs.engine._lexer import Place, Token, tokenize
from alts_proofs.engine._phrases import Phrases

# `channel` stands for the type of channels as well.
_DECLARES = frozenset({"type", "fun", "const", "free", "event", "table", "let", "letfun", "reduc", "channel"})
_NESTING = 32
_LEMMA_OPTIONS = frozenset({"induction", "noInduction", "maxSubset"}).union(
    f"{when}{where}" for when in ("none", "discard", "instantiate", "full") for where in ("Sat", "Verif")
)


def parse_script(script: Path, libraries: Iterable[Path] = (), root: Path | None = None) -> ast.Source:
    """The declarations of `libraries`, in their order, then those of `script` and its process.

    Places name files relative to `root`. Raises `ScriptError`, `Unsupported`, and `OSError` for files that cannot be
    read.
    """
    source = ast.Source()
    macros: dict[str, _Macro] = {}
    for path in (*libraries, script):
        name = str(path.relative_to(root)) if root is not None and path.is_relative_to(root) else path.name
        try:
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise ScriptError(f"{path} cannot be read: {error.strerror}") from error
        _Declarations(tokenize(text, name), source, macros).read(path == script)
    return source


def parse_text(text: str, file: str = "script.pv") -> ast.Source:
    """The same for a script in a string."""
    source = ast.Source()
    _Declarations(tokenize(text, file), source, {}).read(True)
    return source


class _Macro:
    """A ``def``: its parameters and the words of its body."""

    def __init__(self, parameters: list[str], body: list[Token]) -> None:
        self.parameters = parameters
        self.body = body
        self.uses = 0

    def expand(self, name: str, args: list[str], place: Place) -> list[Token]:
        """The body with arguments for parameters, and new names for what it declares itself."""
        if len(args) != len(self.parameters):
            raise ScriptError(f"{name} takes {len(self.parameters)} arguments, not {len(args)}", place)
        self.uses += 1
        renamed = dict(zip(self.parameters, args, strict=True))
        for first, second in zip(self.body, self.body[1:], strict=False):
            if first.kind in _DECLARES and second.kind == "id" and second.text not in renamed:
                renamed[second.text] = f"{second.text}@{name}{self.uses}"
        words = [
            Token("id", renamed[token.text], token.place) if token.kind == "id" and token.text in renamed else token
            for token in self.body
        ]
        return [*words, Token("end", "", place)]


class _Declarations(Phrases):
    """Reads one file into `source`."""

    def __init__(self, tokens: list[Token], source: ast.Source, macros: dict[str, _Macro], depth: int = 0) -> None:
        super().__init__(tokens)
        self.source = source
        self.macros = macros
        self.depth = depth
        self.readers: dict[str, Callable[[Place], None]] = {
            "type": self._type,
            "fun": self._fun,
            "reduc": self._reduc,
            "const": self._constants,
            "free": self._constants,
            "channel": self._channels,
            "equation": self._equation,
            "event": self._event,
            "table": self._table,
            "let": self._process,
            "letfun": self._letfun,
            "set": self._set,
            "query": self._query,
            "not": self._not,
            "nounif": self._select,
            "select": self._select,
            "noselect": self._select,
            "noninterf": self._unsupported_query,
            "weaksecret": self._unsupported_query,
            "lemma": self._lemma,
            "def": self._define,
            "expand": self._expand,
        }

    def read(self, main: bool) -> None:
        """All declarations and, in the main file, the process."""
        while True:
            token = self.peek()
            if token.kind == "end":
                if main:
                    raise ScriptError("no process", token.place)
                return
            if token.kind == "process" and main:
                self.next()
                self.source.process = self.process()
                self.expect("end")
                return
            reader = self.readers.get(token.kind)
            if reader is None:
                if token.kind in ("id", "int", "string") or not token.text.isalpha():
                    raise ScriptError(f"a declaration cannot begin with {token.text!r}", token.place)
                raise Unsupported(token.text, token.place)
            self.next()
            reader(token.place)

    def _options(self) -> frozenset[str]:
        options: list[str] = []
        if self.accept("["):
            while True:
                options.append(self.identifier())
                if self.accept("="):
                    if self.accept("{"):
                        options += [f"{options[-1]}={name}" for name in self.identifiers()]
                        self.expect("}")
                    else:
                        self.next()
                if not self.accept(","):
                    break
            self.expect("]")
        return frozenset(options)

    def _end(self) -> frozenset[str]:
        options = self._options()
        self.expect(".")
        return options

    def _type(self, place: Place) -> None:
        self.source.types.add(self.identifier())
        self._end()

    def _types(self) -> int:
        count = 0
        self.expect("(")
        if not self.accept(")"):
            while True:
                self.type_name()
                count += 1
                if not self.accept(","):
                    break
            self.expect(")")
        return count

    def _fun(self, place: Place) -> None:
        name = self.identifier()
        arity = self._types()
        self.expect(":")
        self.type_name()
        rules: list[ast.RuleText] = []
        if self.accept("reduc"):
            rules.append(self._rule())
            while self.accept("otherwise"):
                rules.append(self._rule())
        options = self._end()
        self.source.declarations.append(ast.DeclareFun(name, arity, options, tuple(rules), place, otherwise=True))

    def _rule(self) -> ast.RuleText:
        place = self.peek().place
        variables: tuple[ast.Parameter, ...] = ()
        if self.accept("forall"):
            variables = self.parameters()
            self.expect(";")
        lets: list[tuple[str, ast.Term]] = []
        while self.accept("let"):
            name = self.identifier()
            self.expect("=")
            lets.append((name, self.term()))
            self.expect("in")
        equation = self.term()
        for name, value in reversed(lets):
            equation = ast.Let(ast.Bind(name, place), value, equation, None, place)
        if isinstance(equation, ast.Let):
            raise Unsupported("let in a rewrite rule or equation", place)
        if not isinstance(equation, ast.Call) or equation.name != "=":
            raise ScriptError("a rewrite rule or equation has the form M = N", place)
        return ast.RuleText(variables, equation.args[0], equation.args[1], place)

    def _rules(self) -> tuple[ast.RuleText, ...]:
        rules = [self._rule()]
        while self.accept(";"):
            rules.append(self._rule())
        return tuple(rules)

    def _reduc(self, place: Place) -> None:
        rules = self._rules()
        options = self._end()
        left = rules[0].left
        if not isinstance(left, ast.Call):
            raise ScriptError("a rewrite rule begins with a function of arguments", place)
        self.source.declarations.append(ast.DeclareFun(left.name, len(left.args), options, rules, place))

    def _constants(self, place: Place) -> None:
        free = self.tokens[self.position - 1].kind == "free"
        names = self.identifiers()
        self.expect(":")
        self.type_name()
        options = self._end()
        for name in names:
            self.source.declarations.append(ast.DeclareFun(name, 0, options, (), place, free=free))

    def _channels(self, place: Place) -> None:
        for name in self.identifiers():
            self.source.declarations.append(ast.DeclareFun(name, 0, frozenset(), (), place, free=True))
        self.expect(".")

    def _equation(self, place: Place) -> None:
        rules = self._rules()
        self._end()
        self.source.declarations.append(ast.DeclareEquations(rules, place))

    def _event(self, place: Place) -> None:
        name = self.identifier()
        arity = self._types() if self.peek().kind == "(" else 0
        self.expect(".")
        self.source.declarations.append(ast.DeclareEvent(name, arity, place))

    def _table(self, place: Place) -> None:
        name = self.identifier()
        arity = self._types()
        self.expect(".")
        self.source.declarations.append(ast.DeclareTable(name, arity, place))

    def _head(self) -> tuple[str, tuple[ast.Parameter, ...]]:
        name = self.identifier()
        parameters: tuple[ast.Parameter, ...] = ()
        if self.accept("(") and not self.accept(")"):
            parameters = self.parameters()
            self.expect(")")
        self.expect("=")
        return name, parameters

    def _process(self, place: Place) -> None:
        name, parameters = self._head()
        body = self.process()
        self.expect(".")
        self.source.declarations.append(ast.DeclareProcess(name, parameters, body, place))

    def _letfun(self, place: Place) -> None:
        name, parameters = self._head()
        body = self.term()
        self.expect(".")
        self.source.declarations.append(ast.DeclareLetfun(name, parameters, body, place))

    def _set(self, place: Place) -> None:
        name = self.identifier()
        self.expect("=")
        value = self.next().text
        self.expect(".")
        self.source.declarations.append(ast.DeclareSet(name, value, place))

    def _quantified(self) -> tuple[ast.Parameter, ...]:
        """Variables in front of a query, if there are any: identifiers with a colon behind them."""
        ahead = 0
        while self.peek(ahead).kind == "id" and self.peek(ahead + 1).kind == ",":
            ahead += 2
        if self.peek(ahead).kind != "id" or self.peek(ahead + 1).kind != ":":
            return ()
        variables = self.parameters()
        self.expect(";")
        return variables

    def _query(self, place: Place, lemma: bool = False) -> None:
        asked: list[tuple[ast.Term, str, Place, str | None]] = []
        variables = self._quantified()
        while True:
            start = self.position
            token = self.peek()
            reason = None
            goal: ast.Term = ast.Fail(token.place)
            if token.kind in ("secret", "putbegin"):
                reason = f"query {token.text}"
                while self.peek().kind not in (".", ";", "end"):
                    self.next()
            else:
                goal = self.fact()
                if self.peek().kind == "public_vars":
                    reason = "public_vars"
                    while self.peek().kind not in (".", ";", "["):
                        self.next()
            asked.append((goal, _text(self.tokens[start : self.position]), token.place, reason))
            if not self.accept(";"):
                break
        options = self._end()
        if lemma and (unknown := options - _LEMMA_OPTIONS):
            raise Unsupported(f"option {min(unknown)} of a lemma", place)
        group = len(self.source.declarations)
        for goal, text, where, reason in asked:
            self.source.declarations.append(
                ast.DeclareQuery(variables, goal, text, where, reason, group, lemma, options)
            )

    def _lemma(self, place: Place) -> None:
        self._query(place, lemma=True)

    def _unsupported_query(self, place: Place) -> None:
        word = self.tokens[self.position - 1]
        start = self.position - 1
        while self.peek().kind not in (".", "end"):
            self.next()
        text = _text(self.tokens[start : self.position])
        self.expect(".")
        self.source.declarations.append(ast.DeclareQuery((), ast.Fail(place), text, place, word.text))

    def _not(self, place: Place) -> None:
        variables = self._quantified()
        fact = self.fact()
        self._end()
        self.source.declarations.append(ast.DeclareNot(variables, fact, place))

    def _select(self, place: Place) -> None:
        select = self.tokens[self.position - 1].kind == "select"
        variables = self._quantified()
        fact = self.fact()
        weight: int | None = None
        if self.accept("/"):
            sign = -1 if self.accept("-") else 1
            weight = sign * self.integer() * (1 if select else -1)
        options = self._end()
        self.source.declarations.append(ast.DeclareSelect(variables, fact, weight, select, options, place))

    def _define(self, place: Place) -> None:
        name = self.identifier()
        parameters: list[str] = []
        self.expect("(")
        if not self.accept(")"):
            parameters = [self.type_name()]
            while self.accept(","):
                parameters.append(self.type_name())
            self.expect(")")
        self.expect("{")
        body: list[Token] = []
        depth = 1
        while True:
            token = self.next()
            if token.kind == "end":
                raise ScriptError(f"def {name} has no end", place)
            depth += {"{": 1, "}": -1}.get(token.kind, 0)
            if depth == 0:
                break
            body.append(token)
        self.macros[name] = _Macro(parameters, body)

    def _expand(self, place: Place) -> None:
        name = self.identifier()
        self.expect("(")
        args: list[str] = []
        if not self.accept(")"):
            args = [self.type_name()]
            while self.accept(","):
                args.append(self.type_name())
            self.expect(")")
        self.expect(".")
        macro = self.macros.get(name)
        if macro is None:
            raise ScriptError(f"{name} is not defined", place)
        if self.depth > _NESTING:
            raise ScriptError(f"{name} expands without end", place)
        _Declarations(macro.expand(name, args, place), self.source, self.macros, self.depth + 1).read(False)


def _text(tokens: list[Token]) -> str:
    """The words as one line, spaced for reading."""
    line = ""
    for token in tokens:
        if line and not line.endswith(("(", "[")) and token.text not in (",", ")", "(", "]", "["):
            line += " "
        line += token.text
    return line
