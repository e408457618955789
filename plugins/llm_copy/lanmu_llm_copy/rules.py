"""The writer that needs no model: polishes and varies a text by phrase library and rules."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lanmu.i18n import Filled, _
from lanmu.interfaces.rewriting import Brief, Draft, Proposal
from lanmu_llm_copy import polish
from lanmu_llm_copy.diversity import TOO_ALIKE, similarity
from lanmu_llm_copy.facts import Kind, extract
from lanmu_llm_copy.lock import compare
from lanmu_llm_copy.mask import Masked, mask
from lanmu_llm_copy.phrasebook import CallToAction, Phrasebook, phrasebook
from lanmu_llm_copy.sentences import split, tidy

GENERATOR = "rules@1"
LABEL = _("Written by rules")
MAX_VARIANTS = 6

_STRENGTH = {"new": 1, "active": 2, "converting": 3, "loyal": 3, "sharing": 1}
_SINGLE = re.compile(r"customer|single|app$|friend")
_FAMILIES = {
    "engagement": ("question", "empathy", "scene", "knowledge", "contrast", "instruction", "care"),
    "conversion": ("benefit", "scene", "number", "question", "empathy", "contrast", "care"),
    "brand": ("care", "knowledge", "contrast", "empathy", "scene", "question", "instruction"),
}
_EVENT = re.compile(
    r"直播|开播|开课|开讲|公开课|讲座|沙龙|活动|报名|线下|见面会|集合|分享会|开营|答疑|上课|发布会|体验日|会员日"
)
_LAYOUT = {"instruction": "steps", "number": "lead", "benefit": "lead"}
_CTAS = {
    "engagement": ("reply", "save", "try", "ask", "story", "reserve", "click"),
    "conversion": ("order", "click", "reserve", "ask"),
    "brand": ("story", "thought", "save", "click", "ask"),
}
HOOK_WORDS = {
    "question": _("Opens with a question the reader has an answer to"),
    "empathy": _("Opens by naming what the reader feels"),
    "scene": _("Opens with a moment of the reader's day"),
    "knowledge": _("Opens by promising something useful to know"),
    "contrast": _("Opens with a contrast"),
    "number": _("Puts the sentence with the number first"),
    "benefit": _("Puts what the reader gets first"),
    "instruction": _("Lays the text out as steps"),
    "care": _("Opens with a kind word"),
    "plain": _("Keeps the opening of the source"),
}
CTA_WORDS = {
    "reply": _("asks for a reply"),
    "thought": _("asks what the reader thinks"),
    "save": _("asks to keep it for later"),
    "try": _("asks to try one thing"),
    "ask": _("offers to answer questions"),
    "click": _("points to the link"),
    "reserve": _("asks to be signed up"),
    "order": _("asks to order, without pressure"),
    "story": _("asks for the reader's own story"),
    "kept": _("keeps the call to action of the source"),
    "none": _("asks for nothing"),
}


@dataclass(frozen=True, slots=True)
class _Material:
    """A brief's text, masked and cleaned of what every rewrite drops, cut into sentences."""

    brief: Brief
    masked: Masked
    who: str
    had_opening: bool
    header: str
    sentences: tuple[str, ...]
    has_call: bool
    topic: str
    theme: str
    kinds: frozenset[Kind]
    shelf: str
    single: bool
    names: tuple[str, ...]


