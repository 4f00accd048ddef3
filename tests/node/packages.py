"""The npm packages of a lock file, installed once for each of its versions."""

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

FILES: Final = ("package.json", "package-lock.json", ".npmrc")


def installed_packages(source: Path) -> Path:
    """Install the packages of a folder's lock file into the cache, and return their folder.

    Without npm, the test is skipped; in CI it fails.
    """
    if shutil.which("npm") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("npm is missing in CI")
        pytest.skip("NOT TESTED: tests/node needs npm")
    mark = sha256((source / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "recordings-tests-node" / mark
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(source / name, folder)
        subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True, timeout=300)
        (folder / "done").touch()
    return folder
