"""What a document selects, as the projection that a store reads: never a field more, never a row twice."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
)
from strawberry.types import get_object_definition
from strawberry.utils.str_converters import to_camel_case

from graph.schema.info import Info
from graph.schema.recording import COMPUTED, Recording
from graph.schema.rows import row_field

Fragments = Mapping[str, FragmentDefinitionNode]


def _needs() -> Iterator[tuple[str, frozenset[str]]]:
    for field in get_object_definition(Recording, strict=True).fields:
        name = field.graphql_name or to_camel_case(field.python_name)
        yield name, COMPUTED[field.python_name] if field.base_resolver else frozenset({row_field(field.python_name)})


NEEDS: Final[Mapping[str, frozenset[str]]] = dict(_needs())
"""The row fields that each field of `Recording` reads, by GraphQL name."""


def row_fields(info: Info, *paths: tuple[str, ...]) -> frozenset[str]:
    """The row fields that are needed for what is selected of recordings at these paths below the field."""
    needed: set[str] = set()
    for path in paths or ((),):
        for name in _names(_at(info, path)):
            needed |= NEEDS.get(name, frozenset())
    return frozenset(needed)


def is_selected(info: Info, *path: str) -> bool:
    """Whether a field is selected at a path below this one."""
    return path[-1] in _names(_at(info, path[:-1]))


def _at(info: Info, path: tuple[str, ...]) -> list[FieldNode]:
    found = _children(info.field_nodes, info.fragments)
    for name in path:
        last, found = [node for node in found if node.name.value == name], []
        found = _children(last, info.fragments)
    return found


def _names(nodes: Iterable[FieldNode]) -> set[str]:
    return {node.name.value for node in nodes}


def _children(parents: Iterable[FieldNode], fragments: Fragments) -> list[FieldNode]:
    # Each named fragment is opened once: a document in which they nest costs no more than its own length. Type
    # conditions and @skip are not looked at: at worst a field is read that is not shown.
    found: list[FieldNode] = []
    opened: set[str] = set()
    pending = [parent.selection_set for parent in parents if parent.selection_set]
    while pending:
        for selection in pending.pop().selections:
            if isinstance(selection, FieldNode):
                found.append(selection)
            elif (inner := _fragment(selection, fragments, opened)) is not None:
                pending.append(inner)
    return found


def _fragment(selection: SelectionNode, fragments: Fragments, opened: set[str]) -> SelectionSetNode | None:
    if isinstance(selection, InlineFragmentNode):
        return selection.selection_set
    name = selection.name.value if isinstance(selection, FragmentSpreadNode) else ""
    if not name or name in opened:
        return None
    opened.add(name)
    return fragments[name].selection_set
