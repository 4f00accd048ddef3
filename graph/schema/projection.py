"""The fields that a document selects, and the row fields that a store must read for them.

The store then reads no field too many, and no row twice.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar, cast

from graphql import FieldNode
from strawberry.utils.str_converters import to_camel_case

from graph.execution.collect_fields import FieldCollector
from graph.schema.field_info import Info
from recordings.model.fields import FIELDS, FieldType
from recordings.model.recording import ROW_FIELDS

Result = TypeVar("Result")

ROW_FIELDS_OF: Final[Mapping[str, frozenset[str]]] = {
    **{to_camel_case(name): frozenset({name}) for name in ROW_FIELDS},
    "plainId": frozenset({"id"}),
    "account": frozenset({"account_id"}),
    "modified": frozenset({"changed"}),
    "media": frozenset({"id", "account_id", "state", "media"}),
}
"""The row fields that each field of GraphQL's `Recording` needs, by GraphQL name.

The names come from the rows, not from the type: the resolvers of the type import this module.
"""
_SIMPLE_TYPES: Final = frozenset({FieldType.TEXT, FieldType.CHOICE, FieldType.NUMBER})
SIMPLE: Final = frozenset(
    name
    for name, needed in ROW_FIELDS_OF.items()
    if name != "account" and all(FIELDS[each].type in _SIMPLE_TYPES for each in needed)
) | {"__typename"}
"""The fields that show one text or number of the row."""


def row_fields(info: Info, *paths: tuple[str, ...]) -> frozenset[str]:
    """Return the row fields needed for the recordings at these paths below the field. Default: the field itself."""
    return frozenset().union(*(ROW_FIELDS_OF.get(name, frozenset()) for name in names_at(info, *(paths or ((),)))))


def names_at(info: Info, *paths: tuple[str, ...]) -> frozenset[str]:
    """Return the names of the fields that are selected at any of these paths below the field."""
    return frozenset(node.name.value for node in nodes_at(info, *paths))


def nodes_at(info: Info, *paths: tuple[str, ...]) -> list[FieldNode]:
    """Return the nodes of the fields that are selected at any of these paths below the field."""
    return [node for path in paths for node in _at(info, path)]


def is_selected(info: Info, *path: str) -> bool:
    """Return whether the field at this path below the field is selected."""
    return path[-1] in names_at(info, path[:-1])


def cached(info: Info, read: Callable[[Info], Result]) -> Result:
    """Return `read(info)`, computed once for each document. `read` may use nothing but the selection below the field.

    Reading the selection of a page takes 40 µs. The result is kept on the document's own node, so that both are
    freed together.
    """
    nodes = info.field_nodes
    results = vars(nodes[0]).setdefault("_selection_results", {})
    # One node can be part of different groups of nodes: a fragment may be spread in two positions.
    key = (read, *map(id, nodes))
    if key not in results:
        results[key] = read(info)
    return cast("Result", results[key])


def _at(info: Info, path: tuple[str, ...]) -> list[FieldNode]:
    # The result must hold for every request with this document. At worst the store reads a field that is skipped.
    collector = FieldCollector(info.core_schema, info.fragments, {})
    found = collector.possible_fields_below(info.field_nodes)
    for name in path:
        found = collector.possible_fields_below(node for node in found if node.name.value == name)
    return found
