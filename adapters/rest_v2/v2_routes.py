"""Every path and method of the v2 API, for the requests and for the OpenAPI document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from adapters.rest_v2.request.v2_errors import not_allowed, not_found
from adapters.rest_v2.request.wanted_type import JSON, PLAYED, TABLE, Offers

OWN_ACCOUNT: Final = "account"
"""`/account/...` is `/accounts/{the token's account}/...`."""
COMMON: Final = (400, 401, 406, 429, 503)
SCOPED: Final = (*COMMON, 403, 404)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. `success` has its successful statuses, `statuses` its other ones."""

    name: str
    method: str
    path: str
    summary: str
    statuses: Sequence[int]
    success: Sequence[int] = (200,)
    parameters: Sequence[str] = ()
    body: str | None = None
    data: str = "Object"
    offers: Offers = JSON
    login: bool = False
    """Whether the operation issues tokens and so needs none."""
    public: bool = False
    """Whether the operation needs no token."""
    needs_account: bool = True
    """Whether the operation needs more of the account than its id."""

    @property
    def takes_body(self) -> bool:
        """Whether the body must have a supported type."""
        return self.method in {"PUT", "POST", "PATCH"}


@dataclass(frozen=True, slots=True)
class Target:
    """The operation of a request, and the variable parts of its path."""

    operation: Operation
    arguments: Mapping[str, str] = field(default_factory=dict)


PUBLIC: Final = (*COMMON, 404)

_A, _R = "/accounts/{account_id}", "/accounts/{account_id}/recordings/{recording_id}"
_W = "/accounts/{account_id}/webhooks/{webhook_id}"
_U = "/accounts/{account_id}/users/{user_id}/recordings"
_LIST: Final = (
    "page_size", "start_key", "end_key", "paginate", "ascending", "descending", "created_from", "created_to",
    "modified_from", "modified_to", "has_key", "key_missing", "has_value", "value_missing", "missing_value",
    "filter_", "filter_not_", "accept", "file_name", "is_chunked", "chunk_size", "pretty_print",
)  # fmt: skip
_PAGES: Final = ("page_size", "start_key", "paginate", "pretty_print")
_ATTEMPTS: Final = (*_PAGES, "created_from", "created_to")
_READ: Final = ("If-None-Match", "If-Match")


def _recording(path: str, suffix: str) -> tuple[Operation, ...]:
    return (
        Operation(
            name=f"get_recording{suffix}", method="GET", path=path,
            summary="Get the document or the audio of a recording.",
            success=(200, 206, 304), statuses=(*SCOPED, 412, 416, 500), offers=PLAYED, data="Recording",
            parameters=("accept", "inline", "pretty_print", "Range", "If-Range", *_READ),
        ),
        Operation(
            name=f"delete_recording{suffix}", method="DELETE", path=path,
            summary="Delete a recording and the audio that this service stores.",
            statuses=(*SCOPED, 409, 412), data="DeletedRecording", parameters=("If-Match",),
        ),
        Operation(
            name=f"patch_recording{suffix}", method="PATCH", path=path,
            summary="Change the user metadata of a recording. Keys are merged; null removes a key.",
            statuses=(*SCOPED, 409, 412, 415), data="Recording", body="RecordingPatch", parameters=("If-Match",),
        ),
    )  # fmt: skip


def _written(name: str, path: str, data: str, what: str) -> tuple[Operation, ...]:
    statuses = (*SCOPED, 409, 415)
    return (
        Operation(
            name=f"post_{name}", method="POST", path=path, statuses=statuses, data=data, body="DocumentRequest",
            summary=f"Replace the document of {what}, with its recording policy.",
        ),
        Operation(
            name=f"patch_{name}", method="PATCH", path=path, statuses=statuses, data=data, body="DocumentRequest",
            summary=f"Change the document of {what}. Objects are merged; null removes a key.",
        ),
    )  # fmt: skip


