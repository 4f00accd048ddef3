"""Print the command that follows a marker in README.md, for example `<!-- test-command -->`.

CI runs the printed command, so the README always contains a command that works.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def command(name: str, text: str) -> str:
    """Return the content of the fenced block that follows the marker `name` in `text`."""
    found = re.findall(rf"<!-- {re.escape(name)} -->\s*\n```\w*\n(.+?)\n```", text, re.DOTALL)
    if len(found) != 1:
        raise SystemExit(f"README.md must have one fenced block directly after <!-- {name} -->, it has {len(found)}")
    return str(found[0])


if __name__ == "__main__":
    print(command(sys.argv[1], README.read_text(encoding="utf-8")))
