"""The mount of the v2 API: `/v2`, and every other version, because Kazoo 4.3 serves all of them with the same code."""

import re

from starlette.routing import Mount
from starlette.types import ASGIApp


def mount_versions(app: ASGIApp) -> Mount:
    """Mount the v2 API at `/vN/` for every integer N (`docs/v2_contract.md`, section 5.4).

    It also matches paths with a line break. A plain `Mount` does not, and its 404 would have another format.
    """
    mount = Mount("/v2", app)
    mount.path_regex = re.compile(r"^/v[+-]?[0-9]+/(?P<path>.*)$", re.DOTALL)
    return mount
