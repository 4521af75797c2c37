"""Ourselves and our peers on the same work, on one machine, in one run: ``python -m benchmarks``."""
