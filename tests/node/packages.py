"""The npm packages of a lock file, installed once for each of its versions."""

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from tests.support.prepared_folder import prepared_folder

FILES: Final = ("package.json", "package-lock.json", ".npmrc")


def installed_packages(source: Path) -> Path:
    """Install the packages of a folder's lock file into the cache, and return their folder.

    Without npm, the test is skipped; in CI it fails.
    """
    if shutil.which("npm") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("npm is missing in CI")
        pytest.skip("NOT TESTED: tests/node needs npm")

    def install(folder: Path) -> None:
        for name in FILES:
            shutil.copy(source / name, folder)
        subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True, timeout=300)

    return prepared_folder("node", sha256((source / "package-lock.json").read_bytes()).hexdigest()[:16], install)
