"""Mutated handshake and record inputs against the reference implementation: no crash, no hang, no growth.

``python -m alts_conformance.robustness [--count N] [--seed S]``. Every input is honest traffic that was
spoilt in one to four places, brought to a connection in each state of each role in turn; N of them are
tried. Beside them, and not counted among them, come honest traffic (one for every ten spoilt inputs, mostly at
the wrong time) and the calls of the application, in every state. Bars: no exception but the documented ones;
no state and no byte sent but what SPEC 2 says; each input under a second; memory after the last within 8 MiB of
memory after the first tenth; of the spoilt inputs that came to a live state (neither CLOSED nor FAILED) at least
30 % past the first parse; every (state, input) pair hit, those of wire inputs by a spoilt one. Exit code 0 if all
bars are met, 1 if one is missed, 3 if nothing ran.

This tool draws its inputs from seeds and runs 100,000. Hypothesis drives 10,000 of the same in
tests/differential/test_robustness.py, where it can shrink what it finds; ALTS_INPUTS=100000 makes it drive all.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import alts
from alts import Input, Role, State

from ._spoil import Scene, spoil

DEFAULT_COUNT, DEFAULT_SEED = 100_000, 1
TIME_LIMIT = 1.0
MEMORY_LIMIT = 8 << 20
PARSED_SHARE = 0.30
FIRST_PARSE = frozenset({"DECODE_ERROR", "FRAME_TOO_LARGE", "UNEXPECTED_MESSAGE", "TRUNCATED"})
"""Errors that stop an input at its frame or its encoding; whatever ends otherwise was understood first."""
WIRE_INPUTS = (
    Input.CLIENT_INIT,
    Input.SERVER_INIT,
    Input.SERVER_FINISHED,
    Input.CLIENT_FINISHED,
    Input.ALERT,
    Input.DATA,
    Input.UNKNOWN,
    Input.END,
)
Pair = tuple[Role, State, Input]
PAIRS: tuple[Pair, ...] = tuple(
    (role, state, symbol) for role in Role for state in alts.STATES[role] for symbol in Input
)


@dataclass
class Tally:
    """What happened so far."""

    spoilt: int = 0
    honest: int = 0
    live: int = 0
    parsed: int = 0
    pairs: Counter[Pair] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    slowest: float = 0.0
    slow: list[str] = field(default_factory=list)
    memory_first: int = 0
    memory_last: int = 0

    @property
    def share(self) -> float:
        """Of the spoilt inputs that came to a live state, the part that got past the first parse."""
        return self.parsed / max(1, self.live)

    def missed(self) -> list[str]:
        """The bars that were not met, in words."""
        share = self.share
        unhit = [pair for pair in PAIRS if not self.pairs[pair]]
        grown = self.memory_last - self.memory_first
        checks = {
            f"{len(self.unexpected)} undocumented exceptions or states": not self.unexpected,
            f"{len(self.slow)} inputs took {TIME_LIMIT} s or more, twice": not self.slow,
            f"memory grew by {grown} bytes, more than {MEMORY_LIMIT}": grown <= MEMORY_LIMIT,
            f"{share:.1%} got past the first parse, less than {PARSED_SHARE:.0%}": share >= PARSED_SHARE,
            f"{len(unhit)} (state, input) pairs were never hit": not unhit,
        }
        return [text for text, met in checks.items() if not met]


def resident_memory() -> int:
    """Resident memory of this process, in bytes (Linux)."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def attempt(scene: Scene, pair: Pair, rng: random.Random, *, honest: bool = False) -> tuple[str, str | None]:
    """One input at one pair, spoilt unless ``honest``: the outcome's name, and what was wrong with the reaction (None:
    nothing).

    The input is drawn from `rng` alone, so that the same state of it gives the same input again.
    """
    role, state, _ = pair
    connection = scene.connection(role, state)
    if connection.state is not state:
        return "not reached", f"{role} did not reach {state}"
    try:
        return _act(scene, connection, pair, rng, honest)
    except alts.AltsError as error:
        return "raised", f"{pair}: raised {type(error).__name__} for what a peer sent"
    except Exception as error:  # the very thing that is looked for
        return "raised", f"{pair}: {type(error).__name__}: {error}"


