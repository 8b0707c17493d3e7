"""Benchmarks: every row of docs/benchmarks.md, measured side by side with its rivals in one run."""
