"""Kernels: where sources come from, their configuration, build and cache."""
