"""Tests of the built-in prover: scripts with known verdicts, random ones against ProVerif, and its parts."""
