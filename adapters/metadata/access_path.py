"""The choice of the rows that a store reads for a page or a count. It asks the store, and does no I/O itself.

A page is read in one of three ways:

1. In order. The filter is a range of the sort key, or one value of a field whose index has the order of `start`. The
   store reads the page from that index, and nothing else.
2. Candidates. Some conditions select few rows by their indexes, or two conditions have few rows in common. The store
   loads these rows, tests the whole filter on each, and sorts them.
3. A walk. The store reads rows in order and tests the filter on each, until the page is full.

Candidates and walks examine a limited number of rows. A filter of facets, such as states, begins with a walk of a few
rows, because it often passes almost all rows. Otherwise a few candidates come first. Then comes a short walk, because a
filter that most rows pass fills a page at once, and then more candidates and a long walk. A walk that reaches the limit
ends with an error that names the conditions that make the query fast.

`page_rows` and `count_rows` are generators. They yield questions, and the store sends back the answer to each. It
answers all but `Read` and `Tested` from index entries only.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from adapters.metadata.facets import row_of
from adapters.metadata.index_ranges import IndexRange, RowsWithoutKey, is_range, page_ranges, reads_descending
from adapters.metadata.metadata_terms import TERMS
from adapters.metadata.selections import FACETS, AllOf, AnyOf, Node, Selection, Span, Test, Without, conjuncts, to_node
from recordings.model.errors import QueryTooBroad
from recordings.model.query import (
    MAX_EXAMINED,
    NUMBER_FIELDS,
    Condition,
    Count,
    OrderField,
    PageRequest,
    Position,
    Query,
    matches,
)

FEW: Final = 1_000
"""A condition with at most so many rows is used at once. With more, other conditions are tried first."""
COUNT_WALK: Final = 500
"""How many rows in order a count tests at most. With more, it takes longer than three pages of 100 rows."""
FIRST_WALK: Final = 2
"""How many times the rows of a page the first walk examines."""
MAX_FACETS: Final = 500
ENTRIES_PER_ROW: Final = 5
"""How many index entries cost as much as the examination of one row."""
EVERY_ROW: Final = Selection("start", spans=(Span(),))


@dataclass(frozen=True, slots=True)
class Scan:
    """The question for the rows that are in each of these sets: their number and the store's keys, or `None` for more.

    A row is in a set if it is in at least one of its selections. The rows of the selections `without` are left out.
    """

    sets: Sequence[Sequence[Selection]]
    limit: int
    without: Sequence[Selection] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """The question for the number of rows of a selection, or of the query without its filter: at most `limit`."""

    selection: Selection | None
    parts: Sequence[IndexRange]
    limit: int


@dataclass(frozen=True, slots=True)
class Facets:
    """The question for the different facets of the query's account and shelf: a list of at most `limit`."""

    limit: int


@dataclass(frozen=True, slots=True)
class Skip:
    """The question for the position of the row after the first `rows` rows of a range, or `None` without one."""

    path: "Access"
    part: IndexRange
    rows: int


@dataclass(frozen=True, slots=True)
class Read:
    """The question for the first rows of a page: a list of at most one row more than the page."""

    path: "Access"


@dataclass(frozen=True, slots=True)
class Tested:
    """The question for the number of rows of an access path that pass the filter."""

    path: "Access"


Question = Scan | Tally | Facets | Skip | Read | Tested
Asked = Generator[Question, Any, Any]


@dataclass(frozen=True, slots=True)
class Access:
    """How to read a page.

    The candidates are the rows of the selection `within`, or those with the store's own `keys`. Without both, the rows
    are read in order, from the index of the `anchor`, or else from that of the order. `parts` are the ranges of the
    sort key, in the order to read them.
    """

    parts: Sequence[IndexRange]
    descending: bool
    anchor: Selection | None = None
    within: Selection | None = None
    keys: Any = None
    is_cut: bool = False
    """Whether the walk ends at its limit, and not at the end of the list."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rows of some selections, which contain all rows of a condition, or their keys. They are at most `number`."""

    number: int
    selections: tuple[Selection, ...] = ()
    keys: Any = None


def is_in_order(query: Query) -> bool:
    """Return true if a page of a query is read in order, so that it examines only its own rows."""
    node = _node(query)
    return _is_covered(node, query.order.field) or (query.owner_id is None and node == _anchor(node, query))


def page_rows(query: Query, request: PageRequest, limit: int = MAX_EXAMINED) -> Asked:
    """Return the rows that `Read` found, and how many rows the store may have examined for them.

    Raises:
        QueryTooBroad: the page is not full after `limit` rows.
    """
    path = Access(page_ranges(query, request), reads_descending(query, request))
    node = _node(query)
    if not path.parts:
        return [], 0
    if _is_covered(node, query.order.field):
        return (yield Read(path)), 0
    if query.owner_id is None and (anchor := _anchor(node, query)) is not None:
        path = replace(path, anchor=anchor)
        if node == anchor:
            return (yield Read(path)), 0
    return (yield from _filtered(_with_owner(node, query), query, path, request, limit))


