"""One request on its way to its answer: what came, who asks, and the envelope of what goes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from adapters.rest_v2.request.envelope import UNDEFINED, Meta, failure, success, to_json
from adapters.rest_v2.request.parameters import Parameters
from adapters.rest_v2.request.request_credential import Credential
from adapters.rest_v2.request.v2_errors import Fault
from adapters.rest_v2.request.wanted_type import Choice, Kind, choose
from adapters.rest_v2.v2_routes import Operation, Target
from recordings.model.account import Account, Principal

JSON_TYPE: Final = "application/json"


@dataclass(slots=True, kw_only=True)
class RequestContext:
    """A request, and what was found out about it so far."""

    request: Request
    client: str
    meta: Meta
    parameters: Parameters = field(default_factory=Parameters)
    credential: Credential | None = None
    target: Target | None = None
    signed_in: Principal | None = None
    at: Account | None = None

    @property
    def principal(self) -> Principal:
        """Who asks. There is one wherever this is called."""
        if self.signed_in is None:
            raise RuntimeError("nobody is signed in")
        return self.signed_in

    @property
    def account(self) -> Account:
        """The account in the path, or else the principal's."""
        if self.at is None:
            raise RuntimeError("no account was found")
        return self.at

    @property
    def operation(self) -> Operation:
        """What is asked for."""
        if self.target is None:
            raise RuntimeError("no operation was found")
        return self.target.operation

    def argument(self, name: str) -> str:
        """What stood in the path."""
        return self.target.arguments.get(name, "") if self.target else ""

    @property
    def pretty(self) -> bool:
        """Whether JSON is to be indented (section 1.8)."""
        header = self.request.headers.get("x-pretty-print")
        return (header or self.parameters.find("pretty_print") or "") == "true"

    def choices(self) -> list[Choice]:
        """What the client accepts of what the operation offers. Raises `Fault`: 400 or 406."""
        offers = self.operation.offers
        csv = any(kind is Kind.CSV or kind is Kind.AUDIO for _, kind in offers)
        # Lines of one name are one list (RFC 9110, 5.3).
        header = ", ".join(self.request.headers.getlist("accept"))
        return choose(header, self.parameters.find("accept"), offers, csv=csv)

    def reply(
        self,
        data: Any,
        *,
        status: int = 200,
        paging: Mapping[str, Any] | None = None,
        revision: str | None = None,
    ) -> Response:
        """An answer with data. A revision is its `ETag` too."""
        envelope = success(data, self.meta, paging)
        headers = {}
        if revision is not None:
            envelope["revision"] = revision
            headers["etag"] = f'"{revision}"'
        return Response(to_json(envelope, pretty=self.pretty), status, headers, JSON_TYPE)

    def token_changed(self, token: str) -> None:
        """Say another token in the envelope."""
        self.meta = replace(self.meta, auth_token=token)

    def refuse(self, fault: Fault) -> Response:
        """An answer that is not what was asked for."""
        if fault.bare:
            return Response(status_code=fault.status, headers=fault.headers)
        meta = self.meta
        if fault.status == 401:  # noqa: PLR2004 - not authenticated
            meta = replace(meta, auth_token=UNDEFINED)
        body = to_json(failure(fault, meta), pretty=self.pretty)
        return Response(body, fault.status, fault.headers, JSON_TYPE)
