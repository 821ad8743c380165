"""Run the model's own functions over z3 values, along every path.

The functions of this package are written for plain values. Here they get stand-ins whose comparisons are formulas; each
time Python asks for the truth of one, the run splits, and both answers that are possible are followed. So what is
checked is the code itself, and no second description of it can drift away from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, Generic, TypeVar

import z3

from alts_model.errors import ModelError

T = TypeVar("T")

TIMEOUT_MS = 20_000
"""How long one question to the solver may take, in milliseconds. No answer in time is a failure, never a verdict."""


def new_solver() -> Any:
    """z3's incremental core, without the tactics in front of it that cost more than these small questions."""
    solver = z3.SimpleSolver()
    solver.set("timeout", TIMEOUT_MS)
    return solver


class NoAnswerError(ModelError):
    """z3 answered `unknown`, or not in time: nothing may be concluded."""


class NotFollowedError(ModelError):
    """The code did something that cannot be followed over formulas, or failed on its own: nothing may be concluded."""


def ask(solver: Any, *more: Any) -> bool:
    """Whether the solver's formulas, and `more`, can be satisfied. Raises NoAnswerError."""
    answer = solver.check(*more)
    if answer == z3.unknown:
        raise NoAnswerError(f"z3 gave no answer within {TIMEOUT_MS} ms ({solver.reason_unknown()})")
    return bool(answer == z3.sat)


@dataclass(frozen=True)
class Path(Generic[T]):
    """One way through a program: the conditions on it, and the value or the model's error at its end."""

    conditions: tuple[Any, ...]
    value: T | None
    error: ModelError | None

    @property
    def condition(self) -> Any:
        """The conditions as one formula."""
        return z3.And(*self.conditions)


class _Run:
    """The decisions of one path; those up to `prefix` are given, the rest are found."""

    def __init__(self, solver: Any) -> None:
        self._solver = solver
        self._prefix: list[bool] = []
        self._kept = 0
        self._open: list[bool] = []
        self._model: Any = None  # one that satisfies all conditions so far, or None
        self._simple: dict[int, tuple[Any, Any]] = {}
        self.taken: list[tuple[bool, bool]] = []  # (answer, whether the other one is still to be followed)
        self.conditions: list[Any] = []

    def begin(self, prefix: list[bool], open_below: list[bool], kept: int) -> None:
        """Follow `prefix`, whose first `kept` conditions the solver already holds."""
        self._prefix, self._kept, self._open = prefix, kept, open_below
        self.taken, self.conditions, self._model = [], [], None

    def decide(self, condition: Any) -> bool:
        simple = self._simplified(condition)
        if isinstance(simple, bool):
            return simple
        condition = simple
        position = len(self.taken)
        if position < len(self._prefix):
            answer, other = self._prefix[position], self._open[position]
        else:
            can_fail, can_hold = self._possible(condition)
            # The negative answer first: it leads to short lists, hence to short examples.
            answer, other = not can_fail, can_fail and can_hold
        taken = condition if answer else z3.Not(condition)
        if position >= self._kept:
            self._solver.push()
            self._solver.add(taken)
        self.taken.append((answer, other))
        self.conditions.append(taken)
        return answer

    def _possible(self, condition: Any) -> tuple[bool, bool]:
        """Whether a condition can fail, and whether it can hold. One of the two is known where there is a model."""
        guess = None if self._model is None else self._model.eval(condition, model_completion=True)
        can_fail = z3.is_false(guess) or ask(self._solver, z3.Not(condition))
        if can_fail and not z3.is_false(guess):
            model = self._solver.model()
            can_hold = z3.is_true(guess) or ask(self._solver, condition)
            self._model = model
        else:
            can_hold = not can_fail or ask(self._solver, condition)
        return can_fail, can_hold

    def _simplified(self, condition: Any) -> Any:
        """The condition, simpler, or a bool. Runs ask the same again and again: answers are kept (with their keys)."""
        found = self._simple.get(condition.get_id())
        if found is None:
            simple = z3.simplify(condition)
            if z3.is_true(simple) or z3.is_false(simple):
                simple = bool(z3.is_true(simple))
            found = self._simple[condition.get_id()] = (condition, simple)
        return found[1]


_running: ContextVar[_Run] = ContextVar("run")


def explore(program: Callable[[], T], given: Sequence[Any] = ()) -> Iterator[Path[T]]:
    """Every path of `program` that is possible where `given` holds, each once.

    The program must do the same each time it is called. Errors of this package end a path.

    Raises:
        NoAnswerError: z3 could not say whether a path is possible.
        NotFollowedError: the program raised any other error.
    """
    solver = new_solver()
    solver.add(*given)
    if not ask(solver):
        return
    run = _Run(solver)
    prefix: list[bool] = []
    open_below: list[bool] = []
    kept = 0
    while True:
        run.begin(prefix, open_below, kept)
        token = _running.set(run)
        value, error = None, None
        try:
            value = program()
        except (NoAnswerError, NotFollowedError):
            raise
        except ModelError as raised:
            error = raised
        except Exception as raised:
            raise NotFollowedError(f"{type(raised).__name__}: {raised}") from raised
        finally:
            _running.reset(token)
        conditions, taken = tuple(run.conditions), run.taken
        yield Path((*given, *conditions), value, error)
        last = max((at for at, (_, other) in enumerate(taken) if other), default=None)
        if last is None:
            return
        prefix = [answer for answer, _ in taken[:last]] + [not taken[last][0]]
        open_below = [other for _, other in taken[:last]] + [False]
        kept = last
        solver.pop(len(taken) - last)


