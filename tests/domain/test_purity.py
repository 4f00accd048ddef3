"""The domain does no I/O and uses the standard library only."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DOMAIN = Path(__file__).parents[2] / "recordings"
MODULES = sorted(DOMAIN.rglob("*.py"))

# Modules that do I/O, wait, or start processes and threads. The domain gets the time from the `Clock` port.
FORBIDDEN = {
    "asyncio", "concurrent", "ctypes", "fcntl", "ftplib", "glob", "http", "io", "logging", "mmap", "multiprocessing",
    "os", "pathlib", "select", "selectors", "shelve", "shutil", "signal", "smtplib", "socket", "socketserver",
    "sqlite3", "ssl", "subprocess", "tempfile", "threading", "wsgiref",
}  # fmt: skip
FORBIDDEN_SUBMODULES = {"urllib.request", "urllib.robotparser"}
CALLS = {"breakpoint", "eval", "exec", "input", "open", "print", "__import__"}


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            yield "recordings" if node.level else origin
            yield from (f"{origin}.{alias.name}" for alias in node.names if not node.level)


def faults(source: str) -> list[str]:
    tree = ast.parse(source)
    found = []
    for name in imports(tree):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names | {"recordings"}:
            found.append(f"imports {name}, which is not the standard library's")
        if top in FORBIDDEN or name in FORBIDDEN_SUBMODULES:
            found.append(f"imports {name}, which does I/O")
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return found + [f"calls {name}()" for name in sorted(called & CALLS)]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(DOMAIN).as_posix())
def test_a_module_is_pure(module: Path) -> None:
    assert faults(module.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pymongo",
        "from adapters.metadata import sqlite",
        "import socket",
        "def f():\n    from urllib import request",
        "import urllib.request",
        "open('x')",
    ],
)
def test_a_module_that_is_not_pure_is_found(source: str) -> None:
    assert faults(source)


@pytest.mark.parametrize("source", ["import datetime", "from recordings import recording", "from . import query"])
def test_a_pure_module_is_accepted(source: str) -> None:
    assert faults(source) == []
