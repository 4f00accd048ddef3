"""The pages of the documentation that are printed from the code: commands, GraphQL schema, v2 paths and events.

MkDocs runs this file as a hook (`mkdocs.yml`), so the pages exist only in the site. It also adds CONTRIBUTING.md,
CHANGELOG.md, and the files of deploy/, to which pages link.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

import click
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    print_ast,
)
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY: Final = Path(__file__).parents[1]
DEPLOY: Final = REPOSITORY / "deploy"
COPIED: Final = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
LATER: Final = "---\nsearch: {boost: 0.5}\n---\n"
"""The search lists these pages behind the guides."""
TITLES: Final = {
    page.name: page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    for page in (REPOSITORY / "docs").glob("*.md")
}
BUILT_IN: Final = frozenset({"String", "Int", "Float", "Boolean", "ID"})
ROOTS: Final = {"Query": "Queries", "Mutation": "Mutations", "Subscription": "Subscriptions"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the printed pages, the copied pages and the files of deploy/."""
    for name, text in pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=f"{LATER}{text}"))
    for page, name in COPIED.items():
        text = (REPOSITORY / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=text.replace("](CHANGELOG.md)", "](changelog.md)")))
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file():
            name = f"deploy/{path.relative_to(DEPLOY).as_posix()}"
            files.append(File.generated(config, name, content=path.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs names them
    """Let links to files outside docs/ lead to their copies, and show titles instead of file names."""
    for copy, name in COPIED.items():
        markdown = markdown.replace(f"](../{name}", f"]({copy}")
    for name, title in TITLES.items():
        markdown = markdown.replace(f"[{name}]({name}", f"[{title}]({name}")
    return markdown.replace("](../deploy/", "](deploy/")


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    return {
        "commands": commands_page(),
        "schema": schema_page(build_schema((REPOSITORY / "schema.graphql").read_text(encoding="utf-8"))),
        "v2": v2_page(),
        "events": events_page(),
    }


def commands_page() -> str:
    """Return the page of the command line."""
    from graph.cli.main import recordings

    context = click.Context(recordings, info_name="recordings")
    text = ["# Commands", f"`recordings COMMAND --help` prints the same. {_prose(recordings.help)}"]
    return _joined([*text, *_commands(recordings, context)])


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from (f"## {inner.command_path}", _prose(command.help))
            yield from _commands(command, inner)
            continue
        yield f"{'##' if context.parent is None else '###'} {inner.command_path}"
        yield _prose(command.help)
        yield f"```text\n{command.get_usage(inner).removeprefix('Usage: ')}\n```"
        # `--help` itself is left out.
        records = [each.get_help_record(inner) for each in command.get_params(inner)[:-1]]
        yield _table(("option", "meaning"), [(_code(each[0]), _cell(each[1])) for each in records if each])


def schema_page(schema: GraphQLSchema) -> str:
    """Return the page of the GraphQL schema."""
    parts = [
        "# GraphQL schema",
        "[GraphQL](../graphql.md) explains pages, filters, errors and cost. `recordings schema` prints the schema.",
        # A list needs an empty line before it.
        (schema.description or "").replace(":\n-", ":\n\n-"),
    ]
    types = {name: each for name, each in schema.type_map.items() if not name.startswith("_") and name not in BUILT_IN}
    for root, title in ROOTS.items():
        parts.append(f"## {title}")
        operations = types.pop(root)
        for name, field in operations.fields.items() if isinstance(operations, GraphQLObjectType) else ():
            # An id of its own, because `recording` is a query and `Recording` a type.
            parts += [f"### {name} {{#{root.lower()}-{name.lower()}}}", _prose(field.description)]
            parts.append(f"Returns {_linked(str(field.type))}.")
            rows = [(_code(each), _given(value), _cell(value.description)) for each, value in field.args.items()]
            parts.append(_table(("argument", "type", "meaning"), rows))
    for title, kind in (
        ("Types", GraphQLObjectType),
        ("Interfaces", GraphQLInterfaceType),
        ("Unions", GraphQLUnionType),
        ("Inputs", GraphQLInputObjectType),
        ("Enumerations", GraphQLEnumType),
        ("Scalars", GraphQLScalarType),
    ):
        parts.append(f"## {title}")
        for name in sorted(types):
            if type(types[name]) is kind:
                parts += [f"### {name}", _prose(types[name].description), _fields(types[name])]
    return _joined(parts)


def _fields(kind: GraphQLNamedType) -> str:
    """Return the table of a type's fields or values."""
    if isinstance(kind, GraphQLEnumType):
        return _table(
            ("value", "meaning"), [(_code(name), _cell(each.description)) for name, each in kind.values.items()]
        )
    if isinstance(kind, GraphQLUnionType):
        return "One of " + ", ".join(_linked(each.name) for each in kind.types) + "."
    if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        return ""
    rows = []
    for name, field in kind.fields.items():
        arguments = getattr(field, "args", {})
        meaning = [_cell(field.description)]
        meaning += [f"`{each}` ({_given(value)}): {_cell(value.description)}" for each, value in arguments.items()]
        rows.append((_code(name), _given(field), "<br>".join(meaning)))
    return _table(("field", "type", "meaning"), rows)


def _linked(name: str) -> str:
    """Return a type as a link to its heading. `[Recording!]!` links to Recording."""
    plain = name.strip("[]!")
    shown = name.replace("[", "\\[").replace("]", "\\]")
    return shown if plain in BUILT_IN or plain.startswith("_") else f"[{shown}](#{plain.lower()})"


def _given(field: GraphQLField | GraphQLInputField | GraphQLArgument) -> str:
    """Return the type of a field or an argument, with its default."""
    node = field.ast_node
    default = getattr(node, "default_value", None)
    return _linked(str(field.type)) + (f" = `{print_ast(default)}`" if default else "")


def v2_page() -> str:
    """Return the page of the v2 paths."""
    from adapters.rest_v2.openapi.openapi_document import openapi
    from graph.app import VERSION

    document = openapi(VERSION)
    parts = [
        "# v2 paths",
        "[The Kazoo v2 API](../rest_v2.md) explains them. `recordings openapi` prints the same as an OpenAPI document.",
    ]
    for path, item in document["paths"].items():
        parts.append(f"## {path}")
        for method, operation in item.items():
            parts += [f"### {method.upper()} {path}", *_operation(operation)]
    parts.append("## Schemas")
    for name, schema in document["components"]["schemas"].items():
        rows = list(_properties(schema))
        parts += [f"### {name}", "" if rows else _type(schema), _table(("field", "type", "meaning"), rows)]
    return _joined(parts)


def _operation(operation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of a method of a v2 path."""
    yield operation["summary"]
    parameters = [
        (_code(each["name"]), each["in"], _type(each["schema"], each.get("required")), _cell(each.get("description")))
        for each in operation.get("parameters", ())
    ]
    yield _table(("parameter", "in", "type", "meaning"), parameters)
    if body := operation.get("requestBody"):
        yield f"Body: {_bodies(body['content'])}"
    responses = [
        (status, _cell(each["description"]), _bodies(each.get("content", {})))
        for status, each in operation["responses"].items()
    ]
    yield _table(("status", "meaning", "body"), responses)


def _bodies(content: Mapping[str, Any]) -> str:
    """Return the types of a body, with the schema of each."""
    return "; ".join(
        f"`{kind}`" + (f" {_type(one['schema'])}" if "schema" in one else "") for kind, one in content.items()
    )


def _properties(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the fields of a JSON Schema with their types and meanings, also those of the objects in it."""
    for part in schema.get("allOf", ()):
        yield from _properties(part, path)
    for name, value in schema.get("properties", {}).items():
        inner = list(_properties(value, f"{path}{name}."))
        kind = _type(value, name in schema.get("required", ()))
        yield from inner or [(f"`{path}{name}`", kind, _cell(value.get("description")))]


def _type(schema: Mapping[str, Any], required: bool | None = None) -> str:  # noqa: FBT001 - as the schema says it
    """Return the type of a JSON Schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        text = f"[{name}](#{name.lower()})"
    elif "allOf" in schema:
        text = ", with ".join(map(_type, schema["allOf"]))
    elif "anyOf" in schema or "oneOf" in schema:
        text = " or ".join(map(_type, schema.get("anyOf") or schema["oneOf"]))
    elif "properties" in schema:
        text = ", ".join(f"`{name}`: {_type(value)}" for name, value in schema["properties"].items())
    elif "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        text = ", ".join("null" if value is None else _code(str(value)) for value in values)
    else:
        kinds = schema.get("type", "any value")
        text = " or ".join(kinds) if isinstance(kinds, list) else kinds
        text += f" of {_type(schema['items'])}" if "items" in schema else ""
        text += f" ({schema['format']})" if "format" in schema else ""
    return f"{text}, required" if required else text


def events_page() -> str:
    """Return the page of the events."""
    from recordings.model.feed_event import EventType
    from recordings.rules.event_document import schema_of

    parts = [
        "# Event types",
        "[Events](../events.md) explains them. `recordings event-schemas` prints the same as JSON Schemas.",
    ]
    for kind in EventType:
        schema = schema_of(kind, "https://recordings.example.org")
        parts += [f"## {schema['title']}", _prose(schema["description"])]
        rows = [
            (_code(name), _type(value), "yes" if name in schema["required"] else "", _cell(value.get("description")))
            for name, value in schema["properties"].items()
        ]
        parts.append(_table(("field", "type", "always", "meaning"), rows))
    return _joined(parts)


def _code(text: str) -> str:
    return f"`{text}`"


def _prose(text: str | None) -> str:
    """Return a help text as Markdown. A backspace begins a part that keeps its lines."""
    return re.sub(r"\x08\n((?:.+\n?)+)", r"```text\n\1```\n", cleandoc(text or "") + "\n").strip()


def _cell(text: str | None) -> str:
    """Return a description as one cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (heads, ["---"] * len(heads), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else ""


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
