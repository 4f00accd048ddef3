"""The table of settings in docs/settings.md. A test compares the two."""

from collections.abc import Iterable
from pathlib import Path

from graph.settings.setting import Setting
from graph.settings.table import SETTINGS


def as_markdown(settings: Iterable[Setting] = SETTINGS) -> str:
    """Return the settings as a Markdown table."""
    rows = [
        f"| `{setting.option}` | `{setting.environment}` | {_default(setting)} | "
        f"{setting.description}{_allowed(setting)} |"
        for setting in settings
    ]
    return "\n".join(["| option | environment | default | description |", "|---|---|---|---|", *rows])


def _default(setting: Setting) -> str:
    if setting.default is None:
        return "–"
    if isinstance(setting.default, bool):
        return "on" if setting.default else "off"
    if isinstance(setting.default, tuple):
        return f"`{','.join(setting.default)}`" if setting.default else "–"
    return f"`{setting.default}`"


def _allowed(setting: Setting) -> str:
    is_free_text = setting.type in {str, Path} and not setting.choices and not setting.schemes
    return "" if is_free_text else f" {setting.allowed[0].upper()}{setting.allowed[1:]}."
