"""The internals of libraries that this service uses, each by its name.

A new version of a library may move or remove them without notice. `pyproject.toml` has an upper bound for each of
these libraries. After raising a bound, this test names the missing ones. Add a row for each new internal that you use.
"""

import ast
import asyncio
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import fsspec
import pytest
import strawberry
import uvicorn
from graphql import (
    GraphQLArgument,
    GraphQLError,
    GraphQLField,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLString,
    execute_sync,
    get_argument_values,
    get_variable_values,
    parse,
)
from uvicorn.server import ServerState

from graph.execution.single_field import ResolvedField
from graph.schema.build import schema

ROOT: Final = Path(__file__).parent.parent
NAMES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("graphql-core", "the compiled execution (graph/execution)"): (
        "graphql.execution.values:VariableValues",
        "graphql.execution.values:VariableValueSource",
        "graphql.execution.get_variable_signature:get_variable_signature",
        "graphql.execution.get_variable_signature:GraphQLVariableSignature",
        "graphql.execution.collect_fields:FieldDetails",
        "graphql.execution.middleware:MiddlewareManager.get_field_resolver",
        "graphql.pyutils:Path",
        "graphql.type:GraphQLSchema.get_field",
        "graphql.type:GraphQLSchema.get_root_type",
        "graphql.type:GraphQLEnumType.coerce_output_value",
    ),
    ("strawberry-graphql", "the compiled execution (graph/execution)"): (
        "strawberry.execution:optimized_is_awaitable",
        "strawberry.schema.schema:StrawberryGraphQLCoreExecutionContext.build",
        "strawberry.schema.schema:StrawberryGraphQLCoreExecutionContext.complete_value",
        "strawberry.schema.schema:StrawberryGraphQLCoreExecutionContext.execute_operation",
        "strawberry.schema.schema_converter:GraphQLCoreConverter.DEFINITION_BACKREF",
        "strawberry.schema.validation_rules.maybe_null:MaybeNullValidationRule",
        "strawberry.schema.validation_rules.one_of:OneOfInputValidationRule",
        "strawberry.types.arguments:StrawberryArgument",
        "strawberry.types.arguments:convert_argument",
        "strawberry.types.arguments:convert_arguments",
        "strawberry.types.field:StrawberryField.base_resolver",
        "strawberry.types.fields.resolver:StrawberryResolver.info_parameter",
        "strawberry.types.fields.resolver:StrawberryResolver.parent_parameter",
    ),
    ("strawberry-graphql", "the schema (graph/schema)"): (
        "strawberry.schema.config:StrawberryConfig",
        "strawberry.types.enum:StrawberryEnumDefinition",
        "strawberry.types.scalar:ScalarDefinition",
        "strawberry.utils.str_converters:to_camel_case",
    ),
    ("uvicorn", "the limits of HTTP connections (graph/server, adapters/recorders/embedded)"): (
        *(
            f"uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.{name}"
            for name in (
                "connection_made", "data_received", "connection_lost", "pause_writing", "resume_writing",
                "on_header", "on_headers_complete", "on_body", "on_message_complete", "send_400_response",
            )
        ),
        "uvicorn.protocols.http.flow_control:FlowControl.pause_reading",
        "uvicorn.protocols.http.flow_control:FlowControl.drain",
        "uvicorn.protocols.http.httptools_impl:RequestResponseCycle.send",
        "uvicorn.protocols.utils:is_ssl",
        *(
            f"uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol.{name}"
            for name in (
                "data_received", "connection_lost", "handle_text", "handle_bytes", "handle_ping", "handle_cont",
            )
        ),
        "websockets.frames:Frame",
        "websockets.frames:apply_mask",
    ),
    ("uvicorn", "the start and stop of the server (graph/server)"): (
        "uvicorn:Config.get_loop_factory",
        "uvicorn.middleware.proxy_headers:ProxyHeadersMiddleware",
        "uvicorn:Server.startup",
        "uvicorn:Server.capture_signals",
        "uvicorn:Server.handle_exit",
    ),
    ("fsspec", "media stores and deliveries (adapters/media, adapters/delivery)"): (
        "fsspec:get_filesystem_class",
        "fsspec.spec:AbstractFileSystem.async_impl",
        "fsspec.spec:AbstractFileSystem._strip_protocol",
        "fsspec.spec:AbstractFileSystem._get_kwargs_from_urls",
        "fsspec.asyn:AsyncFileSystem._put_file",
        "fsspec.asyn:AsyncFileSystem._cat_file",
        "fsspec.asyn:AsyncFileSystem._info",
        "fsspec.asyn:AsyncFileSystem._ls",
        "fsspec.asyn:AsyncFileSystem._rm_file",
        "fsspec.dircache:DirCache",
        "fsspec.implementations.http:HTTPFileSystem.set_session",
        "fsspec.implementations.sftp:SFTPFileSystem",
        "s3fs:S3FileSystem.set_session",
    ),
    ("starlette", "the web app (graph/app.py) and streamed bodies (adapters/http)"): (
        "starlette.responses:StreamingResponse.stream_response",
    ),
    ("aiohttp", "requests to checked addresses only (adapters/net)"): (
        "aiohttp:TCPConnector.connect",
        "aiohttp.abc:AbstractResolver.resolve",
        "aiohttp.client_proto:ResponseHandler.feed_data",
        "aiohttp.client_proto:ResponseHandler.set_exception",
    ),
}  # fmt: skip
"""By library and user: `module:attribute`."""


