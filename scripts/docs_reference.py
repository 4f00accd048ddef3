"""The pages of the documentation that are printed from the code: commands, GraphQL schema, v2 paths and events.

MkDocs runs this file as a hook (`mkdocs.yml`), so the pages exist only in the site. It also adds the files of deploy/,
which pages link to.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

import click
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
)
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY: Final = Path(__file__).parents[1]
DEPLOY: Final = REPOSITORY / "deploy"
BUILT_IN: Final = frozenset({"String", "Int", "Float", "Boolean", "ID"})
ROOTS: Final = ("Query", "Mutation", "Subscription")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the printed pages and the files of deploy/."""
    for name, text in pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file():
            name = f"deploy/{path.relative_to(DEPLOY).as_posix()}"
            files.append(File.generated(config, name, content=path.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs names them
    """Let links to deploy/, which is beside docs/, lead to the copies in the site."""
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
    parts = ["# GraphQL schema", "[GraphQL](../graphql.md) explains pages, filters, errors and costs.", "## Operations"]
    types = {name: each for name, each in schema.type_map.items() if not name.startswith("_") and name not in BUILT_IN}
    for name in ROOTS:
        parts += [f"### {name}", _fields(types.pop(name))]
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
        meaning += [
            f"`{each}` ({_linked(str(value.type))}): {_cell(value.description)}" for each, value in arguments.items()
        ]
        rows.append((_code(name), _linked(str(field.type)), "<br>".join(meaning)))
    return _table(("field", "type", "meaning"), rows)


def _linked(name: str) -> str:
    """Return a type as a link to its heading. `[Recording!]!` links to Recording."""
    plain = name.strip("[]!")
    shown = name.replace("[", "\\[").replace("]", "\\]")
    return shown if plain in BUILT_IN or plain.startswith("_") else f"[{shown}](#{plain.lower()})"


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
        shared = item.get("parameters", [])
        for method, operation in item.items():
            if method == "parameters":
                continue
            parts += [
                f"### {method.upper()} {path}",
                _prose(operation.get("summary")),
                _prose(operation.get("description")),
            ]
            given = [_resolved(document, each) for each in (*shared, *operation.get("parameters", ()))]
            rows = [(_code(each["name"]), each["in"], _cell(each.get("description"))) for each in given]
            parts.append(_table(("parameter", "in", "meaning"), rows))
            answers = {code: _resolved(document, each) for code, each in operation["responses"].items()}
            parts.append(
                _table(("status", "meaning"), [(code, _cell(each["description"])) for code, each in answers.items()])
            )
    return _joined(parts)


def _resolved(document: Mapping[str, Any], item: Any) -> Any:
    """Follow a reference inside the document."""
    while "$ref" in item:
        place: Any = document
        for name in item["$ref"].removeprefix("#/").split("/"):
            place = place[name]
        item = place
    return item


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
            (_code(name), _kind(value), "yes" if name in schema["required"] else "", _cell(value.get("description")))
            for name, value in schema["properties"].items()
        ]
        parts.append(_table(("field", "type", "always", "meaning"), rows))
    return _joined(parts)


def _kind(value: Mapping[str, Any]) -> str:
    kinds = value.get("type", "string")
    return " or ".join(kinds) if isinstance(kinds, list) else kinds


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