class RuleWriter:
    """Writes by rules. Facts of the source are carried word for word, and nothing is promised on top."""

    def __init__(self, book: Phrasebook | None = None) -> None:
        self._book = book or phrasebook()

    def propose(self, brief: Brief) -> Draft:
        """Polished text, or `brief.count` variants. Pure: the same brief gives the same draft."""
        material = self._prepare(brief)
        if brief.job == "polish":
            return Draft(GENERATOR, by_model=False, proposals=(self._polished(material),))
        wanted = max(1, min(brief.count, MAX_VARIANTS))
        proposals: list[Proposal] = []
        for variant in self._variants(material):
            alike = any(similarity(variant.text, other.text) > 0.85 for other in proposals)
            if not alike:
                proposals.append(variant)
            if len(proposals) == wanted:
                break
        proposals = [
            Proposal("ABCDEF"[n], p.angle, p.text, p.rationale, p.facts, p.usable, p.problems, p.findings)
            for n, p in enumerate(proposals)
        ]
        return Draft(
            GENERATOR,
            by_model=False,
            proposals=tuple(proposals),
            notices=tuple(notices_on_likeness(proposals)),
        )

    def _prepare(self, brief: Brief) -> _Material:
        names = names_of(brief)
        masked = mask(brief.text, names)
        text = polish.drop_fillers(masked.text, self._book)
        who, text, had_opening = polish.take_opening(text, self._book)
        header, text = ("", text) if had_opening else polish.header_of(text)
        sentences, has_call = polish.one_call(split(text))
        facts = extract(brief.text, names)
        kinds = frozenset(fact.kind for fact in facts)
        sells = brief.content_class == "conversion"
        offer = (sells and Kind.BENEFIT in kinds) or any(
            (sells and fact.kind is Kind.NUMBER and re.search(r"元|折", fact.key))
            or (fact.kind is Kind.RULE and re.match(r"每?满|买|第\d+件|前\d|限", fact.key))
            for fact in facts
        )
        timed = bool(kinds & {Kind.TIME, Kind.DATE}) and bool(_EVENT.search(brief.text))
        return _Material(
            brief,
            masked,
            who,
            had_opening,
            header,
            tuple(sentences),
            has_call or polish.asks_already(text),
            _topic(brief),
            self._book.theme(f"{brief.title} {brief.text}"),
            kinds,
            "offer" if offer else "event" if timed else "",
            bool(_SINGLE.search(brief.channel)),
            names,
        )

    def _polished(self, material: _Material) -> Proposal:
        brief = material.brief
        body = "".join(material.sentences)
        if material.had_opening:
            body = f"{self._opening(material, 0)}\n{body}"
        cta, closing = "kept" if material.has_call else "none", ""
        if not material.has_call:
            family = self._cta(material, 0)
            if family is not None:
                cta, closing = family.code, self._text_of(family.texts, material, 0)
        text = _join(material.header, body, closing)
        angle = "polish"
        rationale = Filled(
            _("Fillers out, %(opening)s, %(tone)s; %(cta)s."),
            opening=Filled(_("stiff opening replaced") if material.had_opening else _("opening kept")),
            tone=Filled(_TONES.get(brief.tone, brief.tone)),
            cta=Filled(CTA_WORDS[cta]),
        )
        return self._finish(material, text, "A", angle, rationale, 0)

    def _variants(self, material: _Material) -> Iterator[Proposal]:
        brief = material.brief
        families = [
            family
            for family in _FAMILIES.get(brief.content_class, _FAMILIES["engagement"])
            if self._fits(family, material)
        ]
        start = _draw(brief, "family") % len(families) if brief.seed else 0
        families = families[start:] + families[:start]
        for n in range(len(families) * 3):
            yield self._variant(material, families[n % len(families)], n)

    def _variant(self, material: _Material, family: str, n: int) -> Proposal:
        hook = self._hook(material, family, n)
        layout = _LAYOUT.get(family, "prose")
        body = self._layout(material, layout, n)
        body = self._swap(body, n)
        if material.who:
            hook = f"{self._opening(material, n)}\n{hook}"
        cta, closing = "kept" if material.has_call else "none", ""
        if not material.has_call:
            chosen = self._cta(material, n)
            if chosen is not None:
                cta, closing = chosen.code, self._text_of(chosen.texts, material, n)
        text = _join(material.header, hook, body, closing)
        rationale = Filled(
            _("%(hook)s; %(cta)s."), hook=Filled(HOOK_WORDS[family]), cta=Filled(CTA_WORDS[cta])
        )
        return self._finish(material, text, "", family, rationale, n)

    def _finish(
        self, material: _Material, text: str, key: str, angle: str, rationale: str, n: int
    ) -> Proposal:
        brief = material.brief
        text = polish.paragraphs(polish.set_tone(tidy(text), brief.tone, self._book))
        text = polish.set_emoji(text, brief.tone, self._book, _draw(brief, "emoji", n))
        text = polish.shorten(text, material.masked, brief.byte_limit, self._book)
        text = tidy(material.masked.restore(text))
        return judged(brief, key, angle, text, rationale)

    def _fits(self, family: str, material: _Material) -> bool:
        if family == "number":
            return bool(material.kinds & {Kind.NUMBER, Kind.RULE, Kind.TIME})
        if family == "benefit":
            return material.shelf == "offer"
        if material.shelf and family != "care":
            return bool(self._usable(self._book.hooks[material.shelf].get(family, ()), material))
        if family == "instruction":
            return 3 <= len(material.sentences) <= 8 and "\n" not in "".join(material.sentences).strip()
        return True

    def _hook(self, material: _Material, family: str, n: int) -> str:
        hooks = self._book.hooks
        trade = () if material.shelf else (material.theme, "any")
        for shelf in (material.brief.stage, material.shelf, *trade):
            pool = hooks.get(shelf, {}).get(family, ())
            if self._usable(pool, material):
                return self._text_of(pool, material, n)
        return ""

    def _opening(self, material: _Material, n: int) -> str:
        tone = self._book.openings.get(material.brief.tone, self._book.openings["warm"])
        kind = "named" if material.who else "single" if material.single else "group"
        choice = tone[kind]
        return choice[_draw(material.brief, "open", n) % len(choice)].replace("{who}", material.who)

    def _cta(self, material: _Material, n: int) -> CallToAction | None:
        brief = material.brief
        order = _CTAS.get(brief.content_class, _CTAS["engagement"])
        if material.shelf == "event":
            order = ("reserve", "ask", "click")
        elif not material.shelf and brief.content_class == "conversion":
            order = _CTAS["engagement"]  # nothing is on offer here, so nothing can be ordered
        families = {family.code: family for family in self._book.ctas}
        strength = _STRENGTH.get(brief.stage, 2)
        there = {
            "link": Kind.LINK in material.kinds,
            "time": bool(material.kinds & {Kind.TIME, Kind.DATE}),
            "offer": material.shelf == "offer",
            "lasting": not material.shelf,
            "": True,
        }
        fitting = [
            families[code]
            for code in order
            if families[code].strength <= strength
            and there[families[code].needs]
            and (not families[code].stages or brief.stage in families[code].stages)
            and self._usable(families[code].texts, material)
        ]
        if not fitting:
            return None
        return fitting[(n + max(0, brief.seed)) % len(fitting)]

    def _text_of(self, texts: Sequence[str], material: _Material, n: int) -> str:
        usable = self._usable(texts, material)
        if not usable:
            return ""
        return usable[(_draw(material.brief, texts[0]) + n + n // len(usable)) % len(usable)]

    def _usable(self, texts: Sequence[str], material: _Material) -> list[str]:
        result = []
        for text in texts:
            place, mark, rest = text.partition("|")
            if mark and (place == "单") is not material.single:
                continue
            text = rest if mark else text
            if "{topic}" in text:
                if not material.topic:
                    continue
                text = text.replace("{topic}", material.topic)
            result.append(text)
        return result

    def _layout(self, material: _Material, layout: str, n: int) -> str:
        sentences = list(material.sentences)
        if layout == "lead":
            first = next(
                (k for k, s in enumerate(sentences) if polish.is_fixed(s) and not polish.is_call(s)), 0
            )
            lead = sentences.pop(first).strip()
            rest = "".join(sentences).strip()
            return f"{lead}\n{rest}" if rest else lead
        # A text with lines, lists or quotations of its own has a shape already.
        plain = not re.search(r"[\n“”\"「」]", "".join(sentences).strip())
        if plain and 3 <= len(sentences) <= 8 and (layout == "steps" or n % 3 == 2):
            call = [sentences.pop()] if polish.is_call(sentences[-1]) else []
            rows = [row for sentence in sentences for row in [sentence.strip()] if row]
            joint = self._book.joints["steps" if layout == "steps" else "points"]
            head = [] if layout == "steps" else [joint[_draw(material.brief, "joint", n) % len(joint)]]
            listed = [row if re.match(r"[·•\-▪✅0-9①-⑳]", row) else f"· {row}" for row in rows]
            return "\n".join([*head, *listed, *(c.strip() for c in call)])
        return "".join(sentences)

    def _swap(self, body: str, n: int) -> str:
        """Other words of the same meaning, so that two variants do not read alike; every second pair."""
        if n == 0:
            return body
        parts = re.split(r"(⟦F\d+⟧)", body)
        for index, swap in enumerate(self._book.swaps):
            if (index + n) % 2 == 0:
                parts = [part if part.startswith("⟦") else swap.apply(part) for part in parts]
        return "".join(parts)


_TONES = {"warm": _("warm tone"), "formal": _("formal tone"), "lively": _("lively tone")}


def names_of(brief: Brief) -> tuple[str, ...]:
    """The handed-in facts that are names: those in which nothing typed is found."""
    return tuple(fact for fact in brief.facts if fact.strip() and not extract(fact))


def judged(brief: Brief, key: str, angle: str, text: str, rationale: str) -> Proposal:
    """A proposal with its fact table, after the lock and the channel's length have spoken."""
    result = compare(brief.text, text, names=names_of(brief), allowed=(*brief.facts, brief.title))
    problems = list(result.problems)
    size = len(text.encode())
    if size > brief.byte_limit:
        problems.append(
            Filled(
                _("%(size)d bytes, and the channel takes %(limit)d: every sentence left holds a fact."),
                size=size,
                limit=brief.byte_limit,
            )
        )
    usable = result.usable and size <= brief.byte_limit and bool(text.strip())
    return Proposal(key, angle, text, rationale, result.lines, usable, tuple(problems))


def notices_on_likeness(proposals: Sequence[Proposal]) -> Iterator[str]:
    """Pairs of variants too alike for a test to teach anything."""
    for n, one in enumerate(proposals):
        for other in proposals[n + 1 :]:
            share = similarity(one.text, other.text)
            if share > TOO_ALIKE:
                yield Filled(
                    _("%(one)s and %(other)s share %(share)d%% of their wording: too alike to test."),
                    one=one.key,
                    other=other.key,
                    share=round(share * 100),
                )


def _join(*parts: str) -> str:
    """The parts on lines of their own, with blank lines between them where the text itself has some."""
    gap = "\n\n" if any("\n\n" in part for part in parts) else "\n"
    return gap.join(part.strip() for part in parts if part.strip())


def _draw(brief: Brief, *what: object) -> int:
    """A number that the brief, its seed and the place decide: no randomness, so the same text comes again."""
    told = repr((brief.text, brief.title, brief.seed, *what)).encode()
    return int.from_bytes(hashlib.blake2b(told, digest_size=4).digest())


def _topic(brief: Brief) -> str:
    """A short topic from the title: 202503 促活-育儿干货-图文 gives 育儿干货."""
    title = brief.title.strip()
    parts = [part.strip() for part in re.split(r"[-－—_|｜·]", title) if part.strip()]
    topic = parts[1] if len(parts) >= 3 and re.match(r"\d{6}", title) else title
    if not 2 <= len(topic) <= 12 or extract(topic) or re.search(r"[。！？!?，,\d]", topic):
        return ""
    return topic
