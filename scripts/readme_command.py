"""Print the command that README.md gives under a marker such as `<!-- test-command -->`.

What is checked is then what is printed there: the two cannot part.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def command(name: str, text: str) -> str:
    """The content of the fenced block that follows the marker `name` in `text`."""
    found = re.findall(rf"<!-- {re.escape(name)} -->\s*\n```\w*\n(.+?)\n```", text, re.DOTALL)
    if len(found) != 1:
        raise SystemExit(f"README.md must have one fenced block right after <!-- {name} -->, and has {len(found)}")
    return str(found[0])


if __name__ == "__main__":
    print(command(sys.argv[1], README.read_text(encoding="utf-8")))
