"""Which settings are secrets: what a plugin's schema wraps into Secret, and what looks like one."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lanmu.interfaces.secrets import Secret

Places = Mapping[str, frozenset[str]]
"""Of each plugin whose settings could be read, the places (`plugins.NAME.key`) that hold its secrets."""

FROM_ENVIRONMENT = re.compile(r"^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$")
FROM_FILE = re.compile(r"^\$\{file:(.+)\}$")
_SECRET_KEY = re.compile(r"(secret|password|token|(^|_)key)$")
_SECRET_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@|[?&](key|access_token|secret)=")
TELLING = 8
"""From this many characters on, a text that is found within another one is not there by chance."""
_LETTERS = ("abcdef", "ghijklmnopqrstuvwxyz", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ")
_DEEP = 8


def looks_secret(key: str, value: str) -> bool:
    """Whether a setting's name or look says that it is a secret, whoever reads it."""
    return bool(value and (_SECRET_KEY.search(key) or _SECRET_IN_URL.search(value)))


def stands_elsewhere(value: object) -> bool:
    """Whether a setting as written names the variable or the file that holds its value."""
    return isinstance(value, str) and bool(FROM_ENVIRONMENT.match(value) or FROM_FILE.match(value))


def below(place: str, key: object) -> str:
    """The place of a key in the table at `place`; what stands in a list has the list's own place."""
    return f"{place}.{key}" if place else str(key)


def values(table: object, place: str) -> Iterator[tuple[str, Any]]:
    """Every single value in a table, with its place."""
    if isinstance(table, Mapping):
        for key, value in table.items():
            yield from values(value, below(place, key))
    elif isinstance(table, list):
        for value in table:
            yield from values(value, place)
    else:
        yield place, table


def places(
    table: Mapping[str, Any], place: str, load: Callable[[Mapping[str, Any]], object]
) -> frozenset[str]:
    """Where in a plugin's table the secrets stand that its settings hold, as `load` makes them of the table.

    Most stand there as they are, or as a part. What a schema decoded or put together stands nowhere: it was
    made of those settings that, with another text, do not make it again.
    """

    def made(of: Mapping[str, Any]) -> list[str]:
        return [secret.reveal().strip() for secret in secrets_in(load(of))]

    first = made(table)
    steady = {*first} & {*made(table)} - {""}  # what comes out otherwise each time is made of no setting
    texts = [(where, str(value)) for where, value in values(table, place) if type(value) in (str, int, float)]
    found = {secret: _shows(secret, texts) for secret in steady}
    at = {where for wheres in found.values() for where in wheres}
    hidden = {secret for secret, wheres in found.items() if not wheres}

    def makes_one(where: str, text: str) -> bool:
        for other in _like(text):
            try:
                others = made(_with(table, place, (where, text), other))
            except Exception:  # noqa: BLE001, S112  a schema may refuse it in any way, which proves nothing
                continue
            # With more or fewer it is a switch, such as the address that a plugin has stand-ins for.
            if len(others) == len(first) and not hidden <= {*others}:
                return True
        return False

    if hidden:
        rest = [each for each in values(table, place) if isinstance(each[1], str) and each[0] not in at]
        at |= {where for where, text in rest if makes_one(where, text)}
    return frozenset(at)


def _shows(secret: str, texts: list[tuple[str, str]]) -> set[str]:
    """Where a secret stands, alone or within a text, or else what stands within the secret."""
    alone = {where for where, text in texts if text.strip() == secret}
    if alone and len(secret) < TELLING:
        return alone
    within = {where for where, text in texts if secret in text}
    return within or {where for where, text in texts if len(text) >= TELLING and text in secret}


def _with(table: Any, place: str, at: tuple[str, str], other: str) -> Any:
    """The table with another text in one place."""
    if isinstance(table, Mapping):
        return {key: _with(value, below(place, key), at, other) for key, value in table.items()}
    if isinstance(table, list):
        return [_with(value, place, at, other) for value in table]
    return other if (place, table) == at else table


