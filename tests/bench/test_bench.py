"""The benchmarks run, print what they measured, and refuse nonsense; no figure is asserted."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from alts import _messages
from alts_bench import _cold
from alts_bench._world import World, asymmetric_operations
from alts_bench.cli import add_arguments, run

_KNOWN = ((False, True), (True, True), (True, False))
"""What is known of the peer: nothing, its signatures, all that is ever known; as `cache` and `forget`."""


def bench(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(arguments))


@pytest.mark.req("TRUST-9")
def test_every_subject_prints_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--seconds", "0.01", "--issued", "40000", "--json") == 0
    results = json.loads(capsys.readouterr().out)
    assert set(results) == {"record", "handshake", "revocation"}
    assert {row["plaintext_bytes"] for row in results["record"]} == {1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 20}
    assert all(row["seal_ratio"] > 0 and row["open_ratio"] > 0 for row in results["record"])
    figures = results["handshake"]
    assert figures["resumed_over_p"] > 0
    assert "OpenSSL" in figures["openssl_of_python"]
    assert figures["asymmetric_operations_full"] >= 2
    assert figures["asymmetric_operations_resumed"] == 0
    assert figures["revoked_ids"] == 100_000


@pytest.mark.req("RES-1")
def test_bars_and_counts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("handshake", "--seconds", "0.01") == 0
    printed = capsys.readouterr().out
    assert all(f"{bar} {unit}" in printed for bar, unit in ((2, "T"), (8, "T"), (15, "T"), (8, "P")))
    assert "0 in 100 resumed ones" in printed
    assert "ephemeral key exchange" in printed
    assert "different builds of OpenSSL" in printed


def _memories() -> dict[str, int]:
    """How many entries each cached function and each dict of the modules of `alts` has."""
    found: dict[str, int] = {}
    for module in (module for name, module in list(sys.modules.items()) if name.startswith("alts._")):
        for name, thing in vars(module).items():
            if hasattr(thing, "cache_info") and thing.__module__ == module.__name__:
                found[f"{module.__name__}.{name}"] = thing.cache_info().currsize
            elif isinstance(thing, dict) and not name.startswith("__"):
                found[f"{module.__name__}.{name}"] = len(thing)
    return found


@pytest.mark.req("TRUST-9")
def test_no_memory_of_a_peer_survives_forgetting(tmp_path: Path) -> None:
    _cold.forget_peers()
    for function in _cold.KEPT:
        function.cache_clear()
    before = _memories()
    world = World(tmp_path)
    for loop in (world.loop(2, cache=True), world.loop(2, resume=True)):
        loop()
    grown = {name for name, size in _memories().items() if size > before[name]}
    kept = {f"{function.__module__}.{function.__name__}" for function in _cold.KEPT}
    assert {"alts._messages._OFFERS", "alts._trust._PARSED", "alts._key_schedule._static_key"} <= grown
    _cold.forget_peers()
    assert {name for name, size in _memories().items() if size > before[name]} <= kept


def test_a_cold_loop_meets_an_unknown_peer_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    parsed: list[bytes] = []
    decode = _messages.decode_credential

    def counted(kind: Any, data: bytes) -> Any:
        parsed.append(data)
        return decode(kind, data)

    monkeypatch.setattr("alts._trust.decode_credential", counted)
    cold, signatures, same = (world.loop(3, cache=cache, forget=forget) for cache, forget in _KNOWN)
    parses, calls = [], []
    for loop in (cold, signatures, same):
        loop()
        parsed.clear()
        calls.append(asymmetric_operations(loop))
        parses.append(len(parsed))
    assert parses[0] == parses[1] > parses[2] == 0
    assert calls[0] > calls[1] > calls[2] == 3 * 2  # signatures; keys loaded; nothing but both exchanges


@pytest.mark.req("RES-1")
def test_an_asymmetric_operation_in_a_resumed_handshake_is_a_finding(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(tmp_path)
    full, resumed = world.loop(1), world.loop(1, resume=True)
    assert asymmetric_operations(full) > 4  # signatures, too
    assert asymmetric_operations(resumed) == 0
    monkeypatch.setattr("alts_bench._handshake.asymmetric_operations", lambda run: asymmetric_operations(full))
    assert bench("handshake", "--seconds", "0.01") == 1
    assert "asymmetric" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("nonsense",), ("--seconds", "0"), ("--seconds", "nan")])
def test_nonsense_is_a_usage_error(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(*arguments) == 2
    assert "alts bench:" in capsys.readouterr().err
