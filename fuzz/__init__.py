"""Coverage-guided fuzzing of every decoder: ``python -m fuzz --help``.

An input is plain bytes, several named pieces (`members`), or a guest: pages at addresses, RAM
around them, and a decoder's arguments (`guest`). `mutate` changes it in ways that a decoder cannot
refuse at once: pointers, counts, properties of trees. A family (`families`) says what is run, what
must be true of the result (`claims`), and what to begin with (`seeds`); `oracle` says what may
leave a decoder: only the errors that it promises, soon, and without much memory.

A new family is a function of bytes and its seeds in one of the modules of `families`. An input that
failed is kept in ``regressions/FAMILY/``: tests/test_fuzz.py replays it without atheris.
"""
