"""Benchmarks of the reference implementation."""
