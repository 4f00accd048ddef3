"""The documents of an account, a user and a device (`docs/v2_contract.md`, section 9), with their recording policies.

A client's document is stored as it is and returned as it was. This service knows a few fields itself, such as the name
of the account. A document may repeat them, but not change them.
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from adapters.rest_v2.request.read_principal import read_principal
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.v2_errors import bad_identifier, escaped, invalid
from adapters.rest_v2.session.account_documents import reply_with_page, user_item
from adapters.rest_v2.v2_settings import V2Settings
from recordings.model.account import Scope
from recordings.model.errors import NotFound
from recordings.model.ids import new_id
from recordings.model.recording_policy import DocumentKind, PolicyDocument
from recordings.use_cases.policies import Policies
from recordings.use_cases.users import ManageUsers

_PRIVATE: Final = ("_", "pvt_")
Document = dict[str, Any]


class DocumentEndpoint:
    """Serves the documents that have policies."""

    def __init__(self, *, policies: Policies, users: ManageUsers, settings: V2Settings) -> None:
        self._policies = policies
        self._users = users
        self._settings = settings

    # Accounts

    async def get_account(self, context: RequestContext) -> Response:
        """Return the document of an account."""
        context.accepted_types()
        body: Mapping[str, Any] = {}
        if Scope.READ in context.principal.scopes:
            body = (await self._read(context, DocumentKind.ACCOUNT)).body
        return context.reply({**self._texts(), **body, **_own_account(context)})

    async def post_account(self, context: RequestContext) -> Response:
        """Replace the document of an account."""
        return await self._write(context, DocumentKind.ACCOUNT, _own_account(context))

    async def patch_account(self, context: RequestContext) -> Response:
        """Merge an object into the document of an account. `null` removes a key."""
        return await self._write(context, DocumentKind.ACCOUNT, _own_account(context))

    # Users

    async def get_user(self, context: RequestContext) -> Response:
        """Return the document of a user, or 404 for an unknown one."""
        context.accepted_types()
        own = await self._own_user(context)
        found = await self._read(context, DocumentKind.USER, own["id"])
        return context.reply({**self._user_defaults(), **found.body, **own})

    async def post_user(self, context: RequestContext) -> Response:
        """Replace the document of a user."""
        return await self._write(context, DocumentKind.USER, await self._own_user(context))

    async def patch_user(self, context: RequestContext) -> Response:
        """Merge an object into the document of a user. `null` removes a key."""
        return await self._write(context, DocumentKind.USER, await self._own_user(context))

    # Devices

    async def list_devices(self, context: RequestContext) -> Response:
        """List the devices of an account, sorted by name."""
        context.accepted_types()
        found = await self._policies.devices(read_principal(context, self._settings), context.account.id)
        return reply_with_page(context, found, _device_key, _device_item)

    async def put_device(self, context: RequestContext) -> Response:
        """Create a device with a new id."""
        return await self._write(context, DocumentKind.DEVICE, {"id": new_id()}, status=201)

    async def get_device(self, context: RequestContext) -> Response:
        """Return the document of a device, or 404 for an unknown one."""
        context.accepted_types()
        found = await self._read(context, DocumentKind.DEVICE, context.argument("device_id"))
        return context.reply({**found.body, "id": found.id})

    async def post_device(self, context: RequestContext) -> Response:
        """Replace the document of a device. An unknown id becomes a new device."""
        return await self._write(context, DocumentKind.DEVICE, {"id": context.argument("device_id")})

    async def patch_device(self, context: RequestContext) -> Response:
        """Merge an object into the document of a device. `null` removes a key."""
        return await self._write(context, DocumentKind.DEVICE, {"id": context.argument("device_id")})

    # Helpers

    def _texts(self) -> Document:
        return {"language": self._settings.language, "timezone": self._settings.timezone}

    def _user_defaults(self) -> Document:
        return {"features": [], "enabled": True, **self._texts()}

    async def _own_user(self, context: RequestContext) -> Document:
        """Return the fields of a user that this service knows itself."""
        user_id = context.argument("user_id")
        user = await self._users.user(read_principal(context, self._settings), context.account.id, user_id)
        if user is None:
            raise bad_identifier(user_id)
        return {name: value for name, value in user_item(user).items() if name != "features"}

    async def _read(self, context: RequestContext, kind: DocumentKind, identity: str | None = None) -> PolicyDocument:
        principal = read_principal(context, self._settings)
        try:
            return await self._policies.document(principal, kind, identity, context.account.id)
        except NotFound as error:
            raise bad_identifier(identity or "") from error

    async def _write(self, context: RequestContext, kind: DocumentKind, own: Document, status: int = 200) -> Response:
        """Save the body of a request. `own` are the fields that this service knows itself."""
        context.accepted_types()
        body = _public(context.parameters.body(), own)
        is_patch = context.operation.method == "PATCH"
        save = self._policies.patch_body if is_patch else self._policies.put_body
        try:
            saved = await save(context.principal, kind, body, own["id"], context.account.id)
        except NotFound as error:
            raise bad_identifier(own["id"]) from error
        defaults = {DocumentKind.ACCOUNT: self._texts(), DocumentKind.USER: self._user_defaults()}.get(kind, {})
        return context.reply({**defaults, **saved.body, **own}, status=status)


def _own_account(context: RequestContext) -> Document:
    """Return the fields of an account that this service knows itself."""
    account = context.account
    return {"id": account.id, "name": account.name, "realm": account.realm}


def _public(body: Mapping[str, Any], own: Document) -> Document:
    """Return the part of a document that is stored: without private fields, and without those of this service.

    Raises:
        V2Error: the document changes a field of this service.
    """
    for name, value in own.items():
        if name in body and body[name] != value and not (name == "id" and body[name] is None):
            message = (
                "This service chooses the id"
                if name == "id"
                else "An operator sets this field: see the commands `recordings account` and `recordings user`"
            )
            raise invalid(escaped(name), "error", message, value=body[name])
    return {name: value for name, value in body.items() if name not in own and not name.startswith(_PRIVATE)}


def _device_key(device: PolicyDocument) -> tuple[str, str]:
    return str(device.body.get("name", "")).lower(), device.id


def _device_item(device: PolicyDocument) -> Document:
    shown = ("name", "owner_id", "mac_address", "device_type", "enabled")
    return {"id": device.id, **{name: device.body[name] for name in shown if name in device.body}}
