"""The taxonomy as this shop has it: presets are written into tables once, and what is there counts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.errors import NotFound
from lanmu.library.models import ContentClass, TaxonomyTerm
from lanmu.library.presets import FORMS, GENRES, LIFECYCLE, ORIGINS, PRESETS, ZONES, Axis, Term
from lanmu.storage.once import insert_new

Row = dict[str, object]

_COMMON: tuple[tuple[Axis, Sequence[Term]], ...] = (
    ("zone", ZONES),
    ("genre", GENRES),
    ("form", FORMS),
    ("origin", ORIGINS),
)


@dataclass(frozen=True, slots=True)
class Words:
    """Rows that are to be written: classes, and terms of the axes."""

    classes: list[Row] = field(default_factory=list)
    terms: list[Row] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.classes or self.terms)


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Every word a material may be sorted by, each axis in the order in which it is shown."""

    classes: tuple[Term, ...]
    kinds: tuple[Term, ...]
    zones: tuple[Term, ...]
    genres: tuple[Term, ...]
    forms: tuple[Term, ...]
    origins: tuple[Term, ...]

    @property
    def shares(self) -> dict[str, int]:
        """The default share of each class in the mix, in per cent."""
        return {term.code: term.share for term in self.classes}

    def kinds_of(self, content_class: str) -> tuple[Term, ...]:
        return tuple(term for term in self.kinds if term.parent == content_class)

    def genres_of(self, zone: str) -> tuple[Term, ...]:
        return tuple(term for term in self.genres if term.parent == zone)

    def titles(self, locale: str = "zh-CN") -> dict[str, str]:
        """Word of every class and form by code, as `naming.generated_name` takes them."""
        return {term.code: term.title(locale) for term in (*self.forms, *self.classes)}


def seed(session: Session, preset: str = LIFECYCLE.name) -> None:
    """Write what is missing of a preset and of the common axes. What is there already is left as it is.

    A shop that has classes keeps them: the preset's are written only where there are none, or where
    `add_preset` asks for them.
    """
    _write(session, missing(session, preset))


def missing(session: Session, preset: str = LIFECYCLE.name) -> Words:
    """What `seed` would write."""
    words = Words()
    if session.scalars(select(ContentClass.code).limit(1)).first() is None:
        words = _of_preset(session, preset)
    for axis, terms in _COMMON:
        words.terms.extend(_terms(session, axis, terms))
    return words


def add_preset(session: Session, name: str) -> None:
    """Add a preset's classes and kinds beside those that are there. Raises NotFound."""
    _write(session, _of_preset(session, name))


def _write(session: Session, words: Words) -> None:
    insert_new(session, ContentClass, words.classes)
    insert_new(session, TaxonomyTerm, words.terms)


def _of_preset(session: Session, name: str) -> Words:
    preset = PRESETS.get(name)
    if preset is None:
        raise NotFound(
            "preset",
            _("there is no preset “%(name)s”."),
            _("Known ones: %(known)s."),
            name=name,
            known=", ".join(PRESETS),
        )
    known = set(session.scalars(select(ContentClass.code)))
    classes = [
        {
            "code": term.code,
            "title_zh": term.title_zh,
            "title_en": term.title_en,
            "share": term.share if not known else 0,  # the shares that are there add up to 100
            "position": len(known) + number,
        }
        for number, term in enumerate(preset.classes)
        if term.code not in known
    ]
    return Words(classes, _terms(session, "kind", preset.kinds))


def load(session: Session) -> Taxonomy:
    """The taxonomy of this shop."""
    classes = tuple(
        Term(row.code, row.title_zh, row.title_en, share=row.share)
        for row in session.scalars(select(ContentClass).order_by(ContentClass.position, ContentClass.code))
    )
    axes: dict[str, list[Term]] = {}
    rows = session.scalars(select(TaxonomyTerm).order_by(TaxonomyTerm.position, TaxonomyTerm.code))
    for row in rows:
        axes.setdefault(row.axis, []).append(Term(row.code, row.title_zh, row.title_en, row.parent))
    return Taxonomy(
        classes=classes,
        kinds=tuple(axes.get("kind", ())),
        zones=tuple(axes.get("zone", ())),
        genres=tuple(axes.get("genre", ())),
        forms=tuple(axes.get("form", ())),
        origins=tuple(axes.get("origin", ())),
    )


def _terms(session: Session, axis: Axis, terms: Sequence[Term]) -> list[Row]:
    known = set(session.scalars(select(TaxonomyTerm.code).where(TaxonomyTerm.axis == axis)))
    return [
        {
            "axis": axis,
            "code": term.code,
            "parent": term.parent,
            "title_zh": term.title_zh,
            "title_en": term.title_en,
            "position": len(known) + number,
        }
        for number, term in enumerate(terms)
        if term.code not in known
    ]
