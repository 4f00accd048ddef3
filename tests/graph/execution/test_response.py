"""The JSON that responses are written with."""

import pytest
from bson import Int64

from graph.execution.response import encode


def test_integers_of_a_driver_are_written_as_integers() -> None:
    assert encode({"length": Int64(3_000_000_000), "é": None}) == '{"length":3000000000,"é":null}'.encode()


def test_a_value_that_is_not_json_is_an_error() -> None:
    with pytest.raises(TypeError, match="complex is not JSON"):
        encode({"value": 1j})