def _missing(library: str, user: str, what: str) -> str:
    return f"{library} {version(library)} has no {what}, which {user} uses: adapt the code, or lower the upper bound"


@pytest.mark.parametrize(("library", "user", "name"), [(*key, name) for key, names in NAMES.items() for name in names])
def test_a_library_has_the_internal_name(library: str, user: str, name: str) -> None:
    module, _, attribute = name.partition(":")
    try:
        attrgetter(attribute)(import_module(module))
    except (ImportError, AttributeError):
        pytest.fail(_missing(library, user, name))


def _resolve_info() -> Iterator[tuple[str, bool]]:
    fields = set(inspect.signature(GraphQLResolveInfo).parameters)
    for name in (
        "field_name", "field_nodes", "return_type", "parent_type", "path", "schema", "fragments", "root_value",
        "operation", "variable_values", "context", "is_awaitable", "abort_signal", "async_helpers",
    ):  # fmt: skip
        yield f"GraphQLResolveInfo.{name}", name in fields


def _complete_value() -> Iterator[tuple[str, bool]]:
    from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext as Context

    names = ["self", "return_type", "field_details_list", "info", "path", "result", "position_context"]
    found = list(inspect.signature(Context.complete_value).parameters)
    yield f"Executor.complete_value({', '.join(names)})", found == names


def _details() -> Iterator[tuple[str, bool]]:
    from graphql.execution.collect_fields import FieldDetails

    found = set(inspect.signature(FieldDetails).parameters)
    for name in ("node", "fragment_variable_values"):
        yield f"FieldDetails.{name}", name in found


def _nodes() -> Iterator[tuple[str, bool]]:
    document = parse("query($n: Int) { a(b: $n, c: [1], d: {e: 2}) ...f } fragment f on Query { b }")
    operation: Any = document.definitions[0]
    arguments = operation.selection_set.selections[0].arguments
    kinds = [argument.value.kind for argument in arguments]
    yield "the node kinds variable, list_value and object_value", kinds == ["variable", "list_value", "object_value"]
    yield "the node kind int_value", arguments[1].value.values[0].kind == "int_value"
    yield "a fragment's variable_definitions", hasattr(document.definitions[1], "variable_definitions")
    try:
        vars(document).update(extra=1)
    except (TypeError, AttributeError):
        yield "a __dict__ of a node", False


