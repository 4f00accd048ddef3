"""A look at a text before it is parsed: how large it is, in everything that can be told from its tokens alone.

Parsing costs 4 µs a token and validation several times that. Splitting into tokens with one regular expression and
looking at them costs 0.4, so a document that is too large is refused for a small part of what a page costs.
`graph.execution.survey` counts again when it is parsed, with fragments where they are spread.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from graph.execution.limit_error import LimitError
from graph.execution.limits import Limits

_TOKEN: Final = re.compile(
    r'"""(?:[^"\\]|\\"""|\\|""?(?!"))*"""'  # a block text
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|#[^\n\r]*"
    r"|[_A-Za-z][_0-9A-Za-z]*"
    r"|-?[0-9][0-9.eE+-]*"
    r"|\.\.\."
    r"|[^\s,\ufeff]"
)
_DEEPER: Final = frozenset("{[(")
_BACK: Final = frozenset("}])")
_NO_FIELD: Final = frozenset({":", "...", "@"})
"""A name that follows one of these is no response key: an aliased field, a fragment, a directive."""


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
    scan = _Scan()
    scan.read(tokens)
    for name, given in scan.found():
        allowed = getattr(limits, name)
        if given > allowed:
            raise LimitError("levels of brackets" if name == "nesting" else name, given, allowed)


@dataclass(slots=True)
class _Scan:
    """What is counted, token by token; `open` are the brackets, `places` the selections that are open, by key."""

    nesting: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0
    open: list[str] = field(default_factory=list)
    places: list[dict[str, int]] = field(default_factory=list)

    def read(self, tokens: list[str]) -> None:
        before = earlier = ""
        for token in tokens:
            if token in _DEEPER:
                self._enter(token)
            elif token in _BACK:
                self._leave()
            elif token == "@":  # noqa: S105 - GraphQL's token
                self.directives += 1
            elif self.places and self.open[-1] == "{":
                self._inside(token, before, earlier)
            before, earlier = token, before

    def found(self) -> list[tuple[str, int]]:
        names = ("nesting", "fields", "aliases", "directives", "repeats")
        return [(name, getattr(self, name)) for name in names]

    def _enter(self, bracket: str) -> None:
        # Braces inside of arguments are input objects, and what they hold are no fields.
        if bracket == "{" and len(self.places) == len(self.open):
            self.places.append({})
        self.open.append(bracket)
        self.nesting = max(self.nesting, len(self.open))

    def _leave(self) -> None:
        if self.open:
            self.open.pop()
        if len(self.places) > len(self.open):
            self.places.pop()

    def _inside(self, token: str, before: str, earlier: str) -> None:
        if len(self.places) != len(self.open):
            return
        if token == ":":  # noqa: S105 - GraphQL's token
            self.aliases += 1
        elif before not in _NO_FIELD and not (before == "on" and earlier == "...") and token.isidentifier():
            place = self.places[-1]
            count = place.get(token, 0)
            place[token] = count + 1
            self.repeats += count
            self.fields += 1
