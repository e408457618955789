"""Layer A of the fact lock: facts leave the text as ⟦F1⟧…⟦Fn⟧ before a rewrite, and come back after."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lanmu_llm_copy.facts import Kind, extract
from lanmu_llm_copy.glyphs import clean

# Words in running prose: masking them would leave sentences nobody can write around. Layer B watches them.
_STAY = frozenset({Kind.BENEFIT, Kind.CONDITION, Kind.URGENCY, Kind.DAY})
_TOKEN = re.compile(r"⟦\s*[Ff]\s*(\d{1,3})\s*⟧")
_NAMES = {
    Kind.PLACEHOLDER: "占位符（系统填写）", Kind.LINK: "链接", Kind.CODE: "口令或编号", Kind.MENTION: "@某人",
    Kind.PHONE: "电话", Kind.NAME: "名称", Kind.DATE: "日期", Kind.TIME: "时间", Kind.RULE: "优惠或限制规则",
    Kind.NUMBER: "数量或价格",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Masked:
    """A text with tokens in place of its facts; `facts` maps a token's id to what it stands for."""

    text: str
    facts: dict[str, str]
    kinds: dict[str, str]

    def restore(self, text: str) -> str:
        """The text with its facts back in place. Unknown tokens stay, so that the lock sees them."""
        return _TOKEN.sub(lambda m: self.facts.get(f"F{int(m[1])}", m[0]), text)

    def gone(self, text: str) -> list[str]:
        """The ids that should be in a rewritten text and are not."""
        there = self.ids_in(text)
        return [token for token in self.facts if token not in there]

    def unknown(self, text: str) -> list[str]:
        """The ids that a rewritten text uses and that stand for nothing."""
        return sorted(self.ids_in(text) - set(self.facts))

    @staticmethod
    def ids_in(text: str) -> set[str]:
        return {f"F{int(number)}" for number in _TOKEN.findall(text)}


def mask(text: str, names: Iterable[str] = ()) -> Masked:
    """Replace every locked surface by its token; equal surfaces share one."""
    text = clean(text)
    by_surface: dict[str, str] = {}
    facts: dict[str, str] = {}
    kinds: dict[str, str] = {}
    pieces: list[str] = []
    done = 0
    for fact in extract(text, names):
        if fact.kind in _STAY or fact.start < done or not fact.surface:
            continue
        token = by_surface.get(fact.surface)
        if token is None:
            token = by_surface[fact.surface] = f"F{len(by_surface) + 1}"
            facts[token] = fact.surface
            kinds[token] = _NAMES[fact.kind]
        pieces += [text[done : fact.start], f"⟦{token}⟧"]
        done = fact.end
    pieces.append(text[done:])
    return Masked("".join(pieces), facts, kinds)
