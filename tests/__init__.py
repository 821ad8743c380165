"""Tests: one folder a package, plus `differential/` and `house/`."""
