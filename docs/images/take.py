"""Take the README's picture: start the demo, log in, open one customer's timeline, make a screenshot.

python docs/images/take.py [--all]      --all: every page at 1280 and 390 pixels, beside it
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).resolve().parent
CUSTOMER = "alice@whitcombe.example"
PAGES = {
    "overview": "/",
    "customers": "/customers",
    "kept": "/kept",
    "deliveries": "/deliveries",
    "answers": "/answers",
}
WAIT = 120.0
"""Seconds the demo may take to open."""


def opened(demo: subprocess.Popen[str]) -> tuple[str, str]:
    """The demo's address and password, from what it prints."""
    assert demo.stderr is not None
    said, last = "", time.monotonic() + WAIT
    while time.monotonic() < last and demo.poll() is None:
        said += demo.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", said)
        password = re.search(r"password\s+(\S+)", said)
        if address and password:
            return address[0], password[1]
    sys.exit(f"the demo did not open:\n{said}")


def logged_in(browser: Browser, address: str, password: str, width: int) -> Page:
    """A page with a session."""
    page = browser.new_page(viewport={"width": width, "height": 1400}, locale="en-GB")
    page.goto(f"{address}/login")
    page.fill("input[name=name]", "demo")
    page.fill("input[name=password]", password)
    page.click("button.primary")
    page.wait_for_load_state()
    return page


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--all", action="store_true")
    every = arguments.parse_args().all
    chromium = shutil.which("chromium") or sys.exit("chromium is missing; on Debian: apt-get install chromium")
    command = [str(Path(sys.executable).with_name("tresse")), "demo"]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as demo,  # noqa: S603 - our own command
        sync_playwright() as playwright,
    ):
        try:
            address, password = opened(demo)
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = logged_in(browser, address, password, 1280)
            page.goto(f"{address}/search?key={CUSTOMER}")
            page.screenshot(path=HERE / "timeline.png")
            for width in (1280, 390) if every else ():
                page = logged_in(browser, address, password, width)
                for name in PAGES:
                    page.goto(f"{address}/{name}")
                    page.screenshot(path=HERE / f"{name}-{width}.png", full_page=True)
            browser.close()
        finally:
            demo.terminate()


if __name__ == "__main__":
    main()
