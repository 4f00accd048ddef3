"""JSON schemas of requests and responses, for the OpenAPI document."""

from typing import Any, Final

from adapters.rest_v2.recording.live_calls import ACTIONS, MODULE
from adapters.rest_v2.recording.start_parameters import ANY_INTEGER
from adapters.rest_v2.session.token_auth import KEY_LENGTH, MAX_CREDENTIALS
from adapters.rest_v2.webhook.webhook_document import RETRIES, SELECTIONS, VERBS
from recordings.model.fields import FIELDS, FieldType
from recordings.model.options import FORMATS, MAX_TIME_LIMIT, MIN_TIME_LIMIT, PARAMETERS, Parameter
from recordings.model.user import Method, PrivLevel
from recordings.rules.kazoo_webhook import HOOK, KazooBody
from recordings.rules.policy_schema import SETTINGS, TYPE_NAMES

Schema = dict[str, Any]
TEXT: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
OBJECT: Final[Schema] = {"type": "object"}
_TYPES: Final = {bool: "boolean", int: "integer", str: "string"}


def object_schema(properties: Schema, *, required: tuple[str, ...] = (), **more: Any) -> Schema:
    """Return the schema of an object."""
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {}), **more}


def array_schema(item: Schema) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": item}


def reference(name: str) -> Schema:
    """Return a reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def request_schema(data: Schema, **others: Any) -> Schema:
    """Return the schema of a request's envelope."""
    return object_schema({"data": data, **others}, required=("data",))


def parameter_schema(parameter: Parameter) -> Schema:
    """Return the schema of a recording's parameter (`docs/v2_contract.md`, section 6.2)."""
    schema: Schema = {"type": _TYPES[parameter.type], "description": parameter.description}
    limits = {"minimum": parameter.minimum, "maximum": parameter.maximum, "maxLength": parameter.max_length}
    schema |= {name: limit for name, limit in limits.items() if limit is not None}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema


def _metaflow() -> Schema:
    options = {name: parameter_schema(parameter) for name, parameter in PARAMETERS.items()}
    for name in ANY_INTEGER:
        options[name] = {**INTEGER, "description": f"{options[name]['description']} {ANY_INTEGER[name]}"}
    options["action"] = {**TEXT, "enum": list(ACTIONS), "default": "start"}
    flow = object_schema({"module": {"const": MODULE}, "data": object_schema(options)}, required=("module",))
    return request_schema(flow, action={"const": "metaflow"}) | {"required": ["data", "action"]}


def _call_recording() -> Schema:
    """Return the schema of a recording policy (docs/policies.md)."""
    types: dict[str, Schema] = {name: {"type": TYPE_NAMES[kind]} for name, kind in SETTINGS.items()}
    types["format"]["enum"] = list(FORMATS)
    types["time_limit"] |= {"minimum": MIN_TIME_LIMIT, "maximum": MAX_TIME_LIMIT}
    cell = object_schema(types, additionalProperties=False)
    networks = object_schema(dict.fromkeys(("any", "onnet", "offnet"), cell), additionalProperties=False)
    return object_schema(dict.fromkeys(("any", "inbound", "outbound"), networks), additionalProperties=False)


_FIELD_SCHEMAS: Final[dict[FieldType, Schema]] = {
    FieldType.TEXT: TEXT,
    FieldType.CHOICE: TEXT,
    FieldType.NUMBER: INTEGER,
    FieldType.FREE_FORM: OBJECT,
}
_RECORDING: Final = object_schema(
    {
        **{
            field.v2: _FIELD_SCHEMAS[field.type]
            for field in FIELDS.values()
            if field.v2 is not None and not field.v2.startswith("pvt_")
        },
        **dict.fromkeys(("description", "content_type", "media_source", "source_type", "url"), TEXT),
        "duration": INTEGER,
        "record_sample_rate": INTEGER,
    },
    required=("id",),
)
_READ_ONLY: Final = object_schema({"content_types": array_schema(TEXT)}, required=("content_types",))
_SESSION: Final = object_schema(
    {
        **dict.fromkeys(("account_id", "owner_id", "account_name", "language", "reseller_id", "cluster_id"), TEXT),
        "apps": array_schema(OBJECT),
        "is_reseller": {"type": "boolean"},
        "is_master_account": {"type": "boolean"},
        "capabilities": OBJECT,
        "ui_config": OBJECT,
    },
    required=("account_id", "account_name"),
)
_USER: Final = object_schema(
    {
        **dict.fromkeys(("id", "username", "first_name", "last_name", "email", "language", "timezone"), TEXT),
        "features": array_schema(TEXT),
        "enabled": {"type": "boolean"},
        "call_recording": reference("CallRecording"),
        "priv_level": {**TEXT, "enum": [level.value for level in PrivLevel]},
    },
    required=("id", "username", "first_name", "last_name", "email", "features", "priv_level"),
)
_WEBHOOK: Final = object_schema(
    {
        **dict.fromkeys(("id", "name", "disable_reason"), TEXT),
        "uri": {**TEXT, "format": "uri"},
        "hook": {"const": HOOK},
        "http_verb": {**TEXT, "enum": list(VERBS), "default": "post"},
        "format": {**TEXT, "enum": [body.value for body in KazooBody], "default": KazooBody.FORM_DATA.value},
        "retries": {**INTEGER, "minimum": RETRIES[0], "maximum": RETRIES[1], "default": 2},
        **{name: {"type": "boolean", "default": True} for name in ("enabled", "include_internal_legs")},
        "include_subaccounts": {"type": "boolean", "default": False},
        "custom_data": object_schema(
            {name: {**TEXT, "enum": list(values)} for name, values in SELECTIONS.items()},
            required=tuple(SELECTIONS),
            additionalProperties=TEXT,
        ),
    },
    required=("name", "uri", "hook"),
)
_ATTEMPT: Final = object_schema(
    {
        **dict.fromkeys(
            ("hook_id", "hook_event", "event_id", "method", "reason", "client_error", "resp_status_code", "resp_body"),
            TEXT,
        ),
        "result": {**TEXT, "enum": ["success", "failure"]},
        "timestamp": INTEGER,
        "try": INTEGER,
        "resp_headers": OBJECT,
    },
    required=("hook_id", "event_id", "timestamp", "result"),
)
_TOKENS: Final = object_schema({"consumed": INTEGER, "remaining": INTEGER}, required=("consumed", "remaining"))
_META: Final[Schema] = {
    "request_id": TEXT,
    "node": {**TEXT, "minLength": 22, "maxLength": 22},
    "version": TEXT,
    "timestamp": {**TEXT, "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"},
    "auth_token": TEXT,
    "tokens": _TOKENS,
}
_PAGING: Final[Schema] = {
    "page_size": {"description": "Number of items in this response."},
    "start_key": TEXT,
    "next_start_key": TEXT,
    "revision": TEXT,
}
_ALWAYS: Final = ("request_id", "node", "version", "timestamp")

