"""The guide for legacy clients names every path and operation."""

from pathlib import Path

import pytest

from adapters.rest_v2.v2_routes import OPERATIONS, Operation

PAGE = (Path(__file__).parents[2] / "docs" / "rest_v2.md").read_text()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_is_in_the_guide(operation: Operation) -> None:
    assert f"`{operation.name}`" in PAGE
    if "{user_id}/recordings/{" not in operation.path:
        path = operation.path
        for name, letter in (
            ("account_id", "A"),
            ("user_id", "U"),
            ("recording_id", "R"),
            ("device_id", "D"),
            ("channel_id", "UUID"),
            ("webhook_id", "W"),
            ("sample_id", "S"),
        ):
            path = path.replace(f"{{{name}}}", f"{{{letter}}}")
        assert f"`{operation.method} /v2{path}`" in PAGE
