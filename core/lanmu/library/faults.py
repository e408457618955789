"""What is wrong with a material's content: every fault at once, each with its field."""

import re
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid, LanmuError
from lanmu.library.content import Content, Licence, end_of_day
from lanmu.library.placeholders import check_body
from lanmu.library.presets import Term
from lanmu.library.taxonomy import Taxonomy

TITLE_MOST = 200
TOPIC_MOST = 60
BODY_MOST = 10_000
TAGS_MOST = 20
TAG_MOST = 40
ATTACHMENTS_MOST = 9
"""As many as WeCom and WeChat take with one message."""

_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_MONTH = re.compile(r"\d{4}(0[1-9]|1[0-2])")
_WITH_IMAGES = frozenset({"image", "image_text", "poster"})
_SHOWS_USERS = frozenset({"praise_screenshot", "feedback_video"})


def faults_to_save(content: Content, taxonomy: Taxonomy) -> list[LanmuError]:
    """Why this cannot be stored at all, every reason; the content is `tidy`."""
    return [*_word_faults(content), *_term_faults(content, taxonomy), *check_body(content.body)]


def faults_to_approve(content: Content, now: datetime | None, zone: ZoneInfo) -> list[LanmuError]:
    """What a material of its origin, zone and kind still lacks before it may be approved, every reason.

    With `now` given, what has already run out is a fault too.
    """
    return list(_approval_faults(content, now, zone))


def _word_faults(content: Content) -> Iterator[LanmuError]:
    for name, most in (("title", TITLE_MOST), ("topic", TOPIC_MOST), ("owner", TOPIC_MOST)):
        text = getattr(content, name)
        if not text:
            yield Invalid(name, _("it is empty."), _("Fill it in."))
        elif len(text) > most:
            yield _too_long(name, len(text), most)
    if not content.body and not content.attachments:
        yield Invalid("body", _("there is neither text nor a file."), _("Write a text or add an image."))
    if len(content.body) > BODY_MOST:
        yield _too_long("body", len(content.body), BODY_MOST)
    for name in ("title", "topic", "owner", "body", "consent"):
        found = _UNWRITABLE.search(getattr(content, name))
        if found is not None:
            yield Invalid(
                name,
                _("character %(at)d is an invisible control character."),
                _("Delete it; text copied from other programs sometimes brings them along."),
                at=found.start() + 1,
            )
    if not _MONTH.fullmatch(content.month):
        yield Invalid(
            "month",
            _("“%(value)s” is not a month."),
            _("Write it as YYYYMM, such as 202503."),
            value=content.month,
        )
    if len(content.tags) > TAGS_MOST:
        yield Invalid(
            "tags",
            _("there are %(count)d of them; at most %(most)d are allowed."),
            _("Delete some."),
            count=len(content.tags),
            most=TAGS_MOST,
        )
    for tag in content.tags:
        if len(tag) > TAG_MOST or _UNWRITABLE.search(tag) or "," in tag or "，" in tag:
            yield Invalid(
                "tags",
                _("“%(tag)s” cannot be a tag."),
                _("A tag has up to %(most)d characters and no comma."),
                tag=tag[:60],
                most=TAG_MOST,
            )
    if len(content.attachments) > ATTACHMENTS_MOST:
        yield Invalid(
            "attachments",
            _("there are %(count)d of them; at most %(most)d are allowed."),
            _("Delete some."),
            count=len(content.attachments),
            most=ATTACHMENTS_MOST,
        )
    starts, ends = content.valid_from, content.valid_until
    if starts is not None and ends is not None and starts >= ends:
        yield Invalid("valid_until", _("it is not after valid_from."), _("Correct one of the two."))


def _term_faults(content: Content, taxonomy: Taxonomy) -> Iterator[LanmuError]:
    yield from _unknown("content_class", content.content_class, taxonomy.classes)
    yield from _unknown("kind", content.kind, taxonomy.kinds_of(content.content_class) or taxonomy.kinds)
    yield from _unknown("zone", content.zone, taxonomy.zones)
    yield from _unknown("genre", content.genre, taxonomy.genres_of(content.zone) or taxonomy.genres)
    yield from _unknown("form", content.form, taxonomy.forms)
    yield from _unknown("origin", content.origin, taxonomy.origins)


def _unknown(place: str, value: str, terms: tuple[Term, ...]) -> Iterator[LanmuError]:
    if value not in {term.code for term in terms}:
        yield Invalid(
            place,
            _("“%(value)s” is not known here."),
            _("Use one of: %(known)s."),
            value=value[:60],
            known=", ".join(f"{term.code} ({term.title_zh})" for term in terms),
        )


def _approval_faults(content: Content, now: datetime | None, zone: ZoneInfo) -> Iterator[LanmuError]:
    licence = content.licence
    if content.origin == "reprint":
        given = licence or Licence("", "")
        if not given.source.strip():
            yield Invalid(
                "licence.source",
                _("a reprint needs the address of its source."),
                _("Fill in where it was published."),
            )
        if not given.licensor.strip():
            yield Invalid(
                "licence.licensor",
                _("a reprint needs somebody who allowed it."),
                _("Fill in who gave leave, and how."),
            )
        if given.until is None:
            yield Invalid(
                "licence.until",
                _("a reprint needs the last day of its licence."),
                _("Fill in the day until which it may be used."),
            )
    if licence is not None and licence.until and now is not None and end_of_day(licence.until, zone) <= now:
        yield Invalid(
            "licence.until",
            _("the licence ran out on %(day)s."),
            _("Renew it, or retire the material."),
            day=licence.until.isoformat(),
        )
    if (content.origin == "ugc" or content.genre in _SHOWS_USERS) and not content.consent:
        yield Invalid(
            "consent",
            _("what users gave needs their consent."),
            _("Fill in who agreed, when, how, and to what."),
        )
    if (content.zone == "activity" or content.kind == "limited_offer") and content.valid_until is None:
        yield Invalid(
            "valid_until",
            _("activities and limited offers need a last day."),
            _("Fill it in, so that an offer that is over cannot go out."),
        )
    if content.valid_until is not None and now is not None and content.valid_until <= now:
        yield Invalid("valid_until", _("it has passed already."), _("Move it, or retire the material."))
    if content.form in _WITH_IMAGES and not content.attachments:
        yield Invalid(
            "attachments", _("material of this form needs an image."), _("Add one, or change the form.")
        )


def _too_long(place: str, length: int, most: int) -> Invalid:
    return Invalid(
        place,
        _("it has %(length)d characters; at most %(most)d are allowed."),
        _("Shorten it."),
        length=length,
        most=most,
    )
