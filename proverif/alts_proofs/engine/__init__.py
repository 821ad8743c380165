"""The built-in prover."""
