"""Engines that run cells on other machines: khoci only describes the work, and merges."""
