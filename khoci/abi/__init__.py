"""The format of a handover as the sources of a kernel define it: read as text, in milliseconds.

What only a compiler knows (sizes, padding) and what only code says (which node is required, what a
number means) is not seen here.
"""
