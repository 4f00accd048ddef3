"""The settings of an installation: from the command line, `RECORDINGS_*` environment variables and a file.

`table` lists them all, `setting` parses one value, and `load` makes a checked `Settings` object from the table.
"""

from graph.settings.config_file import ConfigFileError
from graph.settings.load import config_path, environment_names, load, sources, unknown_names
from graph.settings.markdown import as_markdown
from graph.settings.setting import InvalidSettingError, Setting, SettingsError, is_base_url
from graph.settings.table import BY_NAME, SETTINGS
from graph.settings.values import Settings

__all__ = [
    "BY_NAME",
    "SETTINGS",
    "ConfigFileError",
    "InvalidSettingError",
    "Setting",
    "Settings",
    "SettingsError",
    "as_markdown",
    "config_path",
    "environment_names",
    "is_base_url",
    "load",
    "sources",
    "unknown_names",
]
