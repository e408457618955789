"""What makes up a material's file: front matter with the line of each key, text, and image lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import yaml

Loader = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # the C one is ten times as fast; both build plain values

FRONT = re.compile(r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
IMAGE = re.compile(r"\s*!\[([^\]\n]*)\]\(([^)\s]+)\)\s*")


@dataclass(frozen=True, slots=True)
class Image:
    """An image line: the path as it stands in the file, its caption and its line (0 where it is new)."""

    path: str
    caption: str
    line: int = 0


def load(front: str) -> tuple[Any, dict[str, Any]]:
    loader = Loader(front)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            return None, {}
        _refuse_aliases(root)
        return root, loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_aliases(root: yaml.Node) -> None:
    """A few lines of aliases can stand for more values than memory holds."""
    seen: set[int] = set()
    waiting: list[yaml.Node] = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=node.start_mark)
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                waiting += (key, value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def keys(root: yaml.MappingNode) -> Iterator[tuple[str, int]]:
    """Every key with its line in the file; those below `licence` as `licence.until`."""
    for key, value in root.value:
        yield str(key.value), key.start_mark.line + 2
        if isinstance(value, yaml.MappingNode):
            for inner, _value in value.value:
                yield f"{key.value}.{inner.value}", inner.start_mark.line + 2


def split(body: str, first: int) -> tuple[str, list[int], list[Image]]:
    """The text without its image lines, the file's line of each of its lines, and the images."""
    kept: list[tuple[int, str]] = []
    images: list[Image] = []
    for number, line in enumerate(body.split("\n"), first):
        match = IMAGE.fullmatch(line)
        if match is None:
            kept.append((number, line))
        else:
            images.append(Image(unquote(match[2]), match[1], number))
    while kept and not kept[0][1].strip():
        del kept[0]
    return "\n".join(line for _number, line in kept), [number for number, _line in kept] or [first], images


def image_paths(raw: bytes) -> list[str]:
    """The paths that a file's image lines name, without reading the rest of it."""
    found = []
    for line in raw.decode("utf-8", "replace").splitlines():
        match = IMAGE.fullmatch(line)
        if match is not None:
            found.append(unquote(match[2]))
    return found