SCHEMAS: Final[dict[str, Schema]] = {
    "Object": OBJECT,
    "Text": TEXT,
    "Recording": _RECORDING,
    "ListedRecording": {
        "allOf": [reference("Recording"), object_schema({"_read_only": _READ_ONLY}, required=("_read_only",))]
    },
    "RecordingList": array_schema(reference("ListedRecording")),
    "DeletedRecording": {
        "allOf": [
            reference("Recording"),
            object_schema({"_read_only": object_schema({"deleted": {"const": True}})}, required=("_read_only",)),
        ]
    },
    "Account": object_schema(
        {
            **dict.fromkeys(("id", "name", "realm", "language", "timezone"), TEXT),
            "call_recording": object_schema(
                dict.fromkeys(("account", "endpoint"), reference("CallRecording")), additionalProperties=False
            ),
        },
        required=("id", "name", "realm"),
    ),
    "Device": object_schema(
        {**dict.fromkeys(("id", "name", "owner_id"), TEXT), "call_recording": reference("CallRecording")},
        required=("id",),
    ),
    "DocumentRequest": request_schema(OBJECT),
    "CallRecording": _call_recording(),
    "User": _USER,
    "UserList": array_schema(reference("User")),
    "DeviceList": array_schema(object_schema(dict.fromkeys(("id", "name", "owner_id"), TEXT), required=("id",))),
    "AccountList": array_schema(
        object_schema(
            {**dict.fromkeys(("id", "name", "realm"), TEXT), "tree": array_schema(TEXT)},
            required=("id", "name", "realm", "tree"),
        )
    ),
    "Storage": object_schema(
        {"id": TEXT, "attachments": OBJECT, "connections": OBJECT, "plan": OBJECT},
        required=("id", "attachments", "connections", "plan"),
    ),
    "StorageRequest": request_schema(OBJECT),
    "Session": _SESSION,
    "Webhook": _WEBHOOK,
    "WebhookRequest": request_schema(_WEBHOOK | {"required": ["name", "uri", "hook", "custom_data"]}),
    "WebhookList": array_schema(
        object_schema(
            {**dict.fromkeys(("id", "hook", "name", "uri", "disable_reason"), TEXT), "enabled": {"type": "boolean"}},
            required=("id", "hook", "name", "uri", "enabled"),
        )
    ),
    "ReEnable": request_schema(object_schema({"re-enable": {"const": True}}, required=("re-enable",))),
    "AttemptList": array_schema(_ATTEMPT),
    "HookList": array_schema(object_schema(dict.fromkeys(("id", "name", "description"), TEXT) | {"modifiers": OBJECT})),
    "TextList": array_schema(TEXT),
    "ObjectList": array_schema(OBJECT),
    "Success": object_schema(
        {"status": {"const": "success"}, **_META, **_PAGING}, required=("data", "status", *_ALWAYS)
    ),
    "Error": object_schema(
        {
            "status": {"const": "error"},
            "error": {**TEXT, "pattern": "^[0-9]{3}$"},
            "message": TEXT,
            "data": {},
            **_META,
        },
        required=("data", "status", "error", "message", *_ALWAYS),
    ),
    "RecordingPatch": request_schema(
        object_schema(
            {"user_metadata": OBJECT, "ui_metadata": OBJECT}, required=("user_metadata",), additionalProperties=False
        )
    ),
    "Metaflow": _metaflow(),
    "ApiAuth": request_schema(
        object_schema(
            {"api_key": {**TEXT, "minLength": KEY_LENGTH, "maxLength": KEY_LENGTH}},
            required=("api_key",),
            additionalProperties=False,
        )
    ),
    "UserAuth": request_schema(
        object_schema(
            {
                "credentials": {**TEXT, "minLength": 1, "maxLength": MAX_CREDENTIALS},
                "method": {**TEXT, "enum": [method.value for method in Method], "default": Method.MD5.value},
                **dict.fromkeys(("account_name", "account_realm", "realm", "phone_number"), TEXT),
            },
            required=("credentials",),
        )
    ),
}
