"""No file of the product imports itself through other files."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("recordings", "adapters", "graph")


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_under(root: Path) -> dict[str, Path]:
    files = (path for package in PACKAGES for path in sorted((root / package).rglob("*.py")))
    return {module_name(path.relative_to(root)): path for path in files}


def imported_names(path: Path, package: list[str]) -> Iterator[str]:
    """Yield the name of every imported module or attribute.

    Imports in functions and under `TYPE_CHECKING` count too, and so do Strawberry's lazy references to modules.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and is_call_of(node, {"lazy", "import_module"}):
            yield from (str(item.value) for item in node.args if isinstance(item, ast.Constant))


def is_call_of(node: ast.Call, names: set[str]) -> bool:
    called = node.func
    return getattr(called, "attr", getattr(called, "id", "")) in names


def import_graph(root: Path) -> dict[str, set[str]]:
    """Return the modules that each module imports."""
    modules = modules_under(root)
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
        found = (closest_module(text, modules) for text in imported_names(path, package))
        graph[name] = {module for module in found if module is not None and module != name}
    return graph


def closest_module(text: str, modules: Mapping[str, Path]) -> str | None:
    """Return the module that an imported name is or belongs to, or `None` if it is not part of the product."""
    if text in modules:
        return text
    module = text.rpartition(".")[0]
    return module if module in modules else None


def find_cycle(graph: Mapping[str, set[str]]) -> list[str] | None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle[::-1]
    return None


def test_no_file_imports_itself_through_other_files() -> None:
    graph = import_graph(ROOT)
    assert len(graph) > 200
    assert sum(map(len, graph.values())) > len(graph)
    cycle = find_cycle(graph)
    assert cycle is None, f"import cycle: {' -> '.join(cycle or [])}"


PLANTED = {
    "import": "from graph.second import value",
    "import of a module": "import graph.second",
    "import of a package's module": "from graph import second",
    "relative import": "from .second import value",
    "relative import of a module": "from . import second",
    "import in a function": "def f():\n    from graph.second import value",
    "import for type checking": "if TYPE_CHECKING:\n    from graph.second import value",
    "lazy reference": 'kind = Annotated["Value", strawberry.lazy("graph.second")]',
    "dynamic import": 'importlib.import_module("graph.second")',
}


@pytest.mark.parametrize("source", PLANTED.values(), ids=PLANTED)
def test_a_planted_cycle_is_found(tmp_path: Path, source: str) -> None:
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "__init__.py").write_text("")
    (tmp_path / "graph" / "first.py").write_text(source)
    (tmp_path / "graph" / "second.py").write_text("from graph.third import value")
    (tmp_path / "graph" / "third.py").write_text("value = 1")
    assert find_cycle(import_graph(tmp_path)) is None
    (tmp_path / "graph" / "third.py").write_text("import os\nfrom graph.first import other")
    cycle = find_cycle(import_graph(tmp_path))
    assert cycle is not None
    assert set(cycle) == {"graph.first", "graph.second", "graph.third"}
    assert "graph.first graph.second graph.third" in " ".join(cycle + cycle[1:])