def _filtered(node: Node, query: Query, path: Access, request: PageRequest, limit: int) -> Asked:
    few = min(FEW, limit)
    # The range of the sort key bounds the walk, too.
    others = [item for item in conjuncts(node) if not is_range(item, query.order.field)]
    if all(isinstance(item, Test) for item in others):
        rows = min(FIRST_WALK * (request.limit + 1), few)
        first = yield from _cut(path, rows)
        found = yield Read(first)
        if len(found) > request.limit or not first.is_cut:
            return found, rows
    best = yield from _best(others, (few,))
    if best is None:
        short = yield from _cut(path, few)
        found = yield Read(short)
        if len(found) > request.limit or not short.is_cut:
            return found, few
        items = yield from _known(conjuncts(node))
        best = (yield from _best(items, (limit,))) or (yield from _common(items, limit))
    if best is not None:
        return (yield Read(_chosen(best, path))) if best.number else [], best.number
    long = yield from _cut(path, limit)
    found = yield Read(long)
    if long.is_cut and len(found) <= request.limit:
        raise too_broad(query, limit)
    return found, limit


def _chosen(candidates: Candidates, path: Access) -> Access:
    """Return the access path of candidates."""
    if candidates.keys is None:
        return replace(path, within=candidates.selections[0], anchor=None)
    return replace(path, keys=candidates.keys, anchor=None)


def _node(query: Query) -> Node:
    """Return the conditions of a query without the one that its owner makes true for every row."""
    node = to_node(query.where)
    if query.owner_id is None:
        return node
    items = tuple(item for item in conjuncts(node) if item != Selection("owner_id", (query.owner_id,)))
    return items[0] if len(items) == 1 else AllOf(items)


def _is_covered(node: Node, order: OrderField) -> bool:
    """Return true if a node is everything, or one range of the sort key: `page_ranges` contains it."""
    return node == AllOf(()) or is_range(node, order)


def _anchor(node: Node, query: Query) -> Selection | None:
    """Return a selection of one value, if its index has the order of the query."""
    if query.order.field is not OrderField.START:
        return None
    singles = [item for item in conjuncts(node) if isinstance(item, Selection) and item.is_single]
    return next((item for item in singles if item.field not in NUMBER_FIELDS), None)


def _with_owner(node: Node, query: Query) -> Node:
    if query.owner_id is None:
        return node
    return AllOf((*conjuncts(node), Selection("owner_id", (query.owner_id,))))


