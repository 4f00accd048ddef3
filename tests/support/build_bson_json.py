"""Compile the optional extension `recordings_bson_json` for tests, and load it.

The tests compile it themselves, because a package index is not needed for that and the extension is not installed.
"""

import shlex
import shutil
import subprocess
import sysconfig
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any, Final

NAME: Final = "recordings_bson_json"
SOURCE: Final = Path(__file__).parents[2] / "adapters/metadata/mongodb/bson_json/bson_json.c"
FLAGS: Final = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-shared", "-fPIC")


def why_not() -> str | None:
    """Return why the extension cannot be compiled here, or `None`."""
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if shutil.which("cc") is None:
        return "there is no C compiler (cc)"
    return None if headers.exists() else f"there is no {headers}: install the headers of this Python"


def compile_extension(folder: Path, *flags: str) -> Path:
    """Compile the extension into a folder."""
    built = folder / f"{NAME}.abi3.so"
    command = ["cc", *FLAGS, *flags, f"-I{sysconfig.get_path('include')}", str(SOURCE), "-o", str(built)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr}"
    return built


def load_extension(built: Path) -> Any:
    """Load the extension, without a change to `sys.modules`."""
    loader = ExtensionFileLoader(NAME, str(built))
    spec = spec_from_loader(NAME, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module
