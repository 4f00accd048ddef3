"""The text that `recordings serve --demo` prints: what a new user needs, ready to paste."""

import json
import shlex
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote, urlsplit

from graph.demo.demo_account import TOKEN_SECONDS, Demo
from graph.settings import BY_NAME, Settings

QUERY: Final = "{ recordings(first: 3) { nodes { plainId label durationMs state media { url } } } }"
SUBSCRIPTION: Final = "subscription { recordingChanged { kind cursor recording { plainId label state } } }"

_TEXT: Final = """
The demo account is ready. {recordings}

{console}{graphiql}{headers_of}  {headers}
             (the token expires in {hours} hours)

a query      {query}

changes      {subscription}
             ({run_it}, then change a recording)

with curl    {curl}

a live call  {call}
             (it prints the call's id; record the call with startRecording)
"""
_PAGE: Final = """{name:13}{address}
             ({purpose}; the address contains the token)

"""


def welcome_text(settings: Settings, demo: Demo, token: str, program: Sequence[str]) -> str:
    """Return the text. `program` is the command line of this program without its arguments."""
    endpoint = f"{settings.address}/graphql"
    return _TEXT.format(
        recordings=_recordings(demo),
        console=_page("console", "find and play the recordings", f"{settings.address}/console", token)
        if settings.console
        else "",
        graphiql=_page("GraphiQL", "try queries", endpoint, token) if settings.graphiql else "",
        headers_of="its headers" if settings.graphiql else "the headers",
        headers=json.dumps({"X-Auth-Token": token}),
        hours=TOKEN_SECONDS // 3_600,
        query=QUERY,
        subscription=SUBSCRIPTION,
        run_it="run it in GraphiQL" if settings.graphiql else "run it with a client of docs/clients.md",
        curl=shlex.join(curl(endpoint, token, QUERY)),
        call=shlex.join([*program, "call", *_installation_options(settings)]),
    )


def _page(name: str, purpose: str, url: str, token: str) -> str:
    return _PAGE.format(name=name, purpose=purpose, address=address_with_token(url, token))


def address_with_token(url: str, token: str) -> str:
    """Return the address that opens a page with a token.

    The token is in the fragment. A browser does not send the fragment, so no server or proxy can log it.
    """
    return f"{url}#token={quote(token, safe='')}"


def _recordings(demo: Demo) -> str:
    count = {0: "No recording", 1: "1 recording"}.get(demo.playable, f"{demo.playable} recordings")
    text = f"{count} can be played."
    return f"{text} {demo.unfinished} more are not stored yet: the log has the reason." if demo.unfinished else text


def curl(endpoint: str, token: str, query: str) -> list[str]:
    """Return the arguments of a curl command that sends a query."""
    headers = (f"X-Auth-Token: {token}", "Content-Type: application/json")
    header_options = [word for header in headers for word in ("-H", header)]
    return ["curl", "-s", endpoint, *header_options, "-d", json.dumps({"query": query})]


def exposure_warning(settings: Settings) -> str | None:
    """Return a warning if other machines can reach the demo; otherwise `None`."""
    public_host = urlsplit(settings.public_url or "").hostname
    if not _is_local(settings.host):
        reason = f"--demo listens on {settings.host}"
    elif public_host is not None and not _is_local(public_host):
        reason = f"--demo has the public URL {settings.address}"
    else:
        return None
    return (
        f"WARNING: {reason}, so other machines can reach it. Its token is printed here, and "
        "in every log that contains this output. Do not record real calls with it."
    )


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _installation_options(settings: Settings) -> list[str]:
    """Return the options with which another command finds the same installation."""
    names = ("host", "port", "data", "mongodb", "driver", "media", "media_options", "public_url", "key_file")
    changed = [name for name in names if getattr(settings, name) != BY_NAME[name].default]
    return [
        word for name in changed for word in (BY_NAME[name].option, _without_password(str(getattr(settings, name))))
    ]


def _without_password(value: str) -> str:
    """Return a setting without its password, because this output may be kept in a log."""
    scheme, _, rest = value.partition("://")
    return f"{scheme}://USER:PASSWORD@{rest.rpartition('@')[2]}" if "@" in rest else value
