"""Tests of the proofs: the prover's machinery against a fake, the scripts' completeness, and the scripts themselves."""
