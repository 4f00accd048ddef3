"""The OpenAPI document of the v2 paths."""
