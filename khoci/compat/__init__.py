"""Compatibility: plan, run a cell, judge it."""
