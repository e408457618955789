"""docs/config.md names every key of every schema with its default, and its examples load."""

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema, fields, missing

from lanmu import config, plugins

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def _tables() -> dict[str, Schema]:
    """Every table of config.toml that ships, with the schema that checks it."""
    found = {
        name: field.schema
        for name, field in config._ConfigSchema().fields.items()
        if isinstance(field, fields.Nested) and isinstance(field.schema, Schema)
    }
    for point in metadata.entry_points(group=plugins.GROUP):
        if point.dist is not None and point.dist.name == "lanmu":
            found[f"plugins.{point.name}"] = point.load().settings_schema()
    return found


def _described() -> dict[str, dict[str, str]]:
    """The keys that the page describes, with what it says is their default, by table."""
    found: dict[str, dict[str, str]] = {}
    table = ""
    for line in PAGE.splitlines():
        if heading := re.match(r"#+ \[([\w.]+)\]$", line):
            table = heading[1]
            found[table] = {}
        elif row := re.match(r"\| `(\w+)` \| (.+?) \|", line):
            found[table][row[1]] = row[2]
    return found


TABLES = _tables()
DESCRIBED = _described()


def test_the_page_describes_the_tables_that_there_are() -> None:
    assert DESCRIBED.keys() == TABLES.keys()


@pytest.mark.parametrize("table", TABLES)
def test_every_key_is_described_and_no_other(table: str) -> None:
    assert DESCRIBED[table].keys() == TABLES[table].fields.keys()


def _said_defaults() -> Iterator[tuple[str, str, str]]:
    for table, keys in DESCRIBED.items():
        for key, said in keys.items():
            if said.startswith("`"):
                yield table, key, said.strip("`")


@pytest.mark.parametrize(("table", "key", "said"), list(_said_defaults()))
def test_the_default_is_the_one_in_force(table: str, key: str, said: str) -> None:
    loaded: Any = TABLES[table].load({})
    default = loaded[key] if isinstance(loaded, dict) else getattr(loaded, key)
    value = tomllib.loads(f"value = {said}")["value"]
    if isinstance(default, tuple):
        default = list(default)
    reveal = getattr(default, "reveal", lambda: default)
    assert (str(reveal()) if table.endswith("export") and key == "zone" else reveal()) == value


def test_a_key_without_a_default_in_its_row_has_none() -> None:
    for table, keys in DESCRIBED.items():
        for key, said in keys.items():
            if not said.startswith("`"):
                assert TABLES[table].fields[key].load_default in (None, missing), f"{table}.{key}"


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_loads(example: str) -> None:
    names = re.findall(r"\$\{(\w+)\}", example)
    stand_ins = {name: "sqlite:///x.db" if "DATABASE" in name else "x" * 40 for name in names}
    loaded = config.parse(tomllib.loads(example), None, stand_ins)
    assert plugins.settings_in_need(loaded) == []


def test_the_shipped_file_loads_and_every_line_in_it_that_is_commented_out_does_too() -> None:
    shipped = (ROOT / "config.toml").read_text(encoding="utf-8")
    whole = re.sub(r'^# (?=\[[\w.]+\]|[\w"]\S* = )', "", shipped, flags=re.MULTILINE)
    assert whole.count("\n# ") < 5, "the introduction alone is left"
    names = re.findall(r"\$\{(\w+)\}", whole)
    stand_ins = {name: "sqlite:///x.db" if "DATABASE" in name else "x" * 40 for name in names}
    for text in (shipped, whole):
        loaded = config.parse(tomllib.loads(text), None, stand_ins)
        assert plugins.settings_in_need(loaded) == []
