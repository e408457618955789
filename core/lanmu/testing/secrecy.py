"""Finding the secrets that an object holds, so that a test can look for them where they must not be."""

from collections.abc import Iterator, Mapping

from lanmu.interfaces.secrets import Secret

_DEEP = 8


def secrets_in(thing: object) -> list[Secret]:
    """Every Secret that is reachable from an object by its attributes and containers."""
    return list(_walk(thing, set(), 0))


def _walk(thing: object, seen: set[int], depth: int) -> Iterator[Secret]:
    if isinstance(thing, Secret):
        if thing:
            yield thing
        return
    if depth > _DEEP or id(thing) in seen or isinstance(thing, (str, bytes, int, float, type)):
        return
    seen.add(id(thing))
    for part in _parts(thing):
        yield from _walk(part, seen, depth + 1)


def _parts(thing: object) -> list[object]:
    if isinstance(thing, Mapping):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, (list, tuple, set, frozenset)):
        return list(thing)
    if type(thing).__module__.startswith("sqlalchemy"):  # an engine is a maze, and holds no Secret
        return []
    slots = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
    return [*getattr(thing, "__dict__", {}).values(), *(_slot(thing, name) for name in slots)]


def _slot(thing: object, name: str) -> object:
    try:
        return object.__getattribute__(thing, name)  # past any __getattr__, which may do work
    except AttributeError:
        return None
