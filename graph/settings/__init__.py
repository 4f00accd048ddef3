"""The settings of an installation, read from the command line and from `RECORDINGS_*` environment variables.

`table` lists them all, `setting` parses one value, and `load` makes a checked `Settings` object from the table.
"""

from graph.settings.load import environment_names, load, unknown_names
from graph.settings.markdown import as_markdown
from graph.settings.setting import InvalidSettingError, Setting, is_base_url
from graph.settings.table import BY_NAME, SETTINGS
from graph.settings.values import Settings

__all__ = [
    "BY_NAME",
    "SETTINGS",
    "InvalidSettingError",
    "Setting",
    "Settings",
    "as_markdown",
    "environment_names",
    "is_base_url",
    "load",
    "unknown_names",
]
