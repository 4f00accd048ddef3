"""The context of one request: its parameters, its principal, its account, and the envelope of its response."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from adapters.rest_v2.request.envelope import UNDEFINED, EnvelopeFields, failure, success, to_json
from adapters.rest_v2.request.parameters import Parameters
from adapters.rest_v2.request.request_credential import Credential
from adapters.rest_v2.request.v2_errors import V2Error
from adapters.rest_v2.request.wanted_type import Choice, Kind, choose
from adapters.rest_v2.v2_routes import Operation, Target
from recordings.model.account import Account, Principal

JSON_TYPE: Final = "application/json"


@dataclass(slots=True, kw_only=True)
class RequestContext:
    """A request. `RequestChecks` fills in the fields that are `None` here."""

    request: Request
    client: str
    fields: EnvelopeFields
    parameters: Parameters = field(default_factory=Parameters)
    credential: Credential | None = None
    target: Target | None = None
    authenticated: Principal | None = None
    found_account: Account | None = None
    account_id: str = ""
    """The id of the account in the path. Without one, of the principal's account."""

    @property
    def principal(self) -> Principal:
        """The authenticated principal. Only login operations have none."""
        if self.authenticated is None:
            raise RuntimeError("the request is not authenticated")
        return self.authenticated

    @property
    def account(self) -> Account:
        """The account in the path. Without one, the principal's account."""
        if self.found_account is None:
            raise RuntimeError("the request has no account")
        return self.found_account

    @property
    def operation(self) -> Operation:
        """The operation of the request."""
        if self.target is None:
            raise RuntimeError("the request has no operation")
        return self.target.operation

    def argument(self, name: str) -> str:
        """Return a part of the path by its name, or an empty text."""
        return self.target.arguments.get(name, "") if self.target else ""

    @property
    def pretty(self) -> bool:
        """Whether the client wants indented JSON (`docs/v2_contract.md`, section 1.8)."""
        header = self.request.headers.get("x-pretty-print")
        return (header or self.parameters.find("pretty_print") or "") == "true"

    def accepted_types(self) -> list[Choice]:
        """Return the types that the client accepts and the operation offers, the preferred one first.

        Raises:
            V2Error: 400 for a malformed header, or 406 if no offered type is accepted.
        """
        offers = self.operation.offers
        csv = any(kind is Kind.CSV or kind is Kind.AUDIO for _, kind in offers)
        # Several lines of one header are one list (RFC 9110, section 5.3).
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
        """Return a successful response with data. The revision is also its `ETag`."""
        envelope = success(data, self.fields, paging)
        headers = {}
        if revision is not None:
            envelope["revision"] = revision
            headers["etag"] = f'"{revision}"'
        return Response(to_json(envelope, pretty=self.pretty), status, headers, JSON_TYPE)

    def show_token(self, token: str) -> None:
        """Set the token that the envelope shows."""
        self.fields = replace(self.fields, auth_token=token)

    def error_response(self, error: V2Error) -> Response:
        """Return the response for an error."""
        if error.bare:
            return Response(status_code=error.status, headers=error.headers)
        fields = self.fields
        if error.status == 401:  # noqa: PLR2004 - not authenticated
            fields = replace(fields, auth_token=UNDEFINED)
        body = to_json(failure(error, fields), pretty=self.pretty)
        return Response(body, error.status, error.headers, JSON_TYPE)
