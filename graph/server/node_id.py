"""The id of this server, which is kept in its data folder."""

from pathlib import Path

from adapters.identity import read_or_create
from recordings.model.ids import is_hex_id, new_id


def read_node_id(data: Path) -> str:
    """Return the id of this server. Create it, and the data folder, if they do not exist.

    Raises:
        ValueError: the folder or the file cannot be used. The message gives the reason.
    """
    path = data / "node"
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        node = read_or_create(path, new_id())
    except OSError as error:
        message = f"the data folder {data} cannot be used: {error.strerror}"
        raise ValueError(message) from error
    if not is_hex_id(node):
        # Two servers with the same id would each treat the other's calls as their own.
        message = f"{path} must contain this server's id, 32 lower-case hexadecimal digits: restore it from a backup"
        raise ValueError(message)
    return node
