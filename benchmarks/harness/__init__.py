"""Benchmarks: a question, runs of ours and of peers that alternate in one process, and a report that can be kept."""
