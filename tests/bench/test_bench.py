"""The benchmarks run, print what they measured, and refuse nonsense; no figure is asserted."""

from __future__ import annotations

import argparse
import json

import pytest

from alts_bench.cli import add_arguments, run


def bench(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(arguments))


@pytest.mark.req("TRUST-9")
def test_both_subjects_print_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--seconds", "0.01", "--json") == 0
    results = json.loads(capsys.readouterr().out)
    assert {row["plaintext_bytes"] for row in results["record"]} == {1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 20}
    assert all(row["seal_ratio"] > 0 and row["open_ratio"] > 0 for row in results["record"])
    assert results["handshake"]["resumed_over_p"] > 0
    assert "OpenSSL" in results["handshake"]["openssl_of_python"]


@pytest.mark.parametrize("arguments", [("nonsense",), ("--seconds", "0"), ("--seconds", "nan")])
def test_nonsense_is_a_usage_error(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(*arguments) == 2
    assert "alts bench:" in capsys.readouterr().err
