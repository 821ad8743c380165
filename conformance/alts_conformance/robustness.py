"""Mutated handshake and record inputs against the reference implementation: no crash, no hang, no growth.

``python -m alts_conformance.robustness [--count N] [--seed S]``. Every input is honest traffic that was
spoilt in one to four places, or honest traffic at the wrong time, brought to a connection in each state of
each role in turn. Bars: no exception but the documented ones, each input under a second, memory after the
last within 8 MiB of memory after the first tenth, at least 30 % of the inputs past the first parse, every
(state, input) pair hit. The calls of the application are tried in every state too; they are pairs, but no
inputs. Exit code 0 if all bars are met, 1 if one is missed, 3 if nothing ran.
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

    inputs: int = 0
    parsed: int = 0
    pairs: Counter[Pair] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    slowest: float = 0.0
    slow: list[str] = field(default_factory=list)
    memory_first: int = 0
    memory_last: int = 0

    def missed(self) -> list[str]:
        """The bars that were not met, in words."""
        share = self.parsed / max(1, self.inputs)
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


def attempt(scene: Scene, pair: Pair, rng: random.Random) -> tuple[str, str | None]:
    """One input at one pair: the outcome's name, and what was wrong with the reaction (None: nothing).

    The input is drawn from `rng` alone, so that the same state of it gives the same input again.
    """
    role, state, _ = pair
    connection = scene.connection(role, state)
    if connection.state is not state:
        return "not reached", f"{role} did not reach {state}"
    try:
        return _act(scene, connection, pair, rng)
    except alts.AltsError as error:
        return "raised", f"{pair}: raised {type(error).__name__} for what a peer sent"
    except Exception as error:  # the very thing that is looked for
        return "raised", f"{pair}: {type(error).__name__}: {error}"


def _act(scene: Scene, connection: alts.Connection, pair: Pair, rng: random.Random) -> tuple[str, str | None]:
    role, state, symbol = pair
    if symbol in (Input.START, Input.SEND, Input.CLOSE):
        return _application(connection, pair, rng)
    if symbol is Input.END:
        cut = rng.choice(
            (b"", spoil(scene.good(role, Input.DATA if state is State.OPEN else scene.due(role, state)), rng))
        )
        events = connection.receive_data(cut[: rng.randrange(len(cut) + 1)])
        events += connection.receive_end()
    else:
        data = scene.good(role, symbol, rng)
        if rng.random() < 0.9:
            data = spoil(data, rng, fix=scene.fix)
        events = []
        for piece in _pieces(data, rng):
            events += connection.receive_data(piece)
    return _judge(connection, state, events)


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


def _judge(connection: alts.Connection, before: State, events: Sequence[alts.Event]) -> tuple[str, str | None]:
    """Only the documented events and states; a failure is the last event and leaves at most one alert to send."""
    failures = [event for event in events if isinstance(event, alts.ConnectionFailed)]
    after = connection.state
    if before in (State.CLOSED, State.FAILED):
        quiet = not events and after is before and not connection.data_to_send()
        return "discarded", None if quiet else f"{before}: reacted in a final state"
    if not failures:
        return ("accepted" if events or after is not before else "waiting"), None
    error = failures[0].error
    output = connection.data_to_send()
    sound = len(failures) == 1 and events[-1] is failures[0] and after is State.FAILED and bool(error.state)
    local = error.code >= 32
    silent = not output or (not local and output[4:8] == (31).to_bytes(4, "little")) or before is not State.OPEN
    return error.code.name, None if sound and silent else f"{before}: {error.code.name} ended in {after}"


def _pieces(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Cut anywhere, most often not at all."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 0, 1, 3, 8))))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        yield data[start:end]


def run(count: int, seed: int, progress: Callable[[int], None] = lambda _: None, scene: Scene | None = None) -> Tally:
    """`count` inputs. Same count, seed and scene (by default the seed's), same inputs."""
    scene, tally = scene or Scene(seed), Tally()
    for pair in PAIRS:
        if pair[2] not in WIRE_INPUTS:
            _count(tally, pair, *attempt(scene, pair, random.Random(f"{seed}/call")))
    pairs = list(_wire_pairs())
    tenth = max(1, count // 10)
    for number in range(count):
        pair = pairs[number % len(pairs)]
        key = f"{seed}/{number}"
        begin = time.perf_counter()
        outcome, wrong = attempt(scene, pair, random.Random(key))
        seconds = time.perf_counter() - begin
        if seconds >= TIME_LIMIT:  # once more: another process may have had the processor
            begin = time.perf_counter()
            attempt(scene, pair, random.Random(key))
            seconds = min(seconds, time.perf_counter() - begin)
            if seconds >= TIME_LIMIT:
                tally.slow.append(f"input {key} at {pair}: {seconds:.2f} s")
        tally.inputs += 1
        tally.slowest = max(tally.slowest, seconds)
        tally.parsed += outcome not in FIRST_PARSE and outcome not in ("waiting", "discarded")
        _count(tally, pair, outcome, wrong, key)
        if tally.inputs == tenth:
            tally.memory_first = resident_memory()
        if tally.inputs % tenth == 0:
            progress(tally.inputs)
    tally.memory_last = resident_memory()
    return tally


def _count(tally: Tally, pair: Pair, outcome: str, wrong: str | None, key: str = "call") -> None:
    tally.pairs[pair] += 1
    tally.outcomes[outcome] += 1
    if wrong is not None:
        tally.unexpected.append(f"{key}: {wrong}")


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
    yield f"{tally.inputs} inputs in {seconds:.1f} s, slowest {tally.slowest * 1000:.1f} ms"
    share = tally.parsed / max(1, tally.inputs)
    yield f"past the first parse: {tally.parsed} ({share:.1%}; bar {PARSED_SHARE:.0%})"
    grown = tally.memory_last - tally.memory_first
    yield (
        f"memory after the first tenth {tally.memory_first / 2**20:.1f} MiB, after the last "
        f"{tally.memory_last / 2**20:.1f} MiB, difference {grown / 2**20:+.2f} MiB (bar 8 MiB)"
    )
    hit = sum(1 for pair in PAIRS if tally.pairs[pair])
    yield f"(state, input) pairs hit: {hit} of {len(PAIRS)}; inputs for each:"
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
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT, help="inputs (%(default)s)")
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
        "inputs": tally.inputs,
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