OPERATIONS: Final = (
    Operation(
        name="list_recordings", method="GET", path=f"{_A}/recordings",
        summary="List the recordings of an account, newest first.",
        success=(200, 204), statuses=(*SCOPED, 416), offers=TABLE, data="RecordingList", parameters=_LIST,
        needs_account=False,
    ),
    *_recording(_R, ""),
    Operation(
        name="list_user_recordings", method="GET", path=_U,
        summary="List the recordings of a user, newest first.",
        success=(200, 204), statuses=(*SCOPED, 416), offers=TABLE, data="RecordingList", parameters=_LIST,
        needs_account=False,
    ),
    *_recording(f"{_U}/{{recording_id}}", "_of_user"),
    Operation(
        name="control_channel", method="PUT", path=f"{_A}/channels/{{channel_id}}",
        summary="Start, stop, mask or unmask the recording of a live call.",
        success=(201,), statuses=(*SCOPED, 409, 415), data="Text", body="Metaflow",
    ),
    Operation(
        name="get_account", method="GET", path=_A, summary="Get an account.",
        statuses=SCOPED, data="Account", parameters=("pretty_print",),
    ),
    *_written("account", _A, "Account", "an account"),
    Operation(
        name="list_users", method="GET", path=f"{_A}/users", summary="List the users of an account.",
        statuses=SCOPED, data="UserList", parameters=_PAGES,
    ),
    Operation(
        name="get_user", method="GET", path=f"{_A}/users/{{user_id}}", summary="Get a user.",
        statuses=SCOPED, data="User", parameters=("pretty_print",),
    ),
    *_written("user", f"{_A}/users/{{user_id}}", "User", "a user"),
    Operation(
        name="list_devices", method="GET", path=f"{_A}/devices",
        summary="List the devices of an account.",
        statuses=SCOPED, data="DeviceList", parameters=_PAGES,
    ),
    Operation(
        name="put_device", method="PUT", path=f"{_A}/devices", summary="Create a device with a new id.",
        success=(201,), statuses=(*SCOPED, 409, 415), data="Device", body="DocumentRequest",
    ),
    Operation(
        name="get_device", method="GET", path=f"{_A}/devices/{{device_id}}", summary="Get a device.",
        statuses=SCOPED, data="Device", parameters=("pretty_print",),
    ),
    *_written("device", f"{_A}/devices/{{device_id}}", "Device", "a device"),
    Operation(
        name="list_children", method="GET", path=f"{_A}/children",
        summary="List the accounts directly below an account.",
        statuses=SCOPED, data="AccountList", parameters=_PAGES,
    ),
    Operation(
        name="list_descendants", method="GET", path=f"{_A}/descendants",
        summary="List all accounts below an account.",
        statuses=SCOPED, data="AccountList", parameters=_PAGES,
    ),
    Operation(
        name="get_storage", method="GET", path=f"{_A}/storage",
        summary="Describe the media store of an account as a storage plan.",
        statuses=SCOPED, data="Storage", parameters=("pretty_print",),
    ),
    Operation(
        name="put_storage", method="PUT", path=f"{_A}/storage",
        summary="Describe the media store of an account. A request for another one is 400.",
        success=(201,), statuses=(*SCOPED, 415), data="Storage", body="StorageRequest",
    ),
    Operation(
        name="list_webhooks", method="GET", path=f"{_A}/webhooks", summary="List the webhooks of an account.",
        statuses=SCOPED, data="WebhookList", parameters=_PAGES,
    ),
    Operation(
        name="put_webhook", method="PUT", path=f"{_A}/webhooks", summary="Create a webhook.",
        success=(201,), statuses=(*SCOPED, 409, 415), data="Webhook", body="WebhookRequest",
    ),
    Operation(
        name="enable_webhooks", method="PATCH", path=f"{_A}/webhooks",
        summary="Enable the webhooks of an account that the service disabled.",
        statuses=(*SCOPED, 409, 415), data="Text", body="ReEnable",
    ),
    Operation(
        name="enable_webhooks_below", method="PATCH", path=f"{_A}/descendants/webhooks",
        summary="Enable the webhooks of an account, and of all accounts below it, that the service disabled.",
        statuses=(*SCOPED, 409, 415), data="Text", body="ReEnable",
    ),
    Operation(
        name="list_attempts", method="GET", path=f"{_A}/webhooks/attempts",
        summary="List the last attempts of all webhooks of an account, newest first.",
        statuses=SCOPED, data="AttemptList", parameters=_ATTEMPTS,
    ),
    Operation(
        name="get_webhook", method="GET", path=_W, summary="Get a webhook.",
        statuses=SCOPED, data="Webhook", parameters=("pretty_print",),
    ),
    Operation(
        name="post_webhook", method="POST", path=_W, summary="Replace the document of a webhook.",
        statuses=(*SCOPED, 409, 415), data="Webhook", body="WebhookRequest",
    ),
    Operation(
        name="patch_webhook", method="PATCH", path=_W,
        summary="Change the document of a webhook. Objects are merged; null removes a key.",
        statuses=(*SCOPED, 409, 415), data="Webhook", body="DocumentRequest",
    ),
    Operation(
        name="delete_webhook", method="DELETE", path=_W, summary="Delete a webhook.",
        statuses=(*SCOPED, 409), data="Webhook",
    ),
    Operation(
        name="list_attempts_of_webhook", method="GET", path=f"{_W}/attempts",
        summary="List the last attempts of a webhook, newest first.",
        statuses=SCOPED, data="AttemptList", parameters=_ATTEMPTS,
    ),
    Operation(
        name="list_hooks", method="GET", path="/webhooks", summary="List the webhooks that this service offers.",
        statuses=PUBLIC, data="HookList", parameters=_PAGES, public=True,
    ),
    Operation(
        name="list_samples", method="GET", path="/webhooks/samples", summary="List the ids of sample requests.",
        statuses=PUBLIC, data="TextList", parameters=("pretty_print",), public=True,
    ),
    Operation(
        name="get_samples", method="GET", path="/webhooks/samples/{sample_id}",
        summary="Get samples of the requests of a webhook.",
        statuses=PUBLIC, data="ObjectList", parameters=("filter_", "filter_not_", "pretty_print"), public=True,
    ),
    Operation(
        name="api_auth", method="PUT", path="/api_auth", summary="Get a token for an API key.",
        success=(201,), statuses=(*COMMON, 404, 415), data="Session", body="ApiAuth", login=True,
    ),
    Operation(
        name="user_auth", method="PUT", path="/user_auth", summary="Get a token for a user's credentials.",
        success=(201,), statuses=(*COMMON, 415), data="Session", body="UserAuth", login=True,
    ),
    Operation(
        name="get_token_auth", method="GET", path="/token_auth", summary="Describe the token.",
        statuses=COMMON, data="Session",
    ),
    Operation(
        name="delete_token_auth", method="DELETE", path="/token_auth", summary="End the token.",
        statuses=(*COMMON, 403),
    ),
)  # fmt: skip

