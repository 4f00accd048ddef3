"""Print the bill of materials of the service as CycloneDX JSON, with the licence of each part.

    python scripts/sbom.py > sbom.json

It has the Python packages of uv.lock without those of the tests, and the npm packages of the pages in the wheel. The
licences of the Python packages come from the installed packages, so run it in the project's environment.
"""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from uv import find_uv_bin

ROOT = Path(__file__).parents[1]
PAGES = ("graphiql", "console")
_BUNDLED = re.compile(r"^== (\S+) (\S+) \((.+)\)$", re.MULTILINE)
_OSI = "License :: OSI Approved :: "


def python_parts() -> dict[str, Any]:
    """Return the bill of materials of the locked Python packages."""
    words = [
        find_uv_bin(), "export", "--format", "cyclonedx1.5", "--frozen", "--no-dev", "--all-extras", "--quiet",
        "--no-config", "--preview-features", "sbom-export",
    ]  # fmt: skip
    bom: dict[str, Any] = json.loads(subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout)  # noqa: S603 - fixed
    for component in [bom["metadata"]["component"], *bom["components"]]:
        if licence := licence_of(component["name"]):
            component["licenses"] = [{"license": {"name": licence}}]
    # The same lock files have the same bill of materials.
    del bom["serialNumber"], bom["metadata"]["timestamp"]
    return bom


def licence_of(name: str) -> str | None:
    """Return the licence that an installed package declares; `None` if it is not installed or declares none."""
    try:
        found = metadata(name)
    except PackageNotFoundError:
        return None
    if "License-Expression" in found:
        return str(found["License-Expression"])
    classifiers = [each.removeprefix(_OSI) for each in found.get_all("Classifier") or () if each.startswith(_OSI)]
    text = str(found["License"]).strip().splitlines() if "License" in found else []
    return " AND ".join(classifiers) or (text[0] if text else None)


def page_parts() -> Iterator[dict[str, Any]]:
    """Yield the npm packages in the pages, each once. The licences of a page name what its build has bundled."""
    seen = set()
    for page in PAGES:
        text = gzip.decompress((ROOT / "graph" / page / "licences.txt.gz").read_bytes()).decode()
        for name, version, licence in _BUNDLED.findall(text):
            purl = f"pkg:npm/{quote(name)}@{version}"
            if purl not in seen:
                seen.add(purl)
                part = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
                yield part | {"licenses": [{"license": {"name": licence}}]}


def main() -> None:
    """Print the bill of materials."""
    bom = python_parts()
    bom["components"] += page_parts()
    json.dump(bom, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
