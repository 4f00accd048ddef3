"""A look at a text before it is parsed: how many tokens it has and how deep its brackets nest.

Parsing costs 3 µs a token and validation several times that. Splitting into tokens with one regular expression costs
0.15 µs, so a document that is too large is refused for a small part of what a page costs.
"""

import re
from typing import Final

from graph.execution.limits import LimitError, Limits

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


def check_text(text: str, limits: Limits) -> None:
    """Refuse a text that is too large to be parsed.

    Raises:
        LimitError: too many characters or tokens, or brackets that nest too deep.
    """
    if len(text) > limits.characters:
        raise LimitError("characters", len(text), limits.characters)
    tokens = [token for token in _TOKEN.findall(text) if token[0] != "#"]
    if len(tokens) > limits.tokens:
        raise LimitError("tokens", len(tokens), limits.tokens)
    deepest = _nesting(tokens)
    if deepest > limits.nesting:
        raise LimitError("levels of brackets", deepest, limits.nesting)


def _nesting(tokens: list[str]) -> int:
    depth = deepest = 0
    for token in tokens:
        if token in _DEEPER:
            depth += 1
            deepest = max(deepest, depth)
        elif token in _BACK:
            depth -= 1
    return deepest
