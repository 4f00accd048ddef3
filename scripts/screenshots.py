"""Make the pictures of the console in docs/console/, from the demo in a real Chromium.

.venv/bin/python scripts/screenshots.py
"""

import re
import sys
import tempfile
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.browser.chromium import Chromium, Page, find_chromium  # noqa: E402
from tests.browser.console_page import ROWS, TITLE, go, opened, press  # noqa: E402
from tests.e2e.server import Server  # noqa: E402

FOLDER: Final = REPOSITORY / "docs" / "console"
SIZE: Final = {"width": 1_000, "height": 760, "deviceScaleFactor": 1, "mobile": False}


def take(page: Page, name: str) -> None:
    """Write one picture."""
    page.screenshot(FOLDER / f"{name}.png")
    print(name)


def main() -> None:
    """Make all pictures."""
    FOLDER.mkdir(exist_ok=True)
    program = find_chromium()
    if program is None:
        raise SystemExit("Chromium is not installed")
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder) / "data", "--demo") as demo,
        Chromium(program) as browser,
    ):
        address = re.search(r"http\S+/console#token=\S+", demo.printed())
        if address is None:
            raise SystemExit("the demo printed no address of the console")
        page = opened(browser, address[0], "Recordings")
        page.call("Emulation.setDeviceMetricsOverride", **SIZE)
        page.until(f"{ROWS} === 5")
        take(page, "recordings")
        page.evaluate("document.querySelector('tbody a').click()")
        page.until(f"{TITLE}?.includes(' to ') && !!document.querySelector('.waveform')")
        page.until("!!document.querySelector('audio')?.src")
        press(page, "5 s forward")
        page.until("document.querySelector('.time').innerText.startsWith('0:05')")
        take(page, "recording")
        with demo.call(60):
            go(page, "#/live", "Live calls")
            press(page, "Record")
            page.until("document.querySelector('[data-label=Recording]')?.innerText === 'Recording'")
            take(page, "live")
        go(page, "#/statistics?days=month", "Statistics")
        page.until("document.querySelectorAll('canvas').length === 4")
        take(page, "statistics")
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        go(page, "#/policies", "Recording policies")
        press(page, "Add calls")
        page.until("document.body.innerText.includes('Minimum in seconds')")
        take(page, "policies-dark")


if __name__ == "__main__":
    main()
