"""The phrase library of the rule-based writer, read once from the package's own data."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class CallToAction:
    """A family of closings. `needs` names what the material must hold for it: link, time or offer."""

    code: str
    strength: int
    stages: frozenset[str]
    needs: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Swap:
    """One word for another, with the surroundings that forbid it."""

    old: str
    new: str
    pattern: re.Pattern[str]

    def apply(self, text: str) -> str:
        return self.pattern.sub(self.new, text)


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """Everything the rules can say."""

    themes: dict[str, tuple[str, ...]]
    hooks: dict[str, dict[str, tuple[str, ...]]]
    ctas: tuple[CallToAction, ...]
    stiff: re.Pattern[str]
    openings: dict[str, dict[str, tuple[str, ...]]]
    drop: tuple[re.Pattern[str], ...]
    squeeze: tuple[tuple[re.Pattern[str], str], ...]
    aside: re.Pattern[str]
    tones: dict[str, tuple[Swap, ...]]
    particles: re.Pattern[str]
    swaps: tuple[Swap, ...]
    density: dict[str, float]
    most: dict[str, int]
    scenes: tuple[tuple[re.Pattern[str], str], ...]
    fallback: dict[str, tuple[str, ...]]
    joints: dict[str, tuple[str, ...]]

    def theme(self, text: str) -> str:
        """The trade that a text most likely speaks of, or "any"."""
        score = {name: sum(text.count(word) for word in words) for name, words in self.themes.items()}
        best = max(score, key=lambda name: score[name])
        return best if score[best] else "any"


@cache
def phrasebook() -> Phrasebook:
    """The library that ships with the plugin."""
    hooks, ctas = _read("hooks"), _read("ctas")
    openings, fillers, tones, emoji = (_read(n) for n in ("openings", "fillers", "tones", "emoji"))
    themes = hooks.pop("themes")
    return Phrasebook(
        themes={name: tuple(words.split()) for name, words in themes.items()},
        hooks={theme: _tuples(families) for theme, families in hooks.items()},
        ctas=tuple(
            CallToAction(
                item["code"],
                item["strength"],
                frozenset(item.get("stages", ())),
                item.get("needs", ""),
                tuple(item["texts"]),
            )
            for item in ctas["family"]
        ),
        # A name group may stand in several alternatives of one expression, but only once by its name.
        stiff=re.compile(
            "|".join(
                f"(?:{p})".replace("?P<who>", f"?P<who{n}>") for n, p in enumerate(openings.pop("stiff"))
            )
        ),
        openings={tone: _tuples(kinds) for tone, kinds in openings.items()},
        drop=tuple(re.compile(p) for p in fillers["drop"]),
        squeeze=tuple((re.compile(p), new) for p, new in fillers["squeeze"]),
        aside=re.compile(fillers["aside"]),
        tones={
            "warm": _swaps(tones["casual"]),
            "formal": _swaps(tones["formal"]),
            "lively": _swaps(tones["lively"]),
        },
        particles=re.compile(tones["particles"]["formal_strip"]),
        swaps=_swaps(tones["swaps"]),
        density=emoji["density"],
        most=emoji["max"],
        scenes=tuple((re.compile(p), picture) for p, picture in emoji["scenes"].items()),
        fallback=_tuples(emoji["fallback"]),
        joints=_tuples(_read("joints")),
    )


def _read(name: str) -> dict[str, Any]:
    path = resources.files("lanmu_llm_copy") / "phrases" / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _tuples(table: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(values) for key, values in table.items()}


def _swaps(table: Any) -> tuple[Swap, ...]:
    guards = table.get("guard", {})
    made = []
    for old, new in table["pairs"]:
        before, after = guards.get(old, ["", ""])
        # A look-behind has a fixed width: one for each forbidden beginning.
        behind = "".join(f"(?<!{re.escape(word)})" for word in before.split("|") if word)
        ahead = f"(?!{after})" if after else ""
        made.append(Swap(old, new, re.compile(f"{behind}{re.escape(old)}{ahead}")))
    return tuple(made)
