"""Reading a model's answer: cut to the JSON, checked field by field, faults told in few words."""

import json
import re
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from lanmu_llm_copy.codes import ANGLES
from lanmu_llm_copy.glyphs import clean

MAX_TEXT = 4000
"""Characters of one variant that are looked at."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One text of an answer, still masked."""

    key: str
    angle: str
    text: str
    rationale: str
    risk_notes: tuple[str, ...]


class AnswerUnusable(Exception):
    """The answer is not the JSON that was asked for; the text says where, in at most 300 characters."""


class _VariantSchema(Schema):
    class Meta:
        unknown = EXCLUDE  # a field too many harms nobody

    key = fields.String(required=True, validate=validate.Regexp(r"^[A-F]$"))
    angle = fields.String(required=True, validate=validate.OneOf(ANGLES))
    hook = fields.String(load_default="")
    body = fields.String(load_default="")
    cta = fields.String(load_default="")
    text = fields.String(load_default="", validate=validate.Length(max=MAX_TEXT))
    used_facts = fields.List(fields.String(), load_default=list)
    rationale = fields.String(load_default="")
    risk_notes = fields.List(fields.String(), load_default=list)

    @post_load
    def _build(self, data: dict[str, Any], **_kwargs: Any) -> Variant:
        parts = [part.strip() for part in (data["hook"], data["body"], data["cta"]) if part.strip()]
        text = clean(data["text"]).strip()
        if not text:
            text = clean("\n".join(parts)).strip()
        if not text:
            raise ValidationError("empty", "text")
        return Variant(
            data["key"],
            data["angle"],
            text[:MAX_TEXT],
            clean(data["rationale"])[:120],
            tuple(clean(note)[:120] for note in data["risk_notes"][:5]),
        )


class _AnswerSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    variants = fields.List(
        fields.Nested(_VariantSchema), required=True, validate=validate.Length(min=1, max=6)
    )


_FENCE = re.compile(r"```[a-zA-Z0-9]*\s*\n(.*?)(?:```|$)", re.DOTALL)
_THINK = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|$)", re.DOTALL | re.IGNORECASE)


def bare(content: str) -> str:
    """The answer without byte-order mark, thinking aloud and code fences."""
    content = _THINK.sub("", content.lstrip("\ufeff"))
    # Some servers swallow the opening tag; what stands before a lone closing one was thought, too.
    content = content.rsplit("</think>", 1)[-1]
    fenced = _FENCE.search(content)
    return (fenced[1] if fenced else content).strip()


def read_answer(content: str) -> list[Variant]:
    """The variants of an answer. Raises AnswerUnusable."""
    told = bare(content)
    start, end = told.find("{"), told.rfind("}")
    if start < 0 or end <= start:
        raise AnswerUnusable("no JSON object")
    try:
        document = json.loads(told[start : end + 1])
    except (ValueError, RecursionError) as error:
        raise AnswerUnusable(f"broken JSON: {error}"[:300]) from None
    try:
        loaded = _AnswerSchema().load(document)
    except ValidationError as error:
        raise AnswerUnusable(json.dumps(error.messages, ensure_ascii=False)[:300]) from None
    variants: list[Variant] = []
    for variant in loaded["variants"]:
        if all(variant.key != other.key for other in variants):
            variants.append(variant)
    return variants