def wire_input(scene: Scene, pair: Pair, rng: random.Random, *, honest: bool = False) -> bytes:
    """The bytes of one wire input; of an END those that come before it. Spoilt ones are never the honest ones."""
    role, state, symbol = pair
    if symbol is not Input.END:
        good = scene.good(role, symbol, rng)
        return good if honest else _spoilt(good, rng, scene)
    if honest:
        return b""
    cut = _spoilt(scene.good(role, Input.DATA if state is State.OPEN else scene.due(role, state)), rng, scene)
    return cut[: rng.randrange(len(cut)) + 1]


def _spoilt(good: bytes, rng: random.Random, scene: Scene) -> bytes:
    data = good
    while data in (good, b""):  # two faults may undo each other, and nothing at all is no input
        data = spoil(good, rng, fix=scene.fix)
    return data


def _act(
    scene: Scene, connection: alts.Connection, pair: Pair, rng: random.Random, honest: bool
) -> tuple[str, str | None]:
    _, state, symbol = pair
    if symbol in (Input.START, Input.SEND, Input.CLOSE):
        return _application(connection, pair, rng)
    data, events = wire_input(scene, pair, rng, honest=honest), list[alts.Event]()
    for piece in _pieces(data, rng):
        events += connection.receive_data(piece)
    if symbol is Input.END:
        events += connection.receive_end()
    return judge(connection, state, data, events)


def _application(connection: alts.Connection, pair: Pair, rng: random.Random) -> tuple[str, str | None]:
    """Application inputs: a UsageError and no change where there is no row."""
    role, state, symbol = pair
    calls: dict[Input, Callable[[], object]] = {
        Input.START: connection.start,
        Input.SEND: lambda: connection.send(rng.randbytes(rng.choice((0, 1, 100, 16384, 70000)))),
        Input.CLOSE: connection.close,
    }
    legal = (role, state, symbol) in alts.TABLE or (symbol is Input.CLOSE and state in (State.CLOSED, State.FAILED))
    try:
        calls[symbol]()
    except alts.UsageError:
        wrong = legal or connection.state is not state
        return "misuse", f"{pair}: UsageError, then {connection.state}" if wrong else None
    return "application", None if legal else f"{pair}: misuse was accepted"


#: What a state's message is answered by when it is accepted (SPEC 2.1), as frame types.
_ANSWERS: dict[State, tuple[int, ...]] = {State.WAIT_CLIENT_INIT: (17, 18), State.WAIT_SERVER_FINISHED: (19,)}
_ALERT, _LOCAL = 31, 32
"""Frame type of an alert, and the first code that is never sent (SPEC 10.1)."""


def judge(
    connection: alts.Connection, before: State, data: bytes, events: Sequence[alts.Event]
) -> tuple[str, str | None]:
    """Only the events, the states and the bytes that SPEC 2 allows after `data` in the state `before`."""
    failures = [event for event in events if isinstance(event, alts.ConnectionFailed)]
    after, output = connection.state, connection.data_to_send()
    if before in (State.CLOSED, State.FAILED):
        quiet = not events and after is before and not output
        return "discarded", None if quiet else f"{before}: reacted in a final state"
    if not failures:
        wrong = _wrong_output(connection.role, before, after, output, b"")
        return ("accepted" if events or after is not before else "waiting"), wrong
    error = failures[0].error
    name = error.code.name
    if len(failures) != 1 or events[-1] is not failures[0] or after is not State.FAILED or not error.state:
        return name, f"{before}: {name} ended in {after}"
    failed_in = State(error.state)
    if (failed_in is State.OPEN) != (before is State.OPEN or _completed(events)):
        return name, f"{before}: {name} is said to have happened in {failed_in}"
    alert = b"" if _is_silent(connection.role, before, failed_in, data, error.code) else alert_frame(error.code)
    return name, _wrong_output(connection.role, before, failed_in, output, alert)


