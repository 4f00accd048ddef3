"""A file name identifies a file: no name occurs twice in the product."""

from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("recordings", "adapters", "graph")
SAME_THING_IN_TWO_TECHNOLOGIES = {
    "where.py": {"adapters/metadata/mongodb/where.py", "adapters/metadata/sqlite/where.py"},
}


def test_no_file_name_occurs_twice() -> None:
    paths: defaultdict[str, set[str]] = defaultdict(set)
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "__init__.py":
                paths[path.name].add(path.relative_to(ROOT).as_posix())
    assert len(paths) > 200
    assert {name: found for name, found in paths.items() if len(found) > 1} == SAME_THING_IN_TWO_TECHNOLOGIES