def _coercion() -> Iterator[tuple[str, bool]]:
    from graphql.execution.values import VariableValues

    yield "GraphQLScalarType.coerce_output_value", hasattr(GraphQLString, "coerce_output_value")
    yield "VariableValues(sources, coerced).coerced", VariableValues({}, {"a": 1}).coerced == {"a": 1}
    field = GraphQLField(GraphQLString, args={"n": GraphQLArgument(GraphQLNonNull(GraphQLInt))})
    core = GraphQLSchema(GraphQLObjectType("Query", {"a": field}))
    operation: Any = parse("query($n: Int!) { a(n: $n) }").definitions[0]
    node = operation.selection_set.selections[0]
    values = get_argument_values(field, node, VariableValues({}, {"n": 3}))
    yield "get_argument_values() with VariableValues", values == {"n": 3}
    wrong = get_variable_values(core, operation.variable_definitions, {"n": "x"}, max_errors=1)
    yield "a list of errors from get_variable_values()", isinstance(wrong, list)
    try:
        get_argument_values(field, parse('{ a(n: "x") }').definitions[0].selection_set.selections[0])  # type: ignore[attr-defined]
    except GraphQLError as error:
        # `graph.schema.error_format` recognises errors in arguments by this.
        yield 'the words "Argument \'" at the start of an error in an argument', error.message.startswith("Argument '")


def _middleware() -> Iterator[tuple[str, bool]]:
    def resolve(_source: Any, _info: Any) -> str:
        return "called"

    core = GraphQLSchema(GraphQLObjectType("Query", {"a": GraphQLField(GraphQLString, resolve=resolve)}))
    from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext as Context

    executor: Any = Context.build(core, parse("{ a }"))
    for name in ("middleware_manager", "variable_values", "fragment_definitions"):
        yield f"Executor.{name}", hasattr(executor, name)
    executor.middleware_manager = ResolvedField(resolve, "replayed")
    result = executor.execute_operation()
    yield "middleware_manager.get_field_resolver() in the execution", result.data == {"a": "replayed"}
    yield "execute_sync()", execute_sync(core, parse("{ a }")).data == {"a": "called"}


def _strawberry_schema() -> Iterator[tuple[str, bool]]:
    yield "Schema._schema", isinstance(schema._schema, GraphQLSchema)
    converter = schema.schema_converter
    for name in ("scalar_registry", "config.name_converter.from_argument", "config.info_class"):
        try:
            attrgetter(name)(converter)
        except AttributeError:
            yield f"GraphQLCoreConverter.{name}", False
    query = schema._schema.query_type
    assert query is not None
    definition = query.fields["recordings"]
    field = definition.extensions.get(converter.DEFINITION_BACKREF)
    yield "a field's definition in its extensions", hasattr(field, "base_resolver") and hasattr(field, "extensions")
    recording: Any = schema._schema.get_type("Recording")
    basic = recording.fields["callId"].resolve
    yield "_is_default of a basic resolver", getattr(basic, "_is_default", False) is True
    yield "a basic resolver that reads its source without info", basic({"call_id": "c"}, None) == "c"
    info = set(inspect.signature(strawberry.Info).parameters)
    yield "Info(_raw_info=, _field=)", info >= {"_raw_info", "_field"}


def _http_protocol() -> Iterator[tuple[str, bool]]:
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

    async def made() -> Any:
        config = uvicorn.Config(lambda *_: None, log_config=None)
        config.load()
        return HttpToolsProtocol(config=config, server_state=ServerState(), app_state={})

    protocol = asyncio.run(made())
    for name in ("connections", "loop", "transport", "flow", "cycle"):
        yield f"HttpToolsProtocol.{name}", hasattr(protocol, name)
    source = inspect.getsource(RequestResponseCycle.__init__)
    for name in ("body", "response_complete", "scope", "transport", "flow", "disconnected", "expected_content_length"):
        yield f"RequestResponseCycle.{name}", f"self.{name}" in source
    yield "FlowControl.read_paused", "self.read_paused" in inspect.getsource(FlowControl.__init__)


def _websocket_protocol() -> Iterator[tuple[str, bool]]:
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    source = inspect.getsource(WebSocketsSansIOProtocol)
    for name in ("transport", "frames", "read_paused"):
        yield f"WebSocketsSansIOProtocol.{name}", f"self.{name}" in source
    yield "Server.started", hasattr(uvicorn.Server(uvicorn.Config(lambda *_: None, log_config=None)), "started")


