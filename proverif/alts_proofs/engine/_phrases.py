"""Reads terms, patterns, facts and processes by recursive descent."""

from __future__ import annotations

from alts_proofs.engine import _syntax as ast
from alts_proofs.engine._errors import ScriptError, Unsupported
from alts_proofs.engine._lexer import Place, Token

# From loose to tight; what is not in a list associates to the right.
_LEVELS: tuple[tuple[str, ...], ...] = (("==>",), ("||",), ("&&",), ("=",), ("<>",), ("<=", ">=", "<", ">"))
_DEEPEST = 3000


class Phrases:
    """A list of words and a position in it."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self._depth = 0

    def peek(self, ahead: int = 0) -> Token:
        """The word at the position, or behind it."""
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def next(self) -> Token:
        """The word at the position, which moves on."""
        token = self.peek()
        self.position += 1
        return token

    def accept(self, kind: str) -> bool:
        """Whether the next word is of this kind; if so it is taken."""
        if self.peek().kind != kind:
            return False
        self.position += 1
        return True

    def expect(self, kind: str) -> Token:
        """The next word, which must be of this kind."""
        token = self.next()
        if token.kind != kind:
            what = "an identifier" if kind == "id" else "the end" if kind == "end" else repr(kind)
            raise ScriptError(f"{what} expected, not {token.text!r}" if token.text else f"{what} expected", token.place)
        return token

    def identifier(self) -> str:
        """An identifier."""
        return self.expect("id").text

    def identifiers(self) -> list[str]:
        """Identifiers with commas between them."""
        names = [self.identifier()]
        while self.accept(","):
            names.append(self.identifier())
        return names

    def integer(self) -> int:
        """A number."""
        return int(self.expect("int").text)

    def type_name(self) -> str:
        """A type."""
        token = self.peek()
        name = "channel" if self.accept("channel") else self.identifier()
        if name == "nat":
            raise Unsupported("natural numbers", token.place)
        return name

    def parameters(self) -> tuple[ast.Parameter, ...]:
        """``a, b: T, c: U or fail``; at least one."""
        found: list[ast.Parameter] = []
        while True:
            tokens = [self.expect("id")]
            while self.accept(","):
                tokens.append(self.expect("id"))
            self.expect(":")
            kind = self.type_name()
            may_fail = False
            if self.accept("or"):
                self.expect("fail")
                may_fail = True
            found += [ast.Parameter(token.text, kind, may_fail, token.place) for token in tokens]
            if not self.accept(","):
                return tuple(found)

    # Terms; facts are terms with the words of queries.

    def term(self) -> ast.Term:
        """A term."""
        return self._infix(1)

    def fact(self) -> ast.Term:
        """A query, fact or format."""
        return self._infix(0)

    def _infix(self, level: int) -> ast.Term:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ScriptError("nested too deeply", self.peek().place)
        try:
            if level == len(_LEVELS):
                return self._primary()
            left = self._infix(level + 1)
            token = self.peek()
            if token.kind not in _LEVELS[level]:
                if level == len(_LEVELS) - 1 and token.kind in ("+", "-"):
                    raise Unsupported("natural numbers", token.place)
                return left
            self.next()
            if level == len(_LEVELS) - 1:
                raise Unsupported("comparison of numbers", token.place)
            right = self._infix(level)
            return ast.Call(token.kind, (left, right), token.place)
        finally:
            self._depth -= 1

    def _terms(self, close: str) -> tuple[ast.Term, ...]:
        if self.accept(close):
            return ()
        found = [self.fact()]
        while self.accept(","):
            found.append(self.fact())
        self.expect(close)
        return tuple(found)

    def _primary(self) -> ast.Term:
        token = self.next()
        place = token.place
        match token.kind:
            case "id":
                if self.peek().kind in ("<-", "<-R", ":"):
                    bound = self._arrow(token)
                    if bound is not None:
                        return bound
                if self.accept("("):
                    return self._applied(token)
                return ast.Id(token.text, place)
            case "event" | "inj-event" | "table" if self.accept("("):
                return self._applied(token)
            case "not":
                self.expect("(")
                args = self._terms(")")
                return ast.Call("not", args, place)
            case "(":
                args = self._terms(")")
                return args[0] if len(args) == 1 else ast.Tuple(args, place)
            case "fail":
                return ast.Fail(place)
            case "*":
                return ast.Call("*", (ast.Id(self.identifier(), place),), place)
            case "new":
                return self._new(place)
            case "if":
                condition = self.term()
                self.expect("then")
                then = self.term()
                return ast.If(condition, then, self.term() if self.accept("else") else None, place)
            case "let":
                pattern = self.pattern()
                if self.peek().kind == "suchthat":
                    raise Unsupported("let ... suchthat", place)
                self.expect("=")
                value = self.fact()
                self.expect("in")
                body = self.fact()
                return ast.Let(pattern, value, body, self.term() if self.accept("else") else None, place)
            case "int":
                raise Unsupported("natural numbers", place)
            case "choice":
                raise Unsupported("choice", place)
            case "event" | "insert" | "get":
                raise Unsupported(f"{token.kind} in a term", place)
        raise ScriptError(f"a term cannot begin with {token.text!r}" if token.text else "a term expected", place)

    def _arrow(self, name: Token) -> ast.Term | None:
        """``x <- M; N``, ``x: T <- M; N`` and ``x <-R T; N`` as terms; nothing for any other colon."""
        ahead = 2 if self.peek().kind == ":" else 0
        kind = self.peek(ahead).kind
        if kind not in ("<-", "<-R"):
            return None
        self.position += ahead + 1
        if kind == "<-R":
            self.type_name()
            self.expect(";")
            return ast.New(name.text, self.term(), (), name.place)
        value = self.fact()
        self.expect(";")
        return ast.Let(ast.Bind(name.text, name.place), value, self.fact(), None, name.place)

    def _applied(self, token: Token) -> ast.Term:
        args = self._terms(")")
        phase = None
        if self.accept("phase"):
            phase = self.integer()
        if self.peek().kind == "@":
            raise Unsupported("temporal variables", token.place)
        return ast.Call(token.text, args, token.place, phase)

    def _new(self, place: Place) -> ast.Term:
        name = self.identifier()
        bindings: list[tuple[str, ast.Term]] = []
        if self.accept("["):
            while not self.accept("]"):
                if self.accept("!"):
                    key = f"!{self.integer()}"
                else:
                    key = self.identifier()
                    if self.accept(","):
                        continue
                    if self.accept("]"):
                        break
                self.expect("=")
                bindings.append((key, self.fact()))
                self.accept(";")
        if not self.accept(":"):
            return ast.New(name, None, tuple(bindings), place)
        self.type_name()
        self.expect(";")
        return ast.New(name, self.term(), (), place)

    # Patterns.

    def pattern(self) -> ast.Pattern:
        """A pattern."""
        token = self.next()
        place = token.place
        match token.kind:
            case "=":
                return ast.Equal(self._infix(4), place)
            case "(":
                parts = self._patterns()
                return parts[0] if len(parts) == 1 else ast.Split(None, parts, place)
            case "_":
                self._annotation()
                return ast.Bind(None, place)
            case "id":
                if self.accept("("):
                    return ast.Split(token.text, self._patterns(), place)
                self._annotation()
                return ast.Bind(token.text, place)
            case "int":
                raise Unsupported("natural numbers", place)
            case "choice":
                raise Unsupported("choice", place)
        raise ScriptError(f"a pattern cannot begin with {token.text!r}", place)

    def _annotation(self) -> None:
        if self.accept(":"):
            self.type_name()
        if self.peek().kind == "+":
            raise Unsupported("natural numbers", self.peek().place)

    def _patterns(self) -> tuple[ast.Pattern, ...]:
        if self.accept(")"):
            return ()
        parts = [self.pattern()]
        while self.accept(","):
            parts.append(self.pattern())
        self.expect(")")
        return tuple(parts)

    # Processes. What follows ";", "in", "then" and "else" takes all that comes behind "|" along; what follows "!"
    # does not.

    def process(self) -> ast.Process:
        """A process."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ScriptError("nested too deeply", self.peek().place)
        try:
            parts = [self._single()]
            while self.accept("|"):
                parts.append(self._single())
        finally:
            self._depth -= 1
        return parts[0] if len(parts) == 1 else ast.Parallel(tuple(parts), parts[0].place)

    def _rest(self) -> ast.Process:
        return self.process() if self.accept(";") else ast.Nil(self.peek().place)

    def _else(self) -> ast.Process:
        return self.process() if self.accept("else") else ast.Nil(self.peek().place)

    def _single(self) -> ast.Process:
        token = self.next()
        place = token.place
        match token.kind:
            case "(":
                body = self.process()
                self.expect(")")
                return body
            case "int":
                if token.text != "0":
                    raise ScriptError("the only number in a process is 0", place)
                return ast.Nil(place)
            case "yield":
                return ast.Nil(place)
            case "!":
                if self.peek().kind == "id" and self.peek(1).kind == "<=":
                    self.position += 3
                return ast.Replicate(self._single(), place)
            case "foreach":
                self.position += 3
                self.expect("do")
                return ast.Replicate(self._single(), place)
            case "new":
                name = self.identifier()
                self._skip_brackets()
                self.expect(":")
                self.type_name()
                return ast.NewName(name, self._rest(), place)
            case "in":
                self.expect("(")
                channel = self.term()
                self.expect(",")
                pattern = self.pattern()
                self.expect(")")
                precise = self._skip_brackets()
                return ast.Input(channel, pattern, self._rest(), place, precise)
            case "out":
                self.expect("(")
                channel = self.term()
                self.expect(",")
                message = self.term()
                self.expect(")")
                return ast.Output(channel, message, self._rest(), place)
            case "let":
                return self._let(place)
            case "if":
                condition = self.term()
                self.expect("then")
                then = self.process()
                return ast.Condition(condition, then, self._else(), place)
            case "event":
                name = self.identifier()
                args = self._terms(")") if self.accept("(") else ()
                self._skip_brackets()
                return ast.Event(name, args, self._rest(), place)
            case "insert":
                name = self.identifier()
                self.expect("(")
                return ast.Insert(name, self._terms(")"), self._rest(), place)
            case "get":
                return self._get(place)
            case "phase":
                number = self.integer()
                if number < 1:
                    raise ScriptError("phases of processes are positive", place)
                return ast.Phase(number, self._rest(), place)
            case "sync":
                raise Unsupported("sync", place)
            case "id" | "_":
                return self._named(token)
        raise ScriptError(f"a process cannot begin with {token.text!r}" if token.text else "a process expected", place)

    def _named(self, token: Token) -> ast.Process:
        place = token.place
        ahead = 2 if self.peek().kind == ":" else 0
        kind = self.peek(ahead).kind
        if kind in ("<-", "<-R"):
            self.position += ahead + 1
            if kind == "<-R":
                self.type_name()
                return ast.NewName(token.text, self._rest(), place)
            value = self.term()
            name = token.text if token.kind == "id" else None
            return ast.LetIn(ast.Bind(name, place), value, self._rest(), ast.Nil(place), place)
        if token.kind == "_":
            raise ScriptError("a process cannot begin with '_'", place)
        args = self._terms(")") if self.accept("(") else ()
        if self.peek().kind == "[":
            raise Unsupported("sync", place)
        if self.peek().kind == "{":
            raise Unsupported("annotations of implementations", place)
        return ast.Run(token.text, args, place)

    def _let(self, place: Place) -> ast.Process:
        pattern = self.pattern()
        if self.peek().kind in ("suchthat", ","):
            raise Unsupported("let ... suchthat", place)
        self.expect("=")
        value = self.term()
        if not self.accept("in"):
            return ast.LetIn(pattern, value, ast.Nil(place), ast.Nil(place), place)
        body = self.process()
        return ast.LetIn(pattern, value, body, self._else(), place)

    def _get(self, place: Place) -> ast.Process:
        name = self.identifier()
        self.expect("(")
        parts = self._patterns()
        condition = self.term() if self.accept("suchthat") else None
        precise = self._skip_brackets()
        if not self.accept("in"):
            return ast.Get(name, parts, condition, ast.Nil(place), ast.Nil(place), place)
        body = self.process()
        return ast.Get(name, parts, condition, body, self._else(), place, precise)

    def _skip_brackets(self) -> bool:
        """Skips options; says whether ``precise`` is among them."""
        precise = False
        if self.accept("["):
            while not self.accept("]"):
                token = self.next()
                precise = precise or token.text == "precise"
                if token.kind == "end":
                    raise ScriptError("']' expected", token.place)
        return precise
