"""What may stand in a message: limits in bytes of UTF-8, links, and the refusals that tell the numbers."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from lanmu.i18n import _
from lanmu.interfaces.channels import Message, Refusal

LINK = "link"
LINK_TITLE = "link_title"
LINK_TEXT = "link_text"
LINK_PICTURE = "link_picture"
FORMAT = "format"
PICTURES = "pictures"
MENTION = "mention"
ALLOW_SELECT = "allow_select"

URL_BYTES = 2048
TITLE_BYTES = 128
DESCRIPTION_BYTES = 512


class Unfit(Exception):
    """A message that cannot go as it is; carries the refusal that is told."""

    def __init__(self, reason: str, way_out: str = "", *, config: bool = False, **params: object) -> None:
        super().__init__(reason)
        self.refusal = Refusal(reason, way_out, params, config)


def within(text: str, limit: int, reason: str) -> str:
    """The text, if its UTF-8 has at most `limit` bytes. `reason` may use %(bytes)d and %(limit)d."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Unfit(
            _("The text holds half a character (a lone surrogate), which cannot be sent."),
            _("Delete the broken character near the place where an emoji was cut and type it again."),
        ) from None
    if size > limit:
        raise Unfit(
            reason,
            _("Shorten it. A Chinese character takes 3 bytes, most emoji 4 or more."),
            bytes=size,
            limit=limit,
        )
    return text


def check_url(url: str, name: str) -> str:
    """An http(s) address of at most 2048 bytes."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise Unfit(
            _("%(name)s is not a web address: %(value)s"),
            _("Write the whole address, with https:// before it."),
            name=name,
            value=url[:80],
        )
    return within(url, URL_BYTES, _("A web address has %(bytes)d bytes; %(limit)d are allowed."))


def link_of(message: Message) -> str:
    """The message's link, checked; empty where it has none."""
    url = message.options.get(LINK, "").strip()
    return check_url(url, LINK) if url else ""


def card_of(message: Message, link: str, description: str) -> dict[str, str]:
    """Title, description, address and picture of a link card, each within its limit."""
    title = message.options.get(LINK_TITLE, "").strip() or message.title.strip()
    if not title:
        raise Unfit(
            _("A link card needs a title."),
            _("Give the material a title, or set the option link_title."),
        )
    card = {
        "title": within(
            title, TITLE_BYTES, _("The card's title has %(bytes)d bytes; %(limit)d are allowed.")
        ),
        "description": within(
            description,
            DESCRIPTION_BYTES,
            _("The card's description has %(bytes)d bytes; %(limit)d are allowed."),
        ),
        "url": link,
    }
    picture = message.options.get(LINK_PICTURE, "").strip()
    if picture:
        card["picurl"] = check_url(picture, LINK_PICTURE)
    return card


def flag(options: Mapping[str, str], name: str) -> bool:
    """An option that is on or off; absent means off."""
    return options.get(name, "").strip().lower() in ("1", "true", "yes", "on")


def with_link(text: str, link: str) -> str:
    """The text with the link on a line of its own at the end, unless it stands in the text already."""
    if not link or link in text:
        return text
    return f"{text}\n{link}" if text else link
