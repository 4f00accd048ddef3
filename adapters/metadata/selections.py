"""The values of one field that a condition selects, as ranges of that field's index.

`to_node` turns a condition into a tree of selections, without negations: the opposite of a selection is a selection,
too. The meaning of a condition is `matches` in `recordings.model.query`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from adapters.metadata.facets import FACET_FIELDS
from adapters.metadata.metadata_terms import TERMS, term_of
from recordings.model.query import (
    And,
    Condition,
    Equal,
    HasMedia,
    HasMetadata,
    Held,
    In,
    Not,
    Or,
    Prefix,
    Range,
    prefix_end,
)

Key = str | int
FACETS: Final = "facets"
"""The name of the facets, as a field of a selection."""


@dataclass(frozen=True, slots=True)
class Span:
    """The values from `low`, inclusive, to `high`, exclusive. `None` means no bound."""

    low: Key | None = None
    high: Key | None = None

    @classmethod
    def of(cls, value: Key) -> "Span":
        """Return the span of one value. Stored texts have no NUL, so the next text ends with one."""
        return cls(value, value + "\0" if isinstance(value, str) else value + 1)

    def has(self, value: Key) -> bool:
        """Return true if a value is in this span."""
        return (self.low is None or self.low <= value) and (self.high is None or value < self.high)  # type: ignore[operator]

    @property
    def is_empty(self) -> bool:
        """Whether no value can be in this span."""
        return self.low is not None and self.high is not None and self.low >= self.high  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows with one of these values in a field, with a value in one of these spans, or without a value."""

    field: str
    values: tuple[Key, ...] = ()
    spans: tuple[Span, ...] = ()
    null: bool = False

    @property
    def is_single(self) -> bool:
        """Whether all rows have the same value, or none."""
        return not self.spans and len(self.values) + self.null == 1


@dataclass(frozen=True, slots=True)
class Test:
    """The rows whose facets meet a condition."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Without:
    """The rows that are not in a selection. No index has a range of them."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class AllOf:
    """The rows in all of these nodes."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The rows in at least one of these nodes."""

    items: tuple["Node", ...]


Node = Selection | Test | Without | AllOf | AnyOf


def conjuncts(node: Node) -> tuple[Node, ...]:
    """Return the nodes that contain every row of a node."""
    return node.items if isinstance(node, AllOf) else (node,)


def to_node(condition: Condition, *, negated: bool = False) -> Node:
    """Return the tree of a condition, or of its opposite."""
    match condition:
        case Not(item):
            return to_node(item, negated=not negated)
        case And(items) | Or(items):
            nodes = [to_node(item, negated=negated) for item in items]
            return _all(nodes) if isinstance(condition, And) is not negated else _any(nodes)
        case HasMedia() | Held():
            return Test(Not(condition) if negated else condition)
        case Equal(field) | In(field) | Prefix(field) | Range(field) if field in FACET_FIELDS:
            return Test(Not(condition) if negated else condition)
        case HasMetadata():
            having = Selection(TERMS, (term_of(condition),))
            return Without(having) if negated else having
    found = _selection(condition)
    return _opposite(found) if negated else found


def _selection(condition: Condition) -> Selection:
    match condition:
        case Equal(field, None):
            return Selection(field, null=True)
        case Equal(field, value) if value is not None:
            return Selection(field, (value,))
        case In(field, values):
            return Selection(field, tuple(dict.fromkeys(values)))
        case Prefix(field, text):
            return Selection(field, spans=(Span(text, prefix_end(text)),))
        case Range(field, minimum, below):
            return Selection(field, spans=_filled([Span(minimum, below)]))
    raise TypeError(condition)


def _opposite(found: Selection) -> Selection:
    """Return the rows that are not in a selection of one condition: it has values, or at most one span."""
    spans = [Span.of(value) for value in sorted(found.values)] or list(found.spans)
    lows = [None, *(span.high for span in spans)]
    highs = [*(span.low for span in spans), None]
    # After a span without an upper bound there is nothing.
    pairs = zip(lows, highs, strict=True)
    gaps = [Span(low, high) for number, (low, high) in enumerate(pairs) if number == 0 or low is not None]
    if spans and spans[0].low is None:
        del gaps[0]
    return Selection(found.field, spans=_filled(gaps), null=not found.null)


def _filled(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(span for span in spans if not span.is_empty)


def _all(nodes: list[Node]) -> Node:
    tests = [node.condition for node in nodes if isinstance(node, Test)]
    # An `AllOf` in an `AllOf` is the same list of nodes.
    others = [item for node in nodes if not isinstance(node, Test) for item in conjuncts(node)]
    tests += [item.condition for item in others if isinstance(item, Test)]
    items = _intersected([item for item in others if not isinstance(item, Test)])
    if tests:
        items.append(Test(tests[0] if len(tests) == 1 else And(tuple(tests))))
    return items[0] if len(items) == 1 else AllOf(tuple(items))


def _intersected(nodes: list[Node]) -> list[Node]:
    """Join the spans of one field, such as both bounds of a range that were given apart."""
    joined: dict[str, Selection] = {}
    others: list[Node] = []
    for node in nodes:
        if not isinstance(node, Selection) or node.null or node.values or len(node.spans) != 1:
            others.append(node)
        elif (before := joined.get(node.field)) is None:
            joined[node.field] = node
        elif before.spans:
            joined[node.field] = replace(node, spans=_filled([_common(before.spans[0], node.spans[0])]))
    return [*joined.values(), *others]


def _common(one: Span, other: Span) -> Span:
    lows = [low for low in (one.low, other.low) if low is not None]
    highs = [high for high in (one.high, other.high) if high is not None]
    return Span(max(lows, default=None), min(highs, default=None))


def _any(nodes: list[Node]) -> Node:
    flat = [item for node in nodes for item in (node.items if isinstance(node, AnyOf) else (node,))]
    tests = [node.condition for node in flat if isinstance(node, Test)]
    joined: dict[str, Selection] = {}
    # A row may have several terms. So those stay apart, and each row counts once.
    items: list[Node] = [node for node in flat if isinstance(node, AllOf | Without) or _is_term(node)]
    for node in flat:
        if isinstance(node, Selection) and not _is_term(node):
            joined[node.field] = _joined(joined.get(node.field, Selection(node.field)), node)
    items += joined.values()
    if tests:
        items.append(Test(tests[0] if len(tests) == 1 else Or(tuple(tests))))
    return items[0] if len(items) == 1 else AnyOf(tuple(items))


def _is_term(node: Node) -> bool:
    return isinstance(node, Selection) and node.field == TERMS


def _joined(one: Selection, other: Selection) -> Selection:
    """Return the rows in at least one of two selections of a field, each row once."""
    spans: list[Span] = []
    for span in sorted((*one.spans, *other.spans), key=lambda span: (span.low is not None, span.low)):
        last = spans[-1] if spans else None
        if last is None or (last.high is not None and span.low is not None and span.low > last.high):  # type: ignore[operator]
            spans.append(span)
        elif last.high is not None:
            spans[-1] = Span(last.low, None if span.high is None else max(last.high, span.high))
    values = dict.fromkeys((*one.values, *other.values))
    outside = tuple(value for value in values if not any(span.has(value) for span in spans))
    return Selection(one.field, outside, tuple(spans), one.null or other.null)
