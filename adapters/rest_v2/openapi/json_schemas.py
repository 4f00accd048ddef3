"""JSON schemas of what goes in and out, for the OpenAPI document."""

from typing import Any, Final

from adapters.rest_v2.recording.live_calls import ACTIONS, MODULE
from adapters.rest_v2.session.token_auth import KEY_LENGTH, MAX_CREDENTIALS
from recordings.model.options import PARAMETERS, Parameter
from recordings.model.user import Method, PrivLevel

Schema = dict[str, Any]
TEXT: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
OBJECT: Final[Schema] = {"type": "object"}
_TYPES: Final = {bool: "boolean", int: "integer", str: "string"}


def of(properties: Schema, *, required: tuple[str, ...] = (), **more: Any) -> Schema:
    """The schema of an object."""
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {}), **more}


def listed(item: Schema) -> Schema:
    """The schema of an array."""
    return {"type": "array", "items": item}


def reference(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def request(data: Schema, **beside: Any) -> Schema:
    """The schema of a request's envelope."""
    return of({"data": data, **beside}, required=("data",))


def parameter(found: Parameter) -> Schema:
    """The schema of a documented parameter of a recording (contract section 6.2)."""
    schema: Schema = {"type": _TYPES[found.type], "description": found.description}
    limits = {"minimum": found.minimum, "maximum": found.maximum, "maxLength": found.max_length}
    schema |= {name: limit for name, limit in limits.items() if limit is not None}
    if found.choices:
        schema["enum"] = list(found.choices)
    if found.default is not None:
        schema["default"] = found.default
    return schema


def _metaflow() -> Schema:
    options = {name: parameter(found) for name, found in PARAMETERS.items() if not found.read_only}
    options["action"] = {**TEXT, "enum": list(ACTIONS), "default": "start"}
    flow = of({"module": {"const": MODULE}, "data": of(options, additionalProperties=False)}, required=("module",))
    return request(flow, action={"const": "metaflow"}) | {"required": ["data", "action"]}


_PARTY: Final = ("from", "to", "request", "call_id", "cdr_id", "interaction_id", "owner_id", "endpoint_id", "origin")
_RECORDING: Final = of(
    {
        "id": TEXT,
        **dict.fromkeys(("name", "description", "content_type", "media_type", "media_source", "source_type"), TEXT),
        **dict.fromkeys(_PARTY, TEXT),
        **dict.fromkeys(("caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number"), TEXT),
        "direction": TEXT,
        "url": TEXT,
        **dict.fromkeys(("start", "duration", "duration_ms"), INTEGER),
        "custom_channel_vars": OBJECT,
        "user_metadata": OBJECT,
    },
    required=("id",),
)
_READ_ONLY: Final = of({"content_types": listed(TEXT)}, required=("content_types",))
_SESSION: Final = of(
    {
        **dict.fromkeys(("account_id", "owner_id", "account_name", "language", "reseller_id", "cluster_id"), TEXT),
        "apps": listed(OBJECT),
        "is_reseller": {"type": "boolean"},
        "is_master_account": {"type": "boolean"},
        "capabilities": OBJECT,
        "ui_config": OBJECT,
    },
    required=("account_id", "account_name"),
)
_USER: Final = of(
    {
        **dict.fromkeys(("id", "username", "first_name", "last_name", "email"), TEXT),
        "features": listed(TEXT),
        "priv_level": {**TEXT, "enum": [level.value for level in PrivLevel]},
    },
    required=("id", "username", "first_name", "last_name", "email", "features", "priv_level"),
)
_TOKENS: Final = of({"consumed": INTEGER, "remaining": INTEGER}, required=("consumed", "remaining"))
_META: Final[Schema] = {
    "request_id": TEXT,
    "node": {**TEXT, "minLength": 22, "maxLength": 22},
    "version": TEXT,
    "timestamp": {**TEXT, "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"},
    "auth_token": TEXT,
    "tokens": _TOKENS,
}
_PAGING: Final[Schema] = {
    "page_size": {"description": "Items in this answer."},
    "start_key": TEXT,
    "next_start_key": TEXT,
    "revision": TEXT,
}
_SAID: Final = ("request_id", "node", "version", "timestamp")

SCHEMAS: Final[dict[str, Schema]] = {
    "Object": OBJECT,
    "Text": TEXT,
    "Recording": _RECORDING,
    "ListedRecording": {"allOf": [reference("Recording"), of({"_read_only": _READ_ONLY}, required=("_read_only",))]},
    "RecordingList": listed(reference("ListedRecording")),
    "DeletedRecording": {
        "allOf": [
            reference("Recording"),
            of({"_read_only": of({"deleted": {"const": True}})}, required=("_read_only",)),
        ]
    },
    "Account": of(
        dict.fromkeys(("id", "name", "realm", "language", "timezone"), TEXT), required=("id", "name", "realm")
    ),
    "User": _USER,
    "UserList": listed(reference("User")),
    "Session": _SESSION,
    "Success": of({"status": {"const": "success"}, **_META, **_PAGING}, required=("data", "status", *_SAID)),
    "Error": of(
        {
            "status": {"const": "error"},
            "error": {**TEXT, "pattern": "^[0-9]{3}$"},
            "message": TEXT,
            "data": {},
            **_META,
        },
        required=("data", "status", "error", "message", *_SAID),
    ),
    "RecordingPatch": request(
        of({"user_metadata": OBJECT, "ui_metadata": OBJECT}, required=("user_metadata",), additionalProperties=False)
    ),
    "Metaflow": _metaflow(),
    "ApiAuth": request(
        of(
            {"api_key": {**TEXT, "minLength": KEY_LENGTH, "maxLength": KEY_LENGTH}},
            required=("api_key",),
            additionalProperties=False,
        )
    ),
    "UserAuth": request(
        of(
            {
                "credentials": {**TEXT, "minLength": 1, "maxLength": MAX_CREDENTIALS},
                "method": {**TEXT, "enum": [method.value for method in Method], "default": Method.MD5.value},
                **dict.fromkeys(("account_name", "account_realm", "phone_number"), TEXT),
            },
            required=("credentials",),
        )
    ),
}
