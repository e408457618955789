"""Every text that a person can see stands in both languages."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import extract, extract_python
from babel.messages.pofile import read_po

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "lanmu": ROOT / "core/lanmu",
    **{path.name: path for path in sorted(ROOT.glob("plugins/*/lanmu_*")) if path.is_dir()},
}


def _texts(package: Path) -> Iterator[tuple[str, str]]:
    """Every marked text with the place where it stands."""
    for path in sorted(package.rglob("*.py")):
        with path.open("rb") as file:
            for _line, _function, message, _comments in extract_python(file, {"_": None}, [], {}):
                if isinstance(message, str):
                    yield message, f"{path.relative_to(ROOT)}:{_line}"
    for path in sorted(package.rglob("*.html")):
        source = BytesIO(path.read_bytes())
        for found in extract("jinja2.ext:babel_extract", source, keywords={"_": None}, options={}):
            if isinstance(found[1], str):
                yield found[1], f"{path.relative_to(ROOT)}:{found[0]}"


def _translated(package: Path) -> dict[str, dict[str, str]]:
    """The texts of a package's catalogs, by the file they stand in."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((package / "translations/zh_CN").glob("*.po")):
        with path.open("rb") as file:
            found[path.name] = {str(m.id): str(m.string) for m in read_po(file, "zh_CN") if m.id}
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_every_text_has_its_chinese(package: str):
    core = {text for texts in _translated(PACKAGES["lanmu"]).values() for text, zh in texts.items() if zh}
    own = {text for texts in _translated(PACKAGES[package]).values() for text, zh in texts.items() if zh}
    missing = {text: place for text, place in _texts(PACKAGES[package]) if text not in own | core}
    assert not missing, "\n".join(f"{place}: {text!r}" for text, place in missing.items())


@pytest.mark.parametrize("package", PACKAGES)
def test_no_translation_is_left_over(package: str):
    used = {text for text, _place in _texts(PACKAGES[package])}
    left = [
        f"{name}: {text!r}"
        for name, texts in _translated(PACKAGES[package]).items()
        for text in texts
        if text not in used
    ]
    assert not left, "\n".join(left)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_translation_keeps_the_slots_of_its_text(package: str):
    slot = re.compile(r"%\(\w+\)[sd]")
    for name, texts in _translated(PACKAGES[package]).items():
        for text, chinese in texts.items():
            assert sorted(slot.findall(text)) == sorted(slot.findall(chinese)), f"{name}: {text!r}"


def test_a_text_has_one_chinese_in_all_catalogs():
    seen: dict[str, tuple[str, str]] = {}
    for package, folder in PACKAGES.items():
        for name, texts in _translated(folder).items():
            for text, chinese in texts.items():
                where = f"{package}/{name}"
                if text in seen and package in ("lanmu", seen[text][0].partition("/")[0]):
                    assert seen[text][1] == chinese, f"{text!r}: {seen[text]} and {(where, chinese)}"
                seen.setdefault(text, (where, chinese))
