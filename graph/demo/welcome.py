"""What `recordings serve --demo` prints: everything that a newcomer needs, as things to paste."""

import json
import shlex
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from graph.demo.demo_account import TOKEN_SECONDS
from graph.settings import BY_NAME, Settings

QUERY: Final = "{ recordings(first: 3) { nodes { plainId label durationMs state media { url } } } }"

_TEXT: Final = """
A demo account with recordings that play is ready.

GraphiQL     {graphiql}
its headers  {headers}
             (the token holds for {hours} hours)

a query      {query}

with curl    {curl}

a live call  {call}
             (it prints the call's id; record it with startRecording)
"""


def introduce(settings: Settings, token: str, program: Sequence[str]) -> str:
    """The text. `program` is how this command line was called, without its arguments."""
    endpoint = f"{settings.address}/graphql"
    return _TEXT.format(
        graphiql=endpoint,
        headers=json.dumps({"X-Auth-Token": token}),
        hours=TOKEN_SECONDS // 3_600,
        query=QUERY,
        curl=shlex.join(curl(endpoint, token, QUERY)),
        call=shlex.join([*program, "call", *_same_place(settings)]),
    )


def curl(endpoint: str, token: str, query: str) -> list[str]:
    """The words of a curl command that sends a query."""
    headers = (f"X-Auth-Token: {token}", "Content-Type: application/json")
    words = [word for header in headers for word in ("-H", header)]
    return ["curl", "-s", endpoint, *words, "-d", json.dumps({"query": query})]


def warning(settings: Settings) -> str | None:
    """What to say of a demo that others can reach; `None` if they cannot."""
    try:
        private = ip_address(settings.host).is_loopback
    except ValueError:
        private = settings.host == "localhost"
    if private:
        return None
    return (
        f"WARNING: --demo listens on {settings.host}, so others can reach it. Its token is printed here and in logs "
        "of whatever keeps this output; do not put real calls into it."
    )


def _same_place(settings: Settings) -> list[str]:
    """The options that lead another command to the same installation."""
    names = ("host", "port", "data", "mongodb", "driver", "media", "media_options", "public_url", "key_file")
    changed = [name for name in names if getattr(settings, name) != BY_NAME[name].default]
    return [
        word for name in changed for word in (BY_NAME[name].option, _without_password(str(getattr(settings, name))))
    ]


def _without_password(value: str) -> str:
    """A setting as it is shown: whatever keeps this output shall not have the key to a store."""
    scheme, _, rest = value.partition("://")
    return f"{scheme}://USER:PASSWORD@{rest.rpartition('@')[2]}" if "@" in rest else value
