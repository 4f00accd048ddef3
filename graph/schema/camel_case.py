"""The domain's names in GraphQL's spelling: clients know `caller_id_number` as `callerIdNumber`."""

import re
from collections.abc import Iterable
from typing import Final

from strawberry.utils.str_converters import to_camel_case

from recordings.model.errors import InvalidInput, Problem, Refused, problem
from recordings.model.options import PARAMETERS

_QUOTED: Final = re.compile(r"`(\w+)`")


def camel_path(path: Iterable[str]) -> list[str]:
    """Return a path into an input in the client's spelling."""
    return [to_camel_case(part) for part in path]


def with_client_names(text: str) -> str:
    """Return a text of the domain, with the field names in it in the client's spelling."""
    return _QUOTED.sub(lambda found: f"`{to_camel_case(found[1])}`", text)


def parameter_description(name: str) -> str:
    """Return the description of a recording option, followed by its allowed values. An enumeration lists its own."""
    option = PARAMETERS[name]
    description = with_client_names(option.description)
    return description if option.choices else f"{description} {option.allowed[0].upper()}{option.allowed[1:]}."


def translated(found: Problem) -> Problem:
    """Return a problem with its path and message in the client's spelling."""
    return problem(camel_path(found.path), found.rule, found.given, found.allowed)


def explain(refused: Refused) -> tuple[str, list[str]]:
    """Return the message and the path of a refusal in the client's spelling."""
    if isinstance(refused, InvalidInput):
        problems = [translated(found) for found in refused.problems]
        return "; ".join(found.message for found in problems), list(problems[0].path)
    return with_client_names(refused.message), camel_path(refused.path)