def _file_systems() -> Iterator[tuple[str, bool]]:
    from fsspec.dircache import DirCache
    from fsspec.implementations.sftp import SFTPFileSystem

    yield "DirCache(use_listings_cache=False)", not DirCache(use_listings_cache=False)
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    yield "AbstractFileSystem.dircache", hasattr(memory, "dircache")
    kind = fsspec.get_filesystem_class("sftp")
    yield "the host in _get_kwargs_from_urls()", kind._get_kwargs_from_urls("sftp://h.test/a").get("host") == "h.test"
    source = inspect.getsource(SFTPFileSystem)
    for name in ("client", "ftp"):
        yield f"SFTPFileSystem.{name}", f"self.{name}" in source


def _routes() -> Iterator[tuple[str, bool]]:
    from starlette.responses import StreamingResponse
    from starlette.routing import Mount

    yield "Mount.path_regex", hasattr(Mount("/a", lambda *_: None), "path_regex")  # type: ignore[arg-type]
    yield "StreamingResponse.body_iterator", hasattr(StreamingResponse(iter(())), "body_iterator")


def _connector() -> Iterator[tuple[str, bool]]:
    import aiohttp

    async def made() -> Any:
        async with aiohttp.TCPConnector() as connector:
            return connector

    connector = asyncio.run(made())
    yield "TCPConnector._resolver", hasattr(connector, "_resolver")
    yield "TCPConnector._factory", hasattr(connector, "_factory")


BEHAVIOURS: Final[dict[Callable[[], Iterator[tuple[str, bool]]], tuple[str, str]]] = {
    _resolve_info: ("graphql-core", "graph/execution/single_field.py"),
    _complete_value: ("strawberry-graphql", "graph/execution/executor.py"),
    _details: ("graphql-core", "graph/execution/executor.py"),
    _nodes: ("graphql-core", "graph/execution"),
    _coercion: ("graphql-core", "graph/execution and graph/schema"),
    _middleware: ("graphql-core", "graph/execution/single_field.py"),
    _strawberry_schema: ("strawberry-graphql", "graph/execution and graph/schema"),
    _http_protocol: ("uvicorn", "graph/server and adapters/recorders/embedded"),
    _websocket_protocol: ("uvicorn", "graph/server and adapters/recorders/embedded"),
    _file_systems: ("fsspec", "adapters/media and adapters/delivery"),
    _routes: ("starlette", "graph/app.py and adapters/http"),
    _connector: ("aiohttp", "adapters/net"),
}
"""Attributes of instances, signatures and behaviour: each check yields a description and whether it holds."""


@pytest.mark.parametrize("check", BEHAVIOURS, ids=lambda check: check.__name__.strip("_"))
def test_a_library_behaves_as_this_service_needs(check: Callable[[], Iterator[tuple[str, bool]]]) -> None:
    library, user = BEHAVIOURS[check]
    for description, holds in check():
        assert holds, _missing(library, user, description)


def _imports() -> Iterator[str]:
    for file in (*ROOT.glob("graph/**/*.py"), *ROOT.glob("adapters/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                module = str(node.module)
                if "." in module and module.partition(".")[0] in {"graphql", "strawberry", "uvicorn", "fsspec"}:
                    yield from (f"{module}:{name.name}" for name in node.names)


def test_each_import_from_a_submodule_of_these_libraries_has_a_row() -> None:
    named = {_top(name) for names in NAMES.values() for name in names}
    assert set(_imports()) <= named


def _top(name: str) -> str:
    module, _, attribute = name.partition(":")
    return f"{module}:{attribute.partition('.')[0]}"


def test_the_message_names_the_library_its_user_and_what_is_missing() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"^fsspec [\d.]+ has no fsspec:gone, which a test uses: adapt"):
        test_a_library_has_the_internal_name("fsspec", "a test", "fsspec:gone")
