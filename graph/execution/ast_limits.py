"""One walk through a parsed document, before it is validated: how large it is, and what it asks for.

Fragments are walked where they are spread, once in each place, as execution and validation do. The walk stops at the
first limit, and so is never longer than that.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from graph.execution.limit_error import LimitError
from graph.execution.request_limits import Limits
from graph.execution.token_limits import INTROSPECTION

_SWITCHES: Final = frozenset({"skip", "include"})


def check_ids(values: Any, limits: Limits) -> None:
    """Refuse more ids than may be asked for at once.

    Raises:
        LimitError: there are too many.
    """
    if isinstance(values, list | tuple) and len(values) > limits.ids:
        raise LimitError("ids", len(values), limits.ids)


@dataclass(slots=True)
class _Place:
    """A place of the answer: how often each key of it is asked for, and what is below; the fragments opened in it."""

    depth: int
    asked: dict[str, int] = field(default_factory=dict)
    below: dict[str, "_Place"] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Survey:
    """What was found. `switches` are the variables of `@skip` and `@include`, `lists` those of `ids` arguments."""

    limits: Limits
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0
    introspects: bool = False
    switches: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)
    _fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    _walked: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, document: DocumentNode, limits: Limits) -> "Survey":
        """Survey a document.

        Raises:
            LimitError: it is beyond a limit.
        """
        survey = cls(limits)
        definitions = document.definitions
        survey._fragments = {item.name.value: item for item in definitions if isinstance(item, FragmentDefinitionNode)}
        for definition in definitions:
            if isinstance(definition, OperationDefinitionNode):
                survey._note_directives(definition)
                survey._walk(definition.selection_set, _Place(1))
        for name, fragment in survey._fragments.items():
            # Validation looks into fragments that nothing spreads, too.
            if name not in survey._walked:
                survey._walk(fragment.selection_set, _Place(1))
        return survey

    def _walk(self, selections: SelectionSetNode, place: _Place) -> None:
        for selection in selections.selections:
            self._note_directives(selection)
            if isinstance(selection, FieldNode):
                self._field(selection, place)
            elif isinstance(selection, FragmentSpreadNode):
                self._spread(selection.name.value, place)
            else:
                inline: Any = selection
                self._walk(inline.selection_set, place)

    def _field(self, node: FieldNode, place: _Place) -> None:
        name = node.name.value
        key = node.alias.value if node.alias else name
        before = place.asked.get(key, 0)
        place.asked[key] = before + 1
        self._count("fields", 1)
        self._count("aliases", node.alias is not None)
        self._count("repeats", before)
        self._note_ids(node)
        if node.selection_set is not None:
            self._walk(node.selection_set, self._below(place, key, name))

    def _below(self, place: _Place, key: str, name: str) -> _Place:
        found = place.below.get(key)
        if found is None:
            # Introspection's own query is deeper than a page is, and stays at the depth where it begins.
            introspects = name in INTROSPECTION
            self.introspects = self.introspects or introspects
            found = place.below[key] = _Place(0 if introspects or place.depth == 0 else place.depth + 1)
        if found.depth > self.limits.depth:
            raise LimitError("levels of fields", found.depth, self.limits.depth)
        return found

    def _spread(self, name: str, place: _Place) -> None:
        fragment = self._fragments.get(name)
        # Unknown fragments and circles are for validation to report; here they only have to come to an end.
        if fragment is None or name in place.opened:
            return
        place.opened.add(name)
        self._walked.add(name)
        self._note_directives(fragment)
        self._walk(fragment.selection_set, place)

    def _note_ids(self, node: FieldNode) -> None:
        for argument in node.arguments or ():
            if argument.name.value == "ids":
                value: Any = argument.value
                if value.kind == "variable":
                    self.lists.add(value.name.value)
                elif value.kind == "list_value":
                    check_ids(value.values, self.limits)

    def _note_directives(self, node: Any) -> None:
        for directive in node.directives or ():
            self._count("directives", 1)
            if directive.name.value in _SWITCHES:
                values = [argument.value for argument in directive.arguments or ()]
                self.switches |= {value.name.value for value in values if value.kind == "variable"}

    def _count(self, name: str, more: int) -> None:
        count = getattr(self, name) + more
        setattr(self, name, count)
        allowed = getattr(self.limits, name)
        if count > allowed:
            raise LimitError(name, f"more than {allowed}", allowed)
