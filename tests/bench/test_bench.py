"""The benchmarks run, print what they measured, and refuse nonsense; no figure is asserted."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from alts_bench._world import World, asymmetric_operations
from alts_bench.cli import add_arguments, run


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
