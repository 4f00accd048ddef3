"""The console in a tab, and the checks that all its pages must pass."""

import json
from functools import cache
from typing import Any, Final

from tests.browser.chromium import Chromium, Page
from tests.node.packages import installed_packages
from tests.node.test_node import CONSOLE

TITLE: Final = "document.querySelector('h1')?.innerText"
ROWS: Final = "document.querySelectorAll('tbody tr').length"
WIDTHS: Final = (360, 1_280)


@cache
def _axe() -> str:
    return (installed_packages(CONSOLE) / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


def opened(chromium: Chromium, address: str, title: str) -> Page:
    """Open an address in a new tab, and wait for the page with a title."""
    page = chromium.page()
    page.open(address)
    page.until(f"{TITLE} === {json.dumps(title)}")
    return page


def go(page: Page, fragment: str, title: str) -> None:
    """Open another page of the console in the same tab."""
    page.evaluate(f"location.hash = {json.dumps(fragment)}")
    page.until(f"{TITLE} === {json.dumps(title)} && !document.querySelector('[aria-busy=true]')")


def choose(page: Page, label: str, value: str) -> None:
    """Choose a value of a list by its label."""
    change = f"field.value = {json.dumps(value)}; field.dispatchEvent(new Event('change', {{bubbles: true}}))"
    _with_field(page, label, change)


def fill(page: Page, label: str, text: str) -> None:
    """Type a text into the field with a label, in place of its text."""
    _with_field(page, label, "field.focus(); field.select?.()")
    page.type(text)


def press(page: Page, name: str) -> None:
    """Click the button, the link, the label or the summary with a text."""
    _with_element(page, "button:not(:disabled), a, label.tick, summary", name, "element.click()")


def focus(page: Page, name: str) -> None:
    """Give the button with a text the focus."""
    _with_element(page, "button:not(:disabled)", name, "element.focus()")


def _with_field(page: Page, label: str, action: str) -> None:
    _with_element(page, "label[for]", label, f"const field = document.getElementById(element.htmlFor); {action}")


def _with_element(page: Page, selector: str, text: str, action: str) -> None:
    """Run a script with the first `element` that has a text, when it is there."""
    page.until(
        f"(() => {{ const element = [...document.querySelectorAll({json.dumps(selector)})]"
        f".find(each => each.innerText.trim() === {json.dumps(text)});"
        f"if (!element) return false; {action}; return true; }})()"
    )


def findings(page: Page) -> list[dict[str, Any]]:
    """Return what axe finds in the page, in light and dark, on a narrow and a wide screen."""
    page.evaluate(_axe())
    found = []
    for scheme in ("light", "dark"):
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for width in WIDTHS:
            page.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"wider than {width} pixels"
            found += page.evaluate(
                "axe.run().then(({violations}) => violations.map(({id, nodes}) => "
                f"({{id, scheme: '{scheme}', width: {width}, nodes: nodes.map(each => each.html.slice(0, 200))}})))"
            )
    page.call("Emulation.clearDeviceMetricsOverride")
    page.call("Emulation.setEmulatedMedia", features=[])
    return found
