"""A look at a text before it is parsed: how large it is, in everything that can be told from its tokens alone.

Parsing costs 4 µs a token and validation several times that. Splitting into tokens with one regular expression and
looking at them costs 0.4, so a document that is too large is refused for a small part of what a page costs.
`graph.execution.ast_limits` counts again when it is parsed, with fragments where they are spread.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from graph.execution.limit_error import LimitError
from graph.execution.request_limits import Limits

# A text that is not closed is a token, too: were it none, all that follows each of its quotes would be looked through
# to the end, and fifteen thousand characters take seconds. That it is no GraphQL is for the parser to say.
_TOKEN: Final = re.compile(
    r'"""(?:[^"\\]|\\"""|\\|""?(?!"))*(?:"""|\Z)'  # a block text
    r'|"(?:[^"\\\n]|\\.)*"?'
    r"|#[^\n\r]*"
    r"|[_A-Za-z][_0-9A-Za-z]*"
    r"|-?[0-9][0-9.eE+-]*"
    r"|\.\.\."
    r"|[^\s,\ufeff]"
)
_LONGEST_NUMBER: Final = 100
"""Digits of a number: no Int has more than ten, and a parser takes as long for each as for any other token."""
_DEEPER: Final = frozenset("{[(")
_BACK: Final = frozenset("}])")
_DIGITS: Final = frozenset("-0123456789")
_NO_FIELD: Final = frozenset({"...", "@"})
"""A name that follows one of these is no field: a fragment, a directive."""
INTROSPECTION: Final = frozenset({"__schema", "__type"})
"""The fields that show the schema, which is as deep as it is: below them nothing is counted as depth."""


def check_text(text: str, limits: Limits) -> None:
    """Refuse a text that is too large to be parsed.

    Raises:
        LimitError: it is beyond a limit.
    """
    if len(text) > limits.characters:
        raise LimitError("characters", len(text), limits.characters)
    tokens = [token for token in _TOKEN.findall(text) if token[0] != "#"]
    if len(tokens) > limits.tokens:
        raise LimitError("tokens", len(tokens), limits.tokens)
    digits = max((len(token) for token in tokens if token[0] in _DIGITS), default=0)
    if digits > _LONGEST_NUMBER:
        raise LimitError("digits of a number", digits, _LONGEST_NUMBER)
    _Scan(limits).read(tokens)


def _is_counted(before: str, earlier: str) -> bool:
    """Whether the values of a list are counted: those of an `ids` argument, and of a variable's default."""
    return before == "=" or (before == ":" and earlier == "ids")


@dataclass(slots=True)
class _Selection:
    """A selection that is open: how deep it is, how often each key was in it, and what a brace would open next."""

    depth: int
    asked: dict[str, int] = field(default_factory=dict)
    last: str = ""
    inline: bool = False

    def below(self) -> "_Selection":
        """What a brace opens: an inline fragment, which is no deeper, or the selection of the last field."""
        if self.inline:
            return _Selection(self.depth)
        # Introspection's own query is deeper than a page is, and stays at the depth where it begins.
        return _Selection(0 if self.last in INTROSPECTION or self.depth == 0 else self.depth + 1)


@dataclass(slots=True)
class _Scan:
    """What is counted, token by token, until a limit is passed: what comes after it is not looked at.

    `open` are the brackets and `places` the selections that are open, `kind` is the type of the fragment that begins,
    and `listed` counts the values of a list, or is negative where none is open that counts.
    """

    limits: Limits
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0
    open: list[str] = field(default_factory=list)
    places: list[_Selection] = field(default_factory=list)
    kind: str = ""
    listed: int = -1

    def read(self, tokens: list[str]) -> None:
        before = earlier = ""
        for token in tokens:
            if token in _DEEPER:
                self._enter(token)
                self.listed = 0 if token == "[" and _is_counted(before, earlier) else -1  # noqa: S105 - GraphQL's
            elif token in _BACK:
                self._leave()
                self.listed = -1
            elif token == "@":  # noqa: S105 - GraphQL's token
                self.directives += 1
                self._check("directives", self.directives, self.limits.directives)
            elif self.places and self.open[-1] == "{":
                self._inside(token, before, earlier)
            elif self.listed >= 0 and token != "$":  # noqa: S105 - GraphQL's token
                self.listed += 1
                self._check("ids", self.listed, self.limits.ids)
            elif before == "on" and not self.open:
                self.kind = token
            before, earlier = token, before

    @staticmethod
    def _check(name: str, count: int, allowed: int) -> None:
        if count > allowed:
            raise LimitError(name, f"more than {allowed}", allowed)

    def _enter(self, bracket: str) -> None:
        # Braces inside of arguments are input objects, and what they hold are no fields.
        if bracket == "{" and len(self.places) == len(self.open):
            place = self.places[-1].below() if self.places else self._begin()
            self._check("levels of fields", place.depth, self.limits.depth)
            self.places.append(place)
        self.open.append(bracket)
        self._check("levels of brackets", len(self.open), self.limits.nesting)

    def _begin(self) -> _Selection:
        kind, self.kind = self.kind, ""
        return _Selection(0 if kind.startswith("__") else 1)

    def _leave(self) -> None:
        if self.open:
            self.open.pop()
        if len(self.places) > len(self.open):
            self.places.pop()

    def _inside(self, token: str, before: str, earlier: str) -> None:
        if len(self.places) != len(self.open):
            return
        place = self.places[-1]
        if token == ":":  # noqa: S105 - GraphQL's token
            self.aliases += 1
            self._check("aliases", self.aliases, self.limits.aliases)
        elif token == "...":  # noqa: S105 - GraphQL's token
            place.inline = True
        elif before not in _NO_FIELD and not (before == "on" and earlier == "...") and token.isidentifier():
            place.last, place.inline = token, False
            # After a colon comes the field behind an alias, and the alias was counted.
            if before != ":":
                count = place.asked.get(token, 0)
                place.asked[token] = count + 1
                self.repeats += count
                self.fields += 1
                self._check("repeats", self.repeats, self.limits.repeats)
                self._check("fields", self.fields, self.limits.fields)