class Truth:
    """A formula where Python expects a bool. Asking for its truth splits the run."""

    __slots__ = ("formula",)

    def __init__(self, formula: Any) -> None:
        self.formula = formula

    def __bool__(self) -> bool:
        return _running.get().decide(self.formula)


def formula(value: object) -> Any:
    """The formula of what Python would take for true: a Truth, or a plain bool."""
    return value.formula if isinstance(value, Truth) else z3.BoolVal(bool(value))


class Number:
    """An integer without bounds (z3's Int), compared and added as Python's are."""

    __slots__ = ("term",)

    def __init__(self, term: Any) -> None:
        self.term = term

    @staticmethod
    def _term(other: object) -> Any:
        return other.term if isinstance(other, Number) else other

    def __eq__(self, other: object) -> Any:
        return Truth(self.term == self._term(other))

    def __ne__(self, other: object) -> Any:
        return Truth(self.term != self._term(other))

    def __lt__(self, other: Any) -> Any:
        return Truth(self.term < self._term(other))

    def __le__(self, other: Any) -> Any:
        return Truth(self.term <= self._term(other))

    def __gt__(self, other: Any) -> Any:
        return Truth(self.term > self._term(other))

    def __ge__(self, other: Any) -> Any:
        return Truth(self.term >= self._term(other))

    def __add__(self, other: Any) -> Number:
        return Number(self.term + self._term(other))

    __radd__ = __add__


def number(name: str) -> Number:
    """A free integer."""
    return Number(z3.Int(name))


class Universe:
    """Names that can only be told apart: as many as there may be, some of which are written out in the code."""

    def __init__(self, name: str, *constants: str) -> None:
        self.sort = z3.DeclareSort(name)
        self._constants = {text: z3.Const(f"{name} {text!r}", self.sort) for text in constants}
        self.distinct = z3.Distinct(*self._constants.values()) if len(constants) > 1 else z3.BoolVal(True)

    def name(self, name: str) -> Name:
        """A free name."""
        return Name(self, z3.Const(name, self.sort))

    def term(self, value: object) -> Any:
        """The z3 term of a name or of a constant that was written out."""
        return value.term if isinstance(value, Name) else self._constants[str(value)]

    def predicate(self, name: str) -> Callable[[object], Truth]:
        """A free predicate on names."""
        holds = z3.Function(name, self.sort, z3.BoolSort())
        return lambda value: Truth(holds(self.term(value)))

    def text(self, model: Any, value: object) -> str:
        """What to call a name in an example: names that are equal there are called alike."""
        element = model.eval(self.term(value), model_completion=True)
        for text, term in self._constants.items():
            if z3.eq(model.eval(term, model_completion=True), element):
                return text
        return f"n{element.decl().name().rpartition('!')[2]}"


class Name:
    """A name of a universe."""

    __slots__ = ("term", "universe")

    def __init__(self, universe: Universe, term: Any) -> None:
        self.universe, self.term = universe, term

    def __eq__(self, other: object) -> Any:
        if other is None:
            return False
        return Truth(self.term == self.universe.term(other))

    def __ne__(self, other: object) -> Any:
        if other is None:
            return True
        return Truth(self.term != self.universe.term(other))


class Members:
    """A set of names of which one can only ask whether it holds a name; as large as you like."""

    def __init__(self, holds: Callable[[object], Truth]) -> None:
        self.holds = holds

    def __contains__(self, value: object) -> bool:
        return bool(self.holds(value))


class Sized:
    """The first `length` of some values, `length` being a formula; to go through it splits the run at each end."""

    def __init__(self, values: Sequence[Any], length: Any) -> None:
        self.values, self.length = values, length

    def __iter__(self) -> Iterator[Any]:
        for position, value in enumerate(self.values):
            if not Truth(self.length > position):
                return
            yield value

    def __reversed__(self) -> Iterator[Any]:
        return iter([*self][::-1])

    def __getitem__(self, position: int) -> Any:
        return list(self)[position]


def _globals_of(code: CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_globals_of, inner))


def rebound(function: Callable[..., T], **names: Any) -> Callable[..., T]:
    """The same code, which finds other things under these global names."""
    assert isinstance(function, FunctionType)
    unknown = names.keys() - _globals_of(function.__code__)
    assert not unknown, f"{function.__qualname__} does not use {unknown}"
    copy = FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


C = TypeVar("C", bound=type)


def rebound_class(cls: C, methods: Iterable[str], **names: Any) -> C:
    """A subclass in which these methods, with the same code, find other things under these global names.

    A method takes those of the names that it uses.
    """
    changed = {}
    for method in methods:
        function: Any = getattr(cls, method)
        used = {name: names[name] for name in names.keys() & _globals_of(function.__code__)}
        changed[method] = rebound(function, **used)
    made: Any = type(cls.__name__, (cls,), {"__slots__": (), **changed} if hasattr(cls, "__slots__") else changed)
    result: C = made
    return result
