"""Measurements: ``python -m bench.decode_map``."""
