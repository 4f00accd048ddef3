"""The webhooks that this service offers, and samples of their requests, in Kazoo's form."""

from collections.abc import Mapping
from typing import Any, Final

from recordings.rules.kazoo_webhook import ALL, HOOK, OBJECT_TYPE, KazooAction

CATALOGUE: Final[tuple[Mapping[str, Any], ...]] = (
    {
        "id": HOOK,
        "name": "Object",
        "description": "Receive notifications when recordings are stored, changed or deleted",
        "modifiers": {
            "action": {
                "type": "array",
                "description": "A list of object actions to handle",
                "items": [ALL, *(action.value for action in KazooAction)],
            },
            "type": {
                "type": "array",
                "description": "A list of object types to handle",
                "items": [ALL, OBJECT_TYPE],
            },
        },
    },
)
SAMPLES: Final[Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    f"webhooks_{HOOK}": tuple(
        {
            "account_id": "0e10f9365fb2383d0fa65e907bfe4cb3",
            "action": action.value,
            "cluster_id": "9a1b6f0c4d7e42b8a5c3d2e1f0a9b8c7",
            "id": "202611-c4c0ad092e57bc1d28e69bbd20dad932",
            "type": OBJECT_TYPE,
        }
        for action in KazooAction
    )
}
"""The samples by their ids."""
