"""Only `recordings/use_cases/save_event.py` may write recordings: a test that reads the source of the product.

A store is recognised by its name (`store`, `_store`, `recording_store`), its annotation, its constructor, or by an
assignment from another store. Any use of `insert`, `save` or `remove` on a store counts, also without a call, because
`save = store.save` is only another way to write.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITER = ROOT / "recordings" / "use_cases" / "save_event.py"
STORES = ROOT / "adapters" / "metadata"
WRITES = {"insert", "save", "remove"}
STORE_NAME = re.compile(r"(^|_)stores?$")
OTHER_STORE_NAME = re.compile(r"(^|_)(account|media|location|user|peer)_stores?$")
STORE_TYPES = {"RecordingStore", "MetadataStore", "SqliteStore", "MongoStore"}
WRITING_MODULES = {"adapters.metadata.sqlite.recording_table", "adapters.metadata.mongodb.recording_collection"}


def product_files() -> list[Path]:
    files = [path for folder in ("recordings", "adapters", "graph") for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in files if path != WRITER and STORES not in path.parents)


class Stores:
    """The expressions of one module that are recording stores."""

    def __init__(self, tree: ast.AST) -> None:
        self._aliases: set[str] = set()
        self._assignments = list(assignments(tree))
        for target, annotation in annotations(tree):
            if names_in(annotation) & STORE_TYPES:
                self._aliases.add(target)
        # An alias can have an alias, in any order of the source.
        while found := {name for name, value in self._assignments if self.contains(value)} - self._aliases:
            self._aliases |= found

    def contains(self, expression: ast.AST) -> bool:
        if isinstance(expression, ast.Name | ast.Attribute):
            name = last_name(expression)
            return name in self._aliases or bool(STORE_NAME.search(name) and not OTHER_STORE_NAME.search(name))
        if isinstance(expression, ast.Call):
            return bool(names_in(expression.func) & STORE_TYPES)
        if isinstance(expression, ast.NamedExpr | ast.Await | ast.Starred):
            return self.contains(expression.value)
        if isinstance(expression, ast.BoolOp):
            return any(self.contains(value) for value in expression.values)
        if isinstance(expression, ast.IfExp):
            return self.contains(expression.body) or self.contains(expression.orelse)
        return False


def last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def names_in(node: ast.AST) -> set[str]:
    names = {last_name(each) for each in ast.walk(node)}
    texts = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return names | {name for text in texts for name in re.findall(r"\w+", text)}


def annotations(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            yield node.arg, node.annotation
        elif isinstance(node, ast.AnnAssign):
            yield last_name(node.target), node.annotation


def assignments(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from pairs(target, node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            yield last_name(node.target), node.value
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            yield last_name(node.optional_vars), node.context_expr
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            yield last_name(node.target), node.iter


def pairs(target: ast.AST, value: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for each, item in zip(target.elts, value.elts, strict=True):
            yield from pairs(each, item)
    elif last_name(target):
        yield last_name(target), value


def writes(source: str) -> list[str]:
    """Return the places in a module that write to a recording store, as `line: code`."""
    tree = ast.parse(source)
    stores = Stores(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in WRITES and stores.contains(node.value):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.Call) and last_name(node.func) in {"getattr", "methodcaller"}:
            literals = {each.value for each in node.args if isinstance(each, ast.Constant)}
            if literals & WRITES and (stores.contains(node.args[0]) or last_name(node.func) == "methodcaller"):
                found.append(f"{node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.Import | ast.ImportFrom) and WRITING_MODULES & set(imported(node)):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    yield prefix.rstrip(".")
    yield from (f"{prefix}{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", product_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_other_file_writes_recordings(path: Path) -> None:
    assert writes(path.read_text()) == [], "write through RecordingWriter of recordings/use_cases/save_event.py"


def test_the_writer_uses_each_operation_once() -> None:
    assert len(writes(WRITER.read_text())) == len(WRITES)


@pytest.mark.parametrize(
    "source",
    [
        "await services.store.insert(recording)",
        "await self._store.save(recording, 1)",
        "await self.recording_store.remove('id')",
        "store = self._store\nawait store.remove('id')",
        "metadata = self._store\nother = metadata\nother.save(recording, 1)",
        "save = self._store.save",
        "partial(store.insert, recording)",
        "getattr(self._store, 'save')(recording, 1)",
        "methodcaller('insert', recording)(database)",
        "async def write(database: RecordingStore) -> None:\n    await database.insert(recording)",
        "async def write(database: 'MetadataStore | None') -> None:\n    await database.insert(recording)",
        "class Offender:\n    database: MetadataStore\n\n    async def f(self):\n        self.database.save(r, 1)",
        "self._database = store\nself._database.save(recording, 1)",
        "database = SqliteStore(folder)\ndatabase.remove('id')",
        "first, second = 1, self._store\nsecond.insert(recording)",
        "(database := self._store).insert(recording)",
        "(given or self._store).save(recording, 1)",
        "for each in self._stores:\n    each.remove('id')",
        "with store as opened:\n    opened.insert(recording)",
        "from adapters.metadata.sqlite import recording_table",
        "from adapters.metadata.mongodb.recording_collection import Recordings",
        "import adapters.metadata.sqlite.recording_table",
    ],
)
def test_a_planted_write_is_found(source: str) -> None:
    assert writes(source)


@pytest.mark.parametrize(
    "source",
    [
        "await self._spool.remove(recording_id)",
        "await services.spool.remove(recording.id)",
        "items.remove(item)",
        "items.insert(0, item)",
        "await self.remove(recording_id)",
        "await store.remove_calls(node, calls)",
        "await store.save_account(account)",
        "await self._media_store.remove(url)",
        "stored.remove(item)",
        "store = self._store\nitems = await store.keys(account_id)\nitems.insert(0, key)",
        "page = await self._store.page(query, request)\npage.rows.remove(row)",
    ],
)
def test_other_calls_are_not_reported(source: str) -> None:
    assert writes(source) == []
