"""What the code of readers asks of a handover: nodes, properties, checks. By pattern. Pure.

That is no proof: code can be written in more ways than are known here. What is found is right for
the eight releases, and is shown as a hint beside what the compiler says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from khoci.abi.definitions import split
from khoci.abi.lexer import Tokens, is_name, is_string, tokens, without_comments
from khoci.abi.model import Need
from khoci.abi.places import component, component_of_file, is_handover
from khoci.abi.types import same_types

_READERS: Mapping[str, tuple[str, int]] = {
    "fdt_subnode_offset": ("node", 2),
    "fdt_path_offset": ("node", 1),
    "fdt_getprop": ("property", 2),
    "kho_retrieve_subtree": ("subtree", 0),
}
"""Functions that look something up, what that is, and which argument is its name."""

_WRITERS: Mapping[str, tuple[str, int]] = {
    **dict.fromkeys(("fdt_property", "fdt_property_string", "fdt_property_u64"), ("property", 1)),
    "fdt_property_placeholder": ("property", 1),
    "fdt_setprop": ("property", 2),
    "fdt_begin_node": ("node", 1),
    "fdt_add_subnode": ("node", 2),
    "kho_add_subtree": ("subtree", 0),
}
"""Functions that write something, what that is, and which argument is its name."""

_CHECKS = frozenset({"fdt_node_check_compatible", "strcmp", "strncmp", "memcmp"})
_FAILING = frozenset({"goto", "panic", "BUG", "luo_restore_fail"})
_FINE = frozenset({"0", ";", "true"})
_NEAR = 80
"""Tokens behind a look-up within which its result is looked at."""
_SKIPPED = frozenset({"const", "static", "return", "__init", "__free", "struct"})
_HEAD = re.compile(r"^[a-zA-Z_][^;{}()=]*?\b(\w+)\([^;{}]*\)\s*\{", re.MULTILINE | re.ASCII)


def needs(files: Mapping[str, str], values: Mapping[str, int | str]) -> tuple[Need, ...]:
    """All that readers ask for.

    Args:
        files: texts by their path in the tree.
        values: of constants, by name.
    """
    found = (
        need
        for path in sorted(files)
        if is_handover(path) and path.endswith(".c")
        for function in _functions(files[path])
        for need in _Function(path, *function, values, files[path].splitlines()).needs()
    )
    unique = {(need.what, need.name, need.file, need.function): need for need in found}
    return tuple(unique[key] for key in sorted(unique))


def writes(files: Mapping[str, str], values: Mapping[str, int | str]) -> tuple[str, ...]:
    """All that is written by a name that the code tells: ``node luo-flb``, ``property csum``.

    Args:
        files: texts by their path in the tree.
        values: of constants, by name.
    """
    found = (
        written
        for path in sorted(files)
        if is_handover(path) and path.endswith(".c")
        for function in _functions(files[path])
        for written in _Function(path, *function, values, []).writes()
    )
    return tuple(sorted(set(found)))


def _functions(text: str) -> Iterator[tuple[str, int, Tokens]]:
    """The name, line and body of each function."""
    code = without_comments(text)
    for match in _HEAD.finditer(code):
        name = match[1]
        line = re.search(rf"^\w[^\n;]*\b{name}\(", text, re.MULTILINE)
        depth = 0
        words: list[str] = []
        for word in tokens(_body(code, match.end() - 1)):
            depth += (word == "{") - (word == "}")
            words.append(word)
            if not depth:
                break
        yield name, text.count("\n", 0, line.start()) + 1 if line else 0, tuple(words)


def _body(code: str, start: int) -> str:
    """The text of a function: to the next brace at the beginning of a line."""
    end = code.find("\n}", start)
    return code[start : end + 2 if end >= 0 else len(code)]


@dataclass(frozen=True, slots=True)
class _Function:
    path: str
    name: str
    line: int
    code: Tokens
    values: Mapping[str, int | str]
    text: list[str]

    def needs(self) -> Iterator[Need]:
        for at, word in enumerate(self.code[:-1]):
            if self.code[at + 1] != "(":
                continue
            if word in _READERS:
                need = self._looked_up(at, *_READERS[word])
                if need:
                    yield need
            elif word == "if":
                yield from self._check(at)

    def writes(self) -> Iterator[str]:
        for at, word in enumerate(self.code[:-1]):
            if word in _WRITERS and self.code[at + 1] == "(":
                what, argument = _WRITERS[word]
                arguments = split(self._inside(at + 1), ",")
                name = self._text(arguments[argument]) if argument < len(arguments) else None
                if name is not None:
                    yield f"{what} {name}"

    def _looked_up(self, at: int, what: str, argument: int) -> Need | None:
        arguments = split(self._inside(at + 1), ",")
        if len(arguments) <= argument:
            return None
        name = self._text(arguments[argument])
        if name is None:
            return None
        variable = self.code[at - 2] if self.code[at - 1] == "=" else ""
        condition, fails = self._looked_at(at, variable)
        read_as = self._type(variable, condition) if what == "property" else ""
        word = arguments[argument][0]
        of = component(word, self.path) or component_of_file(self.path)
        return replace(self._need(what, name, of, read_as, required=fails), line=self._line(word))

    def _line(self, word: str) -> int:
        """The first line of the function on which a word stands."""
        lines = range(max(self.line, 1), len(self.text) + 1)
        return next((line for line in lines if word in self.text[line - 1]), self.line)

    def _check(self, at: int) -> Iterator[Need]:
        """What an ``if`` says no to, if it is about a part of the handover."""
        condition = self._inside(at + 1)
        named = [word for word in condition if word in self.values]
        compared = _CHECKS & {*condition} and any(map(is_string, condition))
        if not named and not compared:
            return
        if self._fails(at + 3 + len(condition)):
            of = component(named[0], self.path) if named else None
            text = " ".join(condition)
            yield self._need("check", text, of or component_of_file(self.path), "", required=True)

    def _need(self, what: str, name: str, of: str, read_as: str, *, required: bool) -> Need:
        return Need(what, name, read_as, required, of, "", self.path, self.name, self.line)

    def _inside(self, start: int) -> Tokens:
        """What stands in the brackets that open at ``start``."""
        depth = 0
        for at in range(start, len(self.code)):
            depth += (self.code[at] == "(") - (self.code[at] == ")")
            if not depth:
                return self.code[start + 1 : at]
        return ()

    def _text(self, argument: Tokens) -> str | None:
        if len(argument) != 1:
            return None
        word = argument[0]
        value = word[1:-1] if is_string(word) else self.values.get(word)
        return value if isinstance(value, str) and value.strip("/") else None

    def _looked_at(self, at: int, variable: str) -> tuple[Tokens, bool]:
        """The condition that a result is looked at in, and whether the reader then gives up."""
        own = self._enclosing(at)
        starts = [own] if own is not None else []
        starts += [
            index
            for index in range(at, min(at + _NEAR, len(self.code) - 1))
            if self.code[index] == "if" and self.code[index + 1] == "("
        ]
        for start in starts:
            condition = self._inside(start + 1)
            if start == own or variable in condition:
                return condition, self._fails(start + 3 + len(condition))
        return (), False

    def _enclosing(self, at: int) -> int | None:
        """Where the ``if`` is whose condition a call stands in."""
        for index in range(at - 1, max(at - 12, -1), -1):
            if self.code[index] in (";", "{", "}"):
                return None
            if self.code[index] == "if":
                return index
        return None

    def _fails(self, at: int) -> bool:
        """Whether the statement or block at ``at`` gives up."""
        block = self.code[at : at + 1] == ("{",)
        depth = 0
        for index in range(at, min(at + _NEAR, len(self.code))):
            word = self.code[index]
            depth += (word == "{") - (word == "}")
            if word in _FAILING:
                return True
            if word == "return":
                return self.code[index + 1 : index + 2] != () and self.code[index + 1] not in _FINE
            if (block and not depth) or (not block and word == ";"):
                return False
        return False

    def _type(self, variable: str, condition: Tokens) -> str:
        """What a pointer is declared to lead to; with ``[]`` where its length is multiplied."""
        for at in range(1, len(self.code)):
            if self.code[at] == variable and self.code[at - 1] == "*":
                start = at - 1
                while start and (is_name(self.code[start - 1])):
                    start -= 1
                words = [word for word in self.code[start : at - 1] if word not in _SKIPPED]
                if not words:
                    continue
                struct = "struct " if "struct" in self.code[start : at - 1] else ""
                many = _times(condition, variable)
                return f"{struct}{' '.join(same_types(tuple(words)))}{'[]' if many else ''}"
        return ""


def _times(condition: Tokens, variable: str) -> bool:
    """Whether a length is compared with a multiple of what a pointer leads to."""
    size = ("sizeof", "(", "*", variable, ")")
    spans = (condition[at : at + len(size) + 1] for at in range(len(condition)))
    return any(span[:-1] == size and span[-1] == "*" for span in spans)


def governed(found: tuple[Need, ...], governors: Mapping[str, str]) -> tuple[Need, ...]:
    """The same with the version that each is governed by, of those by component."""
    return tuple(replace(need, governor=governors.get(need.component, "")) for need in found)
