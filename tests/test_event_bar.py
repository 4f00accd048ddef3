"""Each guarantee of events has a test, and a line in CONTRIBUTING.md."""

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_each_of_the_twelve_points_has_a_test_and_a_description() -> None:
    marked = {
        int(point)
        for file in HERE.rglob("test_*.py")
        for point in re.findall(r"^@pytest\.mark\.event_bar\((\d+)\)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    described = re.findall(r"^\| (\d+) \|", (HERE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert marked == set(map(int, described)) == set(range(1, 13))