_BY_LENGTH: Final[dict[int, list[tuple[Operation, list[str]]]]] = {}
"""The operations and the segments of their paths, by the number of segments."""
for _operation in OPERATIONS:
    _segments = _operation.path.strip("/").split("/")
    _BY_LENGTH.setdefault(len(_segments), []).append((_operation, _segments))


def find(method: str, path: str) -> Target:
    """Return the operation for a method and a path. The path is percent-encoded and has no mount prefix.

    Raises:
        V2Error: 404 for an unknown path, 405 for a method that the path does not have.
    """
    found = _operations_at(path)
    if not found:
        raise not_found()
    for operation, arguments in found:
        if operation.method == method:
            return Target(operation, arguments)
    raise not_allowed(", ".join(operation.method for operation, _ in found))


@lru_cache(maxsize=128)
def _operations_at(path: str) -> Sequence[tuple[Operation, Mapping[str, str]]]:
    # A list is requested again and again, and the comparison with all paths takes 20 µs.
    segments = [unquote(segment) for segment in path.strip("/").split("/")]
    if segments[0] == OWN_ACCOUNT:
        segments[:1] = ["accounts", ""]
    return _matching(segments)


def _matching(segments: Sequence[str]) -> list[tuple[Operation, Mapping[str, str]]]:
    """Return the operations of a path, with the variable parts of it. A fixed path hides one with a variable part."""
    found = [
        (operation, arguments)
        for operation, pattern in _BY_LENGTH.get(len(segments), ())
        if (arguments := _match(pattern, segments)) is not None
    ]
    fewest = min((len(arguments) for _, arguments in found), default=0)
    return [each for each in found if len(each[1]) == fewest]


def methods(path: str) -> str:
    """Return the methods of a path for CORS. For an unknown path, return the methods of all paths."""
    segments = path.strip("/").split("/")
    found = [operation.method for operation, _ in _matching(segments)]
    return ", ".join(["OPTIONS", *(found or dict.fromkeys(operation.method for operation in OPERATIONS))])


def _match(pattern: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    arguments = {}
    for part, segment in zip(pattern, segments, strict=True):
        if part.startswith("{"):
            arguments[part[1:-1]] = segment
        elif part != segment:
            return None
    return arguments
