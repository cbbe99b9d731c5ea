"""Benchmarks: `make bench-search`, `make bench-tree`. No test of the suite; numbers go to build/bench/*.json."""
