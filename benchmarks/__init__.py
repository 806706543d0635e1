"""Benchmarks: ratios to a stated floor, measured side by side in one run."""
