"""Writes docs/hooks.md from the hooks' signatures and docstrings; `--check` tells whether it is current."""

import argparse
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pluggy

from lanmu import hookspecs

PAGE = Path(__file__).parents[1] / "docs" / "hooks.md"
_INTRO = """# Hooks

What a plugin may offer, be told, or be asked. This page is written from `core/lanmu/hookspecs.py` by
`tools/hook_pages.py`; change it there. How to write a plugin: [writing-a-plugin.md](writing-a-plugin.md).

A hook is a method of the plugin's class, marked with `lanmu.hookimpl`. There are three kinds:

- **offer**: called once at start; the answer is an iterable of objects.
- **tell**: called after the commit; the answer is thrown away. Never write `yield` in one: it would not run.
- **ask**: any answer holds the message, and raising counts as an answer.

Each plugin is called alone: one that raises takes nobody else's answer with it. A hook may name fewer
arguments than stand here. An argument with a default is never passed.
"""


def hooks() -> dict[str, pluggy.HookCaller]:
    """Every hook by name, as pluggy knows it."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    callers = {name: getattr(manager.hook, name) for name in dir(manager.hook) if not name.startswith("_")}
    return dict(sorted(callers.items(), key=lambda pair: _line(pair[1])))


def page() -> str:
    """The whole page."""
    found = hooks()
    rows = "\n".join(
        f"| [`{name}`](#{name}) | {_verb(hook)} | {_first(hook)} |" for name, hook in found.items()
    )
    table = f"| hook | verb | what for |\n|---|---|---|\n{rows}\n"
    return "\n".join([_INTRO, table, *(_section(name, hook) for name, hook in found.items())])


def _section(name: str, hook: pluggy.HookCaller) -> str:
    return f"## {name}\n\n```python\n{_signature(name, hook)}\n```\n\n{_doc(hook)}\n"


def _signature(name: str, hook: pluggy.HookCaller) -> str:
    shown = inspect.signature(_function(hook))
    parts = [f"{p.name}: {_annotation(p.annotation)}" for p in shown.parameters.values()]
    return f"def {name}({', '.join(['self', *parts])}) -> {_annotation(shown.return_annotation)}"


def _annotation(annotation: object) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text)


def _doc(hook: pluggy.HookCaller) -> str:
    return inspect.getdoc(_function(hook)) or ""


def _first(hook: pluggy.HookCaller) -> str:
    return _doc(hook).partition("\n\n")[0].replace("\n", " ")


def _verb(hook: pluggy.HookCaller) -> str:
    found = re.search(r"Verb: (offer|tell|ask)\.", _doc(hook))
    if found is None:
        raise SystemExit(f"{hook.name}: its docstring names no verb (offer, tell or ask)")
    return found[1]


def _line(hook: pluggy.HookCaller) -> int:
    return inspect.getsourcelines(_function(hook))[1]


def _function(hook: pluggy.HookCaller) -> Callable[..., object]:
    function: Callable[..., object] = getattr(hookspecs, hook.name)
    return function


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when the page is stale")
    if parser.parse_args().check:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
            return 0
        print(f"{PAGE.name} is stale: run python tools/hook_pages.py", file=sys.stderr)
        return 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