def _like(text: str) -> Iterator[str]:
    """Texts of the same kind: with a letter or a digit that is another one, here or there."""
    at = [index for index, sign in enumerate(text) if sign.isascii() and sign.isalnum()]
    for index in dict.fromkeys(at[len(at) * part // 5] for part in range(5)) if at else ():
        others = next(kind for kind in ("0123456789", *_LETTERS) if text[index] in kind)
        other = others[(others.index(text[index]) + 1) % len(others)]
        yield text[:index] + other + text[index + 1 :]


def secrets_in(thing: object) -> list[Secret]:
    """Every Secret that is reachable from an object by its attributes and containers."""
    return [secret for _place, secret in named_secrets(thing)]


def named_secrets(thing: object) -> list[tuple[str, Secret]]:
    """Every Secret that is reachable from an object, with the way to it: `robots.ops`, `hooks[0]`."""
    return list(_walk(thing, "", set(), 0))


def _walk(thing: object, way: str, seen: set[int], depth: int) -> Iterator[tuple[str, Secret]]:
    if isinstance(thing, Secret):
        if thing:
            yield way, thing
        return
    if depth > _DEEP or id(thing) in seen or isinstance(thing, (str, bytes, int, float, type)):
        return
    seen.add(id(thing))
    for step, part in _parts(thing):
        inner = f"{way}{step}" if step.startswith("[") else below(way, step)
        yield from _walk(part, inner, seen, depth + 1)


def _parts(thing: object) -> Iterator[tuple[str, object]]:
    if isinstance(thing, Mapping):
        for key, value in thing.items():
            name = "***" if isinstance(key, Secret) else str(key)
            yield name, key
            yield name, value
    elif isinstance(thing, (list, tuple, set, frozenset)):
        yield from ((f"[{number}]", part) for number, part in enumerate(thing))
    elif not type(thing).__module__.startswith("sqlalchemy"):  # an engine is a maze, and holds no Secret
        yield from getattr(thing, "__dict__", {}).items()
        for name in (name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())):
            yield name, _slot(thing, name)


def _slot(thing: object, name: str) -> object:
    try:
        return object.__getattribute__(thing, name)  # past any __getattr__, which may do work
    except AttributeError:
        return None


def is_secret(place: str, value: object, known: Places) -> bool:
    """Whether the setting at a place is a secret.

    Of a plugin that is not `known`, each text is taken for one: nobody can say which are.
    """
    if isinstance(value, str) and looks_secret(place.rpartition(".")[2], value):
        return True
    for plugin, secret in known.items():
        if place == f"plugins.{plugin}" or place.startswith(f"plugins.{plugin}."):
            return place in secret and value not in ("", None)
    return place.startswith("plugins.") and isinstance(value, str) and bool(value)


def without_secrets(settings: str, known: Places) -> tuple[str, tuple[str, ...]]:
    """The text of a config.toml with every secret that stands in it literally made empty, and their places.

    Empty as a whole where that cannot be done: a secret may be written in ways that are not foreseen here.
    """
    every = list(values(tomllib.loads(settings), ""))
    taken = [each for each in every if not stands_elsewhere(each[1]) and is_secret(*each, known)]
    hidden = {where for where, _value in taken}
    rest = _rest(tomllib.loads(settings), "", hidden)

    def sound(text: str) -> bool:
        """Whether a text says the same as the one given but for the secrets."""
        try:
            return _rest(tomllib.loads(text), "", hidden) == rest
        except tomllib.TOMLDecodeError:
            return False

    def left(value: object) -> bool:
        return any(each in taken and each[1] == value for each in values(tomllib.loads(settings), ""))

    for value in sorted({value for _where, value in taken}, key=lambda value: len(str(value)), reverse=True):
        for written, empty in _spellings(value):
            settings = _blanked(settings, written, empty, sound)
        if left(value):
            for written, empty in _spellings(value, quoted=False):
                settings = _blanked(settings, written, empty, sound)
        if left(value):
            return "", tuple(dict.fromkeys(where for where, _value in every))
    return settings, tuple(dict.fromkeys(where for where, _value in taken))


def _spellings(value: object, quoted: bool = True) -> Iterator[tuple[str, str]]:
    """How a value may be written in TOML, and what stands there once it is gone."""
    if not isinstance(value, str):
        yield str(value), '""'
        return
    for text in dict.fromkeys((value, json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1])):
        if not quoted:
            yield text, ""
            continue
        for quote in ('"', "'"):
            yield f"{quote}{text}{quote}", quote * 2


def _blanked(text: str, written: str, empty: str, sound: Callable[[str], bool]) -> str:
    """The text without what is written, wherever that takes nothing else away."""
    start = 0
    while (at := text.find(written, start)) >= 0:
        without = text[:at] + empty + text[at + len(written) :]
        if sound(without):
            text, start = without, at + len(empty)
        else:
            start = at + 1
    return text


def _rest(value: object, place: str, hidden: set[str]) -> object:
    """A document without what stands at the hidden places."""
    if isinstance(value, Mapping):
        return {key: _rest(item, below(place, key), hidden) for key, item in value.items()}
    if isinstance(value, list):
        return [_rest(item, place, hidden) for item in value]
    return None if place in hidden else value
