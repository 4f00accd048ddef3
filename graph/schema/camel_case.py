"""The domain's words in GraphQL's spelling: `caller_id_number` is `callerIdNumber` to a client."""

import re
from collections.abc import Iterable
from typing import Final

from strawberry.utils.str_converters import to_camel_case

from recordings.model.errors import InvalidInput, Problem, Refused, problem
from recordings.model.options import PARAMETERS

_QUOTED: Final = re.compile(r"`(\w+)`")


def camel(path: Iterable[str]) -> list[str]:
    """A path into an input, as the client wrote it."""
    return [to_camel_case(part) for part in path]


def prose(text: str) -> str:
    """A description of the domain, with the names in it as the client knows them."""
    return _QUOTED.sub(lambda found: f"`{to_camel_case(found[1])}`", text)


def parameter(name: str) -> str:
    """The documented description of a documented parameter, with what it may be."""
    documented = PARAMETERS[name]
    return f"{prose(documented.description)} {documented.allowed[0].upper()}{documented.allowed[1:]}."


def translated(found: Problem) -> Problem:
    """A problem whose path and message use the client's names."""
    return problem(camel(found.path), found.rule, found.given, found.allowed)


def explain(refused: Refused) -> tuple[str, list[str]]:
    """The message and the path of a refusal, in the client's names."""
    if isinstance(refused, InvalidInput):
        problems = [translated(found) for found in refused.problems]
        return "; ".join(found.message for found in problems), list(problems[0].path)
    return refused.message, camel(refused.path)
