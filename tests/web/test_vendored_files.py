"""The copied files of others are, byte for byte, those that were copied, and nothing else lies there."""

import base64
import hashlib
import json
import re
from pathlib import Path

STATIC = Path(__file__).parents[2] / "core/lanmu/web/static"
VENDOR = STATIC / "vendor"
TEMPLATES = STATIC.parent / "templates"
LIST = json.loads((VENDOR / "vendor.json").read_text("utf-8"))
FILES = {name: digest for package in LIST for name, digest in package["files"].items()}


def test_each_vendored_file_has_the_digest_of_the_list():
    for name, digest in FILES.items():
        found = hashlib.sha384((VENDOR / name).read_bytes()).digest()
        assert f"sha384-{base64.b64encode(found).decode()}" == digest, name


def test_nothing_lies_in_the_folder_that_the_list_does_not_name():
    there = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    assert there == {"vendor.json", *FILES}


def test_each_package_brings_its_licence_and_the_versions_of_the_lock_file():
    lock = json.loads((Path(__file__).parents[2] / "frontend/package-lock.json").read_text("utf-8"))
    for package in LIST:
        assert lock["packages"][f"node_modules/{package['name']}"]["version"] == package["version"]
        assert any(name.endswith("/LICENSE") for name in package["files"]), package["name"]


def test_no_style_sheet_fetches_anything_from_another_host():
    for path in STATIC.rglob("*.css"):
        assert not re.search(r"(url\(\s*['\"]?(https?:)?//|@import)", path.read_text("utf-8")), path.name


def test_every_icon_that_a_page_names_is_in_the_sprite():
    sprite = next(VENDOR.glob("tabler-icons-*/sprite.svg")).read_text("utf-8")
    known = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    used = set()
    for path in TEMPLATES.rglob("*.html"):
        used |= set(re.findall(r"icon\('([a-z0-9-]+)'", path.read_text("utf-8")))
    for path in (STATIC.parent).rglob("*.py"):
        used |= set(
            re.findall(
                r'"(?:home|content|delivery|people|settings)", "([a-z0-9-]+)"\)', path.read_text("utf-8")
            )
        )
    assert used - known == set()


def test_templates_hold_no_inline_script_and_no_inline_style():
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)|javascript:", text), (
            path.name
        )
