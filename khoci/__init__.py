"""Compatibility of what one Linux kernel hands to the next over kexec (KHO, LUO)."""

__version__ = "0.1.0"
