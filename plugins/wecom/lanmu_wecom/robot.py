"""群机器人: one webhook call to the robot of an internal group (path 99110).

One unit is one call, since a second call could be lost or doubled by itself. What does not go into one
call is refused with the way out; nothing is left out in silence.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from lanmu import BaseChannel
from lanmu.i18n import _
from lanmu.interfaces.channels import (
    Abilities,
    Asset,
    Line,
    Message,
    NotConnected,
    Observation,
    Outcome,
    Rate,
    Refusal,
    Request,
    Target,
    Verdict,
)
from lanmu.interfaces.secrets import Secret
from lanmu_wecom import content
from lanmu_wecom.client import NO_LINE, Client, OpenLine
from lanmu_wecom.content import Unfit
from lanmu_wecom.corp import encode, open_line
from lanmu_wecom.errcodes import refusal

CALL = "webhook/send"
TEXT_BYTES = 2048
MARKDOWN_BYTES = 4096
IMAGE_BYTES = 2_000_000
FORMATS = ("", "text", "markdown", "markdown_v2", "image", "news")


class RobotChannel(BaseChannel):
    """A target is a robot by its name in `[plugins.wecom.robots]`; its key never leaves the settings.

    `leave_out_pictures` is the house's rule for a message whose pictures find no room in the one call:
    refuse it (the default), or send the text alone.
    """

    name = "wecom.robot"
    title = _("WeCom group robot")
    abilities = Abilities(
        text_bytes=TEXT_BYTES,
        asset_max=1,
        asset_bytes=IMAGE_BYTES,
        limits=(Rate(20, timedelta(minutes=1), "target"),),
    )

    def __init__(self, client: Client, robots: Mapping[str, Secret], leave_out_pictures: bool) -> None:
        self._client = client
        self._robots = robots
        self._leave_out_pictures = leave_out_pictures

    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        try:
            robot = self._robot(targets)
            kind, part = self._part(message)
        except Unfit as unfit:
            return unfit.refusal
        return Request(CALL, encode({"msgtype": kind, kind: part}), (robot,), message.sender)

    def _robot(self, targets: Sequence[Target]) -> str:
        if len(targets) != 1:
            raise Unfit(_("A robot's call goes to one group; this one has %(count)d."), count=len(targets))
        name = targets[0].key
        if name not in self._robots:
            raise Unfit(
                _("No robot is named %(name)s."),
                _("Add it with its key under [plugins.wecom.robots] in config.toml."),
                config=True,
                name=name,
            )
        return name

    def _part(self, message: Message) -> tuple[str, dict[str, Any]]:
        wanted = message.options.get(content.FORMAT, "").strip()
        if wanted not in FORMATS:
            raise Unfit(
                _("The format %(name)s is unknown."),
                _("Use text, markdown, markdown_v2, image or news, or none."),
                name=wanted,
            )
        link = content.link_of(message)
        text = message.text
        if wanted == "image" or (not wanted and not text and not link and message.assets):
            return "image", self._image(message)
        picture = message.options.get(content.LINK_PICTURE, "").strip()
        if wanted == "news" or (not wanted and link and picture):
            return "news", self._news(message, link)
        if message.assets and not self._may_leave_out(message):
            raise Unfit(
                _("A robot's call carries a text or a picture, not both."),
                _(
                    "Give the material a link and a picture's web address (options link and "
                    "link_picture) to send it as a news card, put the picture into a material of "
                    "its own, or set pictures = leave_out."
                ),
            )
        text = content.with_link(text, link)
        if not text:
            raise Unfit(_("The message is empty."), _("Give the material a text or a picture."))
        if wanted in ("markdown", "markdown_v2"):
            reason = _("The Markdown has %(bytes)d bytes; a robot takes %(limit)d.")
            return wanted, {"content": content.within(text, MARKDOWN_BYTES, reason)}
        reason = _("The text has %(bytes)d bytes; a robot takes %(limit)d.")
        part: dict[str, Any] = {"content": content.within(text, TEXT_BYTES, reason)}
        mentions = [name.strip() for name in message.options.get(content.MENTION, "").split(",")]
        if any(mentions):
            part["mentioned_list"] = [name for name in mentions if name]
        return "text", part

    def _may_leave_out(self, message: Message) -> bool:
        wish = message.options.get(content.PICTURES, "").strip()
        return wish == "leave_out" or (not wish and self._leave_out_pictures)

    def _news(self, message: Message, link: str) -> dict[str, Any]:
        if not link:
            raise Unfit(_("A news card needs a link."), _("Set the option link."))
        if len(message.assets) > 1 and not self._may_leave_out(message):
            raise Unfit(_("A news card shows one picture; the message has more."))
        return {"articles": [content.card_of(message, link, message.text.strip())]}

    def _image(self, message: Message) -> dict[str, Any]:
        if len(message.assets) != 1:
            raise Unfit(
                _("A robot's call carries one picture; the message has %(count)d."),
                _("Make a material for each picture."),
                count=len(message.assets),
            )
        if message.text:
            raise Unfit(_("A robot's call carries a text or a picture, not both."))
        raw = _read(message.assets[0])
        digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()  # the webhook asks for MD5
        return {"base64": base64.b64encode(raw).decode("ascii"), "md5": digest}

    def connect(self, request: Request) -> Line:
        key = self._robots.get(request.targets[0])
        if key is None:
            raise NotConnected(_("The robot is no longer in the settings."), config=True)
        return open_line(self._client, f"/cgi-bin/{CALL}?key={quote(key.reveal(), safe='')}")

    def transmit(self, request: Request, line: Line | None) -> Observation:
        return self._client.write(line, request.body) if isinstance(line, OpenLine) else NO_LINE

    def classify(self, observation: Observation) -> Verdict:
        read = refusal(observation)
        if isinstance(read, Verdict):
            return read
        if "wrong json format" in str(read.get("errmsg", "")):
            # Reported from the field: errcode 0 with this warning, and nothing in the group.
            reason = _("Accepted with a warning after which nothing may have been shown.")
            return Verdict(Outcome.AMBIGUOUS, reason=reason, code="0")
        return Verdict(Outcome.ACCEPTED, code="0")


def _read(asset: Asset) -> bytes:
    """The picture's bytes, if they are those that were approved and a robot takes them."""
    if asset.media_type not in RobotChannel.abilities.asset_types:
        raise Unfit(
            _("%(name)s is of the kind %(kind)s; a robot shows PNG and JPEG."),
            name=asset.name,
            kind=asset.media_type,
        )
    if asset.size > IMAGE_BYTES:
        raise Unfit(
            _("%(name)s has %(bytes)d bytes; %(limit)d are allowed."),
            _("Make it smaller and put it in again."),
            name=asset.name,
            bytes=asset.size,
            limit=IMAGE_BYTES,
        )
    raw = asset.path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != asset.sha256:
        raise Unfit(_("%(name)s is no longer the file that was approved."), name=asset.name)
    return raw
