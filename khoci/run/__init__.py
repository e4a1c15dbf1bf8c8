"""Runs: executors and results on disk."""
