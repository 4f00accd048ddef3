"""A client of a chaos run. It retries a request until it is acknowledged, and reports each unexpected response."""

import time
from collections import Counter
from collections.abc import Callable
from random import Random
from threading import Event, Lock
from typing import Any, Final

import httpx

from tests.faults.chaos.chaos_installation import ChaosInstallation

PATIENCE: Final = 60.0
"""Seconds after which a client stops to retry a request."""
_PAUSE: Final = 0.3
_TEMPORARY: Final = frozenset({429, 502, 503, 504})
_TEMPORARY_CODES: Final = frozenset({"UNAVAILABLE", "BUSY", "CONFLICT"})
_FIELDS: Final = "recording { plainId state reason } errors { __typename ... on UserError { code message } }"


class Report:
    """The responses of a run that were no success. All threads share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.unexpected: list[str] = []
        """Responses that are a fault at any time."""
        self.retried: Counter[str] = Counter()
        self.failures: list[str] = []
        """Requests without a success since the last `clear`: a fault only during a rolling restart."""
        self.longest: dict[str, float] = {}
        """The longest time until a response, for each kind of request."""

    def unexpected_response(self, kind: str, text: str) -> None:
        with self._lock:
            self.unexpected.append(f"{kind}: {text[:400]}")

    def failed(self, kind: str, reason: str) -> None:
        with self._lock:
            self.retried[f"{kind}: {reason[:60]}"] += 1
            self.failures.append(f"{kind}: {reason[:300]}")

    def took(self, kind: str, seconds: float) -> None:
        with self._lock:
            self.longest[kind] = max(self.longest.get(kind, 0.0), seconds)


class Caller:
    """The client of one thread."""

    def __init__(self, installation: ChaosInstallation, report: Report, over: Event, random: Random) -> None:
        self._installation = installation
        self._report = report
        self._over = over
        self.random = random
        self.is_gentle = False
        """If true, all requests use the balancer."""
        self._http = httpx.Client(headers={"X-Auth-Token": installation.token}, timeout=40)

    def close(self) -> None:
        self._http.close()

    def base_url(self) -> str:
        """Return the URL of the balancer, or sometimes that of a server."""
        if self.is_gentle or self.random.random() < 0.6:
            return self._installation.url
        return self.random.choice(self._installation.servers).url

    def send(self, kind: str, method: str, path: str, base: str | None = None, **options: Any) -> httpx.Response | None:
        """Send a request once. Return `None` if there is no response or the response asks to try again."""
        began = time.monotonic()
        try:
            response = self._http.request(method, f"{base or self.base_url()}{path}", **options)
        except httpx.HTTPError as error:
            self._report.failed(kind, type(error).__name__)
            return None
        finally:
            self._report.took(kind, time.monotonic() - began)
        if response.status_code in _TEMPORARY:
            self._report.failed(kind, str(response.status_code))
            return None
        if response.status_code >= 500:
            self._report.unexpected_response(kind, f"{response.status_code} {response.text}")
            return None
        return response

    def query(self, kind: str, document: str, **variables: Any) -> Any:
        """Run an operation once. Return its data, or `None` if it must be tried again."""
        response = self.send(kind, "POST", "/graphql", json={"query": document, "variables": variables})
        if response is None:
            return None
        body = response.json()
        if errors := body.get("errors"):
            codes = {error.get("extensions", {}).get("code") for error in errors}
            if not codes <= _TEMPORARY_CODES:
                self._report.unexpected_response(kind, response.text)
            self._report.failed(kind, str(sorted(map(str, codes))))
            return None
        return body["data"]

    def mutate(self, name: str, again: tuple[str, ...] = (), **fields: Any) -> Any:
        """Repeat a mutation until it is acknowledged. Return its payload, or `None` if the client gave up.

        `again` are the error codes after which it is repeated, too.
        """
        kind = name[0].upper() + name[1:]
        document = f"mutation M($input: {kind}Input!) {{ payload: {name}(input: $input) {{ {_FIELDS} }} }}"

        def once() -> Any:
            data = self.query(name, document, input=fields)
            payload = data and data["payload"]
            if payload and {error["code"] for error in payload["errors"]} & {*again, *_TEMPORARY_CODES}:
                return None
            return payload

        return self.repeat(once)

    def repeat(self, once: Callable[[], Any]) -> Any:
        """Call a function until it returns a result, or until the client gives up."""
        deadline = time.monotonic() + PATIENCE
        while not (result := once()):
            if time.monotonic() > deadline or self._over.is_set():
                return None
            time.sleep(_PAUSE)
        return result
