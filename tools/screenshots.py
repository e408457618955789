"""Makes the README's pictures: starts the demo in a temporary folder, waits for its pushes, takes pictures.

    python -m tools.screenshots [FOLDER] [--all]

`--all` takes every page at 1440 and 375 px in both languages, to be looked at; without it, the README's few.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
README = {"board": "/", "calendar": "/calendar", "material": "MATERIAL", "push": "PUSH"}
SIZES = {"wide": (1440, 900), "phone": (375, 812)}
_WAIT = 120.0
_DUE_UNITS = (
    "SELECT unit.state FROM unit JOIN push ON push.id = unit.push_id WHERE push.due_at <= datetime('now')"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("folder", nargs="?", default=str(ROOT / "docs/images"), type=Path)
    parser.add_argument("--all", action="store_true", dest="everything")
    asked = parser.parse_args()
    chromium = next((path for path in CHROMIUM if Path(path).exists()), None)
    if chromium is None:
        print("No Chromium here. On Debian and Ubuntu: apt-get install chromium fonts-noto-cjk")
        return 1
    asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as driver:
        demo = Demo(Path(home))
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            demo.wait_for_pushes()
            photograph(browser, demo, asked.folder, everything=asked.everything)
        finally:
            browser.close()
            demo.stop()
    return 0


class Demo:
    """The demo shop, running on ports of its own."""

    def __init__(self, home: Path) -> None:
        self.port, self.sandbox_port = _free_port(), _free_port()
        shutil.copytree(ROOT / "content_library", home / "content_library")
        config = (ROOT / "config.toml").read_text(encoding="utf-8")
        config = config.replace("8640", str(self.port)).replace("8641", str(self.sandbox_port))
        (home / "config.toml").write_text(config, encoding="utf-8")
        self._log = home / "log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lanmu.cli.main", "serve"],
                cwd=home,
                env={**os.environ, "LANMU_LANG": "en"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._until(lambda: "Ready." in self._log.read_text())
        found = re.search(r"admin  (\S+)", self._log.read_text())
        self.password = found[1] if found else ""
        self.home = home

    def wait_for_pushes(self) -> None:
        import sqlite3

        def gone() -> bool:
            with sqlite3.connect(self.home / "data/lanmu.db") as database:
                # What is handed over ahead of its time, as at 9:55 for 10:00, is not waited for.
                states = [row[0] for row in database.execute(_DUE_UNITS)]
            return bool(states) and not {"pending", "leased", "calling"} & set(states)

        self._until(gone)

    def _until(self, ready: Any) -> None:
        deadline = time.monotonic() + _WAIT
        while not ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit(f"the demo did not come up:\n{self._log.read_text()}")
            time.sleep(0.2)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=30)


def photograph(browser: Browser, demo: Demo, folder: Path, *, everything: bool) -> None:
    base = f"http://127.0.0.1:{demo.port}"
    new_password = "screenshots-of-the-demo"  # noqa: S105  of a server that lives for a minute
    state = _sign_in(browser, base, demo.password, new_password)
    for language in ("zh-CN", "en"):
        for size, (width, height) in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                locale=language,
                timezone_id="Asia/Shanghai",
                storage_state=state,
                device_scale_factor=1,
            )
            page = context.new_page()
            page.goto(f"{base}/?lang={language}")
            pages = _every_page(page, base) if everything else _readme_pages(page, base)
            for name, url in pages.items():
                page.goto(url, wait_until="networkidle")
                _refuse_overflow(page, name, width)
                suffix = "" if language == "zh-CN" else ".en"
                page.screenshot(path=folder / f"{name}-{size}{suffix}.png", full_page=everything)
            if everything or size == "wide":
                _sandbox(page, demo, folder, size, language)
            context.close()


def _sign_in(browser: Browser, base: str, password: str, new_password: str) -> Any:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(f"{base}/login")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", password)
    page.click("form[action='/login'] button")
    page.fill("[name=old_password]", password)
    page.fill("[name=new_password]", new_password)
    page.fill("[name=again]", new_password)
    page.click("form[action*='password'] button[type=submit], form[action*='password'] .btn-primary")
    page.wait_for_url(re.compile(rf"^{re.escape(base)}/(\?.*)?$"))
    state = context.storage_state()
    context.close()
    return state


def _readme_pages(page: Page, base: str) -> dict[str, str]:
    found = {"board": f"{base}/", "calendar": f"{base}/calendar"}
    found["material"] = _first(page, f"{base}/materials", "/materials/mat_")
    found["push"] = _first(page, f"{base}/pushes", "/pushes/psh_")
    return found


def _every_page(page: Page, base: str) -> dict[str, str]:
    found = {
        name: f"{base}{path}"
        for name, path in {
            "board": "/",
            "calendar": "/calendar",
            "materials": "/materials",
            "materials-search": "/materials?q=辅食",
            "materials-none": "/materials?q=没有这样的素材",
            "material-new": "/materials/new",
            "review": "/review",
            "columns": "/columns",
            "column-new": "/columns/new",
            "pushes": "/pushes",
            "communities": "/communities",
            "points": "/points",
            "pushes-awaited": "/pushes?state=awaited",
            "member-points": "/p/points/members",
            "till": "/p/points/till",
            "plugins": "/settings/plugins",
            "audit": "/settings/audit",
            "packs": "/p/personal_wechat_export/",
            "api-docs": "/api/docs",
            "not-found": "/nowhere",
        }.items()
    }
    found["material"] = _first(page, f"{base}/materials", "/materials/mat_")
    found["material-edit"] = found["material"] + "/edit"
    found["column"] = _first(page, f"{base}/columns", "/columns/col_")
    found["column-edit"] = found["column"] + "/edit"
    found["push"] = _first(page, f"{base}/pushes", "/pushes/psh_")
    found["member-link"] = _first(page, f"{base}/p/points/members", "member=", whole=True)
    found["community"] = _first(page, f"{base}/communities", "/communities/com_")
    return found


def _first(page: Page, listing: str, kind: str, *, whole: bool = False) -> str:
    """The first link of this kind in a listing, without its query unless `whole`."""
    page.goto(listing)
    href = page.locator(f"a[href*='{kind}']").first.get_attribute("href") or ""
    return re.sub(r"^(https?://[^/]+).*$", r"\1", listing) + (href if whole else href.partition("?")[0])


def _refuse_overflow(page: Page, name: str, width: int) -> None:
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        print(f"{name}: {wide} px wide on a screen of {width} px", file=sys.stderr)


def _sandbox(page: Page, demo: Demo, folder: Path, size: str, language: str) -> None:
    page.goto(f"http://127.0.0.1:{demo.sandbox_port}/?lang={language}", wait_until="load")
    page.wait_for_timeout(1500)
    suffix = "" if language == "zh-CN" else ".en"
    page.screenshot(path=folder / f"sandbox-{size}{suffix}.png")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