def _completed(events: Sequence[alts.Event]) -> bool:
    return any(isinstance(event, alts.HandshakeCompleted) for event in events)


def alert_frame(code: int) -> bytes:
    """The alert frame of a code of one byte's varint: its length, its type, field 1."""
    return bytes((6, 0, 0, 0, _ALERT, 0, 0, 0, 0x08, code))


def _is_silent(role: Role, before: State, failed_in: State, data: bytes, code: int) -> bool:
    """Whether a violation in `failed_in` is not answered (SPEC 2.3, 5.8): in OPEN, after the end of the stream, and
    after an alert, well-formed or not, that a WAIT state could take.
    """
    if failed_in is State.OPEN or code >= _LOCAL:
        return True
    order = alts.STATES[role]
    at = 0
    for _ in range(order.index(failed_in) - order.index(before)):
        at += 4 + int.from_bytes(data[at : at + 4], "little")
    length, kind = int.from_bytes(data[at : at + 4], "little"), int.from_bytes(data[at + 4 : at + 8], "little")
    return failed_in is not State.START and kind == _ALERT and 4 <= length <= 16384


def _wrong_output(role: Role, before: State, last: State, output: bytes, alert: bytes) -> str | None:
    """What is wrong with the bytes sent on the way from `before` to `last`: the answers of the rows, then `alert`."""
    order = alts.STATES[role]
    wanted = [kind for state in order[order.index(before) : order.index(last)] for kind in _ANSWERS.get(state, ())]
    if last is State.CLOSED:
        wanted = []
    rest = output
    for kind in wanted:
        size = 4 + int.from_bytes(rest[:4], "little")
        if int.from_bytes(rest[4:8], "little") != kind or len(rest) < size:
            return f"{before}: frame type {kind} was due, {rest[:8].hex() or 'nothing'} was sent"
        rest = rest[size:]
    if rest == alert:
        return None
    return f"{before}: {alert.hex() or 'nothing'} was due in {last}, {rest[:16].hex() or 'nothing'} was sent"


