"""Tests of the repository itself: import rules, layout, requirement IDs, generated files."""
