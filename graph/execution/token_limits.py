"""The limits that can be checked on the text of a document, before it is parsed.

Parsing costs 4 µs a token, and validation costs several times more. Splitting the text into tokens with one regular
expression and reading them costs 0.4 µs a token. So a document that is too large is rejected for a small part of the
cost of a page. `graph.execution.ast_limits` counts again after parsing, with each fragment counted at each spread.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from graph.execution.cost import INTROSPECTION
from graph.execution.request_errors import LimitError
from graph.execution.request_limits import Limits

# An unclosed string is also a token. Otherwise the search would read the rest of the text again after each quote:
# 15,000 characters would take seconds. The parser reports that the text is not GraphQL.
_TOKEN: Final = re.compile(
    r'"""(?:[^"\\]|\\"""|\\|""?(?!"))*(?:"""|\Z)'  # a block string
    r'|"(?:[^"\\\n]|\\.)*"?'
    r"|#[^\n\r]*"
    r"|[_A-Za-z][_0-9A-Za-z]*"
    r"|-?[0-9][0-9.eE+-]*"
    r"|\.\.\."
    r"|[^\s,\ufeff]"
)
_MAX_DIGITS: Final = 100
"""Digits of a number. An `Int` has at most ten, and up to this length the parser needs no more time than usual."""
_OPENING: Final = frozenset("{[(")
_CLOSING: Final = frozenset("}])")
_DIGITS: Final = frozenset("-0123456789")
_NO_FIELD: Final = frozenset({"...", "@"})
"""A name after one of these tokens is not a field: it is a fragment or a directive."""


def check_text(text: str, limits: Limits) -> None:
    """Check that a text is small enough to be parsed.

    Raises:
        LimitError: The text exceeds a limit.
    """
    if len(text) > limits.characters:
        raise LimitError("characters", len(text), limits.characters)
    tokens = [token for token in _TOKEN.findall(text) if token[0] != "#"]
    if len(tokens) > limits.tokens:
        raise LimitError("tokens", len(tokens), limits.tokens)
    digits = max((len(token) for token in tokens if token[0] in _DIGITS), default=0)
    if digits > _MAX_DIGITS:
        raise LimitError("digits of a number", digits, _MAX_DIGITS)
    _Scan(limits).read(tokens)


def _is_counted(before: str, earlier: str) -> bool:
    """Return true if the values of a list count: in an `ids` argument, and in the default of a variable."""
    return before == "=" or (before == ":" and earlier == "ids")


@dataclass(slots=True)
class _Selection:
    """An open selection: its depth, how often each key occurs in it, and which field or fragment the next `{` opens."""

    depth: int
    keys: dict[str, int] = field(default_factory=dict)
    last: str = ""
    inline: bool = False

    def below(self) -> "_Selection":
        """Return the selection that a `{` opens: of an inline fragment, at the same depth, or of the last field."""
        if self.inline:
            return _Selection(self.depth)
        # The usual introspection query is deeper than a page query. Its depth does not count.
        return _Selection(0 if self.last in INTROSPECTION or self.depth == 0 else self.depth + 1)


@dataclass(slots=True)
class _Scan:
    """The counts of one text, token by token, up to the first limit that is exceeded.

    `open` holds the open brackets and `selections` the open selections. `kind` is the type of the fragment that
    begins. `listed` counts the values of an open list, or is negative if no list that counts is open.
    """

    limits: Limits
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0
    open: list[str] = field(default_factory=list)
    selections: list[_Selection] = field(default_factory=list)
    kind: str = ""
    listed: int = -1

    def read(self, tokens: list[str]) -> None:
        before = earlier = ""
        for token in tokens:
            if token in _OPENING:
                self._enter(token)
                self.listed = 0 if token == "[" and _is_counted(before, earlier) else -1  # noqa: S105 - GraphQL's
            elif token in _CLOSING:
                self._leave()
                self.listed = -1
            elif token == "@":  # noqa: S105 - GraphQL's token
                self.directives += 1
                self._check("directives", self.directives, self.limits.directives)
            elif self.selections and self.open[-1] == "{":
                self._inside(token, before, earlier)
            elif self.listed >= 0 and token != "$":  # noqa: S105 - GraphQL's token
                self.listed += 1
                self._check("ids", self.listed, self.limits.ids)
            elif before == "on" and not self.open:
                self.kind = token
            before, earlier = token, before

    @staticmethod
    def _check(name: str, count: int, maximum: int) -> None:
        if count > maximum:
            raise LimitError(name, f"more than {maximum}", maximum)

    def _enter(self, bracket: str) -> None:
        # Braces inside arguments are input objects. They hold no fields.
        if bracket == "{" and len(self.selections) == len(self.open):
            selection = self.selections[-1].below() if self.selections else self._begin()
            self._check("levels of fields", selection.depth, self.limits.depth)
            self.selections.append(selection)
        self.open.append(bracket)
        self._check("levels of brackets", len(self.open), self.limits.nesting)

    def _begin(self) -> _Selection:
        kind, self.kind = self.kind, ""
        return _Selection(0 if kind.startswith("__") else 1)

    def _leave(self) -> None:
        if self.open:
            self.open.pop()
        if len(self.selections) > len(self.open):
            self.selections.pop()

    def _inside(self, token: str, before: str, earlier: str) -> None:
        if len(self.selections) != len(self.open):
            return
        selection = self.selections[-1]
        if token == ":":  # noqa: S105 - GraphQL's token
            self.aliases += 1
            self._check("aliases", self.aliases, self.limits.aliases)
        elif token == "...":  # noqa: S105 - GraphQL's token
            selection.inline = True
        elif before not in _NO_FIELD and not (before == "on" and earlier == "...") and token.isidentifier():
            selection.last, selection.inline = token, False
            # The name after a colon is the field of an alias. The alias is already counted.
            if before != ":":
                count = selection.keys.get(token, 0)
                selection.keys[token] = count + 1
                self.repeats += count
                self.fields += 1
                self._check("repeats", self.repeats, self.limits.repeats)
                self._check("fields", self.fields, self.limits.fields)