def _cut(path: Access, limit: int) -> Generator[Question, Any, Access]:
    """Return the part of an access path with its first `limit` rows."""
    rows = max(limit // len(path.parts), 1)
    parts: list[IndexRange] = []
    for part in path.parts:
        end: Position | None = yield Skip(path, part, rows)
        if end is not None:
            parts.append(_until(part, end, descending=path.descending))
            return replace(path, parts=parts, is_cut=True)
        parts.append(part)
    return path


def _until(part: IndexRange, end: Position, *, descending: bool) -> IndexRange:
    if isinstance(part, RowsWithoutKey):
        return replace(part, low=end.id) if descending else replace(part, high=end.id)
    assert end.key is not None  # noqa: S101 - the rows of this range have a key
    bound = (end.key, end.id)
    return replace(part, low=bound) if descending else replace(part, high=bound)


def _candidates(node: Node, limit: int) -> Generator[Question, Any, Candidates | None]:
    """Return a set that contains all rows of a node, or `None` if the index entries are more than `limit`."""
    match node:
        case Selection() | Test() | Without():
            selection = yield from _indexed(node)
            if selection is None:
                return None
            number: int = yield Tally(selection, (), limit + 1)
            return None if number > limit else Candidates(number, (selection,))
        case AnyOf(items):
            return (yield from _union(items, limit))
        case AllOf(items):
            return (yield from _best(items, (min(FEW, limit), limit)))


def _facets(condition: Condition) -> Generator[Question, Any, Selection | None]:
    known: Sequence[str] = yield Facets(MAX_FACETS + 1)
    if len(known) > MAX_FACETS:
        return None
    return Selection(FACETS, tuple(each for each in known if matches(condition, row_of(each))))


def _known(items: Sequence[Node]) -> Generator[Question, Any, list[Node]]:
    """Return the conditions with index ranges in place of tests, so that the facets are listed once."""
    found: list[Node] = []
    for item in items:
        ranges = yield from _indexed(item)
        found.append(ranges or item)
    return found


def _union(items: Sequence[Node], limit: int) -> Generator[Question, Any, Candidates | None]:
    selections: list[Selection] = []
    for item in items:
        if (selection := (yield from _indexed(item))) is not None:
            selections.append(selection)
        elif (found := (yield from _candidates(item, limit))) is not None:
            selections += found.selections
        else:
            return None
    if not selections:
        return Candidates(0)
    scanned = yield Scan((selections,), limit)
    return None if scanned is None else Candidates(scanned[0], tuple(selections), scanned[1])


def _common(items: Sequence[Node], limit: int) -> Generator[Question, Any, Candidates | None]:
    """Return the rows that two conditions have in common, or that one condition has and another one excludes.

    This is for conditions that have many rows each. Those with the fewest index entries are chosen.
    """
    most = limit * ENTRIES_PER_ROW
    wanted = yield from _sized([item for item in items if not isinstance(item, Without)], most)
    excluded = yield from _sized([item.selection for item in items if isinstance(item, Without)], most)
    if excluded and not wanted:
        wanted = yield from _sized([EVERY_ROW], most)
    chosen, without = wanted[:2], excluded[:1] if len(wanted) == 1 else []
    entries = sum(number for number, _ in (*chosen, *without))
    if len(chosen) + len(without) < 2 or entries > most:  # noqa: PLR2004 - two conditions
        return None
    cost = entries // ENTRIES_PER_ROW
    sets = [(selection,) for _, selection in chosen]
    found = yield Scan(sets, limit - cost, [selection for _, selection in without])
    return None if found is None else Candidates(found[0] + cost, keys=found[1])


def _sized(items: Sequence[Node], most: int) -> Generator[Question, Any, list[tuple[int, Selection]]]:
    """Return the index ranges of those conditions that have at most `most` entries, the smallest first."""
    found: list[tuple[int, Selection]] = []
    for item in items:
        selection = yield from _indexed(item)
        if selection is not None and (number := (yield Tally(selection, (), most + 1))) <= most:
            found.append((number, selection))
    return sorted(found, key=lambda each: each[0])


def _indexed(node: Node) -> Generator[Question, Any, Selection | None]:
    """Return the index ranges of one condition, if an index has them."""
    if isinstance(node, Test):
        return (yield from _facets(node.condition))
    return node if isinstance(node, Selection) else None


def _best(items: Sequence[Node], limits: Sequence[int]) -> Generator[Question, Any, Candidates | None]:
    """Return the candidates of the first item within a limit. Try all items with a small limit before a large one."""
    for limit in dict.fromkeys(limits):
        for item in sorted(items, key=_rank):
            found = yield from _candidates(item, limit)
            if found is not None:
                return found
    return None


def _rank(node: Node) -> int:
    """Return the place of a condition in the order in which they are tried: those that select few rows first."""
    if not isinstance(node, Selection) or node.field == FACETS:
        return 2
    if node.null:
        return 3
    return 1 if node.spans or node.field == TERMS else 0


def count_rows(query: Query, counted: int, limit: int = FEW) -> Generator[Question, Any, Count]:
    """Return the count of a query.

    It is exact up to `counted` if an index gives it, or if at most `limit` candidates or `COUNT_WALK` rows are tested.
    """
    request = PageRequest(limit=1)
    path = Access(page_ranges(query, request), reads_descending(query, request))
    node = _node(query)
    if not path.parts:
        return Count(0)
    if _is_covered(node, query.order.field):
        return _tallied((yield Tally(None, path.parts, counted + 1)), counted)
    if query.owner_id is None and isinstance(node, Test):
        node = (yield from _facets(node.condition)) or node
    if query.owner_id is None and isinstance(node, Selection):
        return _tallied((yield Tally(node, (), counted + 1)), counted)
    if query.owner_id is None and _is_union(node):
        union = yield from _candidates(node, limit)
        if union is not None:
            return Count(union.number)
    found = yield from _candidates(_with_owner(node, query), limit)
    if found is not None:
        return Count((yield Tested(_chosen(found, path))) if found.number else 0)
    short = yield from _cut(path, min(COUNT_WALK, limit))
    return Count((yield Tested(short)), is_exact=not short.is_cut)


def _is_union(node: Node) -> bool:
    """Return true if the rows of a node are exactly those of some index ranges, each row once."""
    return isinstance(node, AnyOf) and all(isinstance(item, Selection | Test) for item in node.items)


def _tallied(number: int, counted: int) -> Count:
    return Count(min(number, counted), is_exact=number <= counted)


def too_broad(query: Query, examined: int) -> QueryTooBroad:
    """Return the error for a page that is not full after the most rows that a query may examine."""
    return QueryTooBroad(
        f"the filter is too broad: the page is not full after {examined:,} rows in the order "
        f"{query.order.field.name}, the most that a query may examine; add a condition that at most {examined:,} "
        "recordings meet, such as a range of `start`, or a value of `callId`, `interactionId`, `cdrId`, `label`, "
        "`ownerId`, `endpointId`, `userMetadata` or of a number",
        examined,
    )