def _pieces(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Cut anywhere, most often not at all."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 0, 1, 3, 8))))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        yield data[start:end]


def run(count: int, seed: int, progress: Callable[[int], None] = lambda _: None, scene: Scene | None = None) -> Tally:
    """`count` spoilt inputs, and a tenth as many honest ones. Same count, seed and scene (by default the seed's), same
    inputs.
    """
    scene, tally = scene or Scene(seed), Tally()
    for pair in PAIRS:
        if pair[2] not in WIRE_INPUTS:
            _, wrong = attempt(scene, pair, random.Random(f"{seed}/call"))
            tally.pairs[pair] += 1
            if wrong is not None:
                tally.unexpected.append(f"call: {wrong}")
    pairs = list(_wire_pairs())
    tenth = max(1, count // 10)
    honest = 0
    for number in range(count):
        _one(scene, tally, pairs[number % len(pairs)], f"{seed}/{number}")
        if number % 10 == 9:
            _one(scene, tally, pairs[honest % len(pairs)], f"{seed}/honest/{honest}", honest=True)
            honest += 1
        if tally.spoilt == tenth:
            tally.memory_first = resident_memory()
        if tally.spoilt % tenth == 0:
            progress(tally.spoilt)
    tally.memory_last = resident_memory()
    return tally


def _one(scene: Scene, tally: Tally, pair: Pair, key: str, *, honest: bool = False) -> None:
    """Try one wire input and count what came of it."""
    begin = time.perf_counter()
    outcome, wrong = attempt(scene, pair, random.Random(key), honest=honest)
    seconds = time.perf_counter() - begin
    if seconds >= TIME_LIMIT:  # once more: another process may have had the processor
        begin = time.perf_counter()
        attempt(scene, pair, random.Random(key), honest=honest)
        seconds = min(seconds, time.perf_counter() - begin)
        if seconds >= TIME_LIMIT:
            tally.slow.append(f"input {key} at {pair}: {seconds:.2f} s")
    tally.slowest = max(tally.slowest, seconds)
    if wrong is not None:
        tally.unexpected.append(f"{key}: {wrong}")
    if honest:
        tally.honest += 1
        return
    tally.spoilt += 1
    tally.pairs[pair] += 1
    tally.outcomes[outcome] += 1
    if pair[1] not in (State.CLOSED, State.FAILED):
        tally.live += 1
        tally.parsed += outcome not in FIRST_PARSE and outcome != "waiting"


def _wire_pairs() -> Iterator[Pair]:
    """Every pair with a wire input once, and those with a row again and again: that is where parsing goes deep."""
    wire = [pair for pair in PAIRS if pair[2] in WIRE_INPUTS]
    yield from wire
    deep = [pair for pair in wire if pair in alts.TABLE and pair[2] is not Input.END]
    messages = [pair for pair in deep if pair[2] is not Input.ALERT]
    yield from deep * 3
    yield from messages * 15


def report(tally: Tally, seconds: float) -> Iterator[str]:
    """The counts, line by line; what was missed comes last."""
    total = f"{tally.spoilt} spoilt and {tally.honest} honest inputs"
    yield f"{total} in {seconds:.1f} s, slowest {tally.slowest * 1000:.1f} ms"
    yield (
        f"past the first parse: {tally.parsed} of {tally.live} spoilt inputs that came to a live state "
        f"({tally.share:.1%}; bar {PARSED_SHARE:.0%}); {tally.spoilt - tally.live} came to CLOSED or FAILED"
    )
    grown = tally.memory_last - tally.memory_first
    yield (
        f"memory after the first tenth {tally.memory_first / 2**20:.1f} MiB, after the last "
        f"{tally.memory_last / 2**20:.1f} MiB, difference {grown / 2**20:+.2f} MiB (bar 8 MiB)"
    )
    hit = sum(1 for pair in PAIRS if tally.pairs[pair])
    yield f"(state, input) pairs hit: {hit} of {len(PAIRS)}; spoilt inputs (or calls) for each:"
    for role in Role:
        yield f"  {role:<22}" + "".join(f"{symbol.value[:15]:>16}" for symbol in Input)
        for state in alts.STATES[role]:
            yield f"  {state:<22}" + "".join(f"{tally.pairs[role, state, symbol]:>16}" for symbol in Input)
    yield "outcomes: " + ", ".join(f"{name} {count}" for name, count in tally.outcomes.most_common())
    yield from tally.unexpected[:20]
    yield from tally.slow[:20]
    yield from (f"MISSED: {text}" for text in tally.missed())


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m alts_conformance.robustness", description=__doc__)
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT, help="spoilt inputs (%(default)s)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="same seed, same inputs (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args(arguments)
    if args.count < 1:
        print("nothing to run", file=sys.stderr)
        return 3
    begin = time.perf_counter()
    show = sys.stderr.isatty() and not args.json
    tally = run(args.count, args.seed, lambda done: print(f"{done} …", file=sys.stderr) if show else None)
    seconds = time.perf_counter() - begin
    if args.json:
        print(json.dumps(as_json(tally, args.seed, seconds)))
    else:
        print("\n".join(report(tally, seconds)))
    return 1 if tally.missed() else 0


def as_json(tally: Tally, seed: int, seconds: float) -> dict[str, object]:
    """The report as one object."""
    return {
        "seed": seed,
        "spoiltInputs": tally.spoilt,
        "honestInputs": tally.honest,
        "spoiltInputsToLiveStates": tally.live,
        "seconds": round(seconds, 3),
        "pastFirstParse": tally.parsed,
        "slowestSeconds": round(tally.slowest, 6),
        "memoryFirstTenth": tally.memory_first,
        "memoryLast": tally.memory_last,
        "pairs": {"/".join(pair): tally.pairs[pair] for pair in PAIRS},
        "outcomes": dict(tally.outcomes),
        "unexpected": tally.unexpected,
        "slow": tally.slow,
        "missed": tally.missed(),
    }


if __name__ == "__main__":
    sys.exit(main())
