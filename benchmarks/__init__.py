"""Side-by-side comparisons; `python -m benchmarks` runs them all."""
