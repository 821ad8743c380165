"""Tests of the vectors: current, well-formed, agreed on by the implementation, and each able to fail."""
