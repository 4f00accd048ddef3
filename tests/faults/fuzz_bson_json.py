"""Fuzz the optional extension under the address sanitizer.

    python -m tests.faults.fuzz_bson_json [--examples 5000]

The extension is compiled with `-fsanitize=address,undefined`, and each Python object has memory of its own, so that a
read beyond its end stops the process. It needs `cc` with the sanitizers (GCC has them).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import bson
from hypothesis import HealthCheck, given, settings

from adapters.metadata.mongodb import bson_rows
from tests.graph.execution.bson_documents import compare, damaged, pages
from tests.support.build_bson_json import compile_extension, load_extension

BUILT: Final = "FUZZED_EXTENSION"
REPLY: Final = bson.encode({"firstBatch": [{"a": 1}, {"b": "x" * 20}], "id": bson.Int64(0), "ns": "a.b"})
SANITIZERS: Final = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def main() -> int:
    """Compile the extension and start this command again with the sanitizers, or fuzz."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=5_000)
    examples = parser.parse_args().examples
    if built := os.environ.get(BUILT):
        fuzz(Path(built), examples)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        libraries = " ".join(
            subprocess.check_output(["cc", f"-print-file-name={name}"], text=True).strip()
            for name in ("libasan.so", "libubsan.so")
        )
        environment = os.environ | {
            BUILT: str(compile_extension(Path(folder), *SANITIZERS)),
            "LD_PRELOAD": libraries,
            "ASAN_OPTIONS": "detect_leaks=0",
            "PYTHONMALLOC": "malloc",
        }
        command = [sys.executable, "-m", "tests.faults.fuzz_bson_json", "--examples", str(examples)]
        return subprocess.run(command, env=environment, check=False).returncode


def split(reply: bytes) -> None:
    bson_rows.extension.split(reply)


def fuzz(built: Path, examples: int) -> None:
    bson_rows.extension = load_extension(built)
    checked = settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None, deadline=None)
    checked(given(pages())(compare))()
    checked(given(damaged(REPLY))(split))()
    print(f"{examples} pages and {examples} replies: no difference and no wrong read")


if __name__ == "__main__":
    sys.exit(main())
