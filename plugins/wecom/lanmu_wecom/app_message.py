"""应用消息: a message of the app to members of the corp, never to customers (path 90236).

The one call here that may be repeated: with `enable_duplicate_check` the platform takes an identical
request only once within four hours.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lanmu import BaseChannel
from lanmu.i18n import _
from lanmu.interfaces.channels import (
    Abilities,
    Asset,
    AssetRef,
    Line,
    Message,
    Observation,
    Outcome,
    Rate,
    Ref,
    Refusal,
    Request,
    Target,
    Verdict,
)
from lanmu.interfaces.clock import FarTime
from lanmu_wecom import content, media
from lanmu_wecom.client import NO_LINE, OpenLine
from lanmu_wecom.content import Unfit
from lanmu_wecom.corp import Corp, encode
from lanmu_wecom.errcodes import refusal

CALL = "message/send"
TEXT_BYTES = 2048
DUPLICATE_WINDOW = timedelta(hours=4)
_NOT_TAKEN = _("The member is unknown or cannot see the app.")


class AppChannel(BaseChannel):
    """A target is a member's user id. Text, Markdown, one picture, or a link as a card."""

    name = "wecom.app"
    title = _("WeCom app message to staff")
    abilities = Abilities(
        idempotency=DUPLICATE_WINDOW,
        batch_max=1000,
        text_bytes=TEXT_BYTES,
        asset_max=1,
        asset_bytes=media.IMAGE_BYTES,
        asset_ttl=media.MEDIA_TTL,
        limits=(Rate(10_000, timedelta(minutes=1)), Rate(150_000, timedelta(hours=1))),
        silent_limits=(
            Rate(30, timedelta(minutes=1), "target"),
            Rate(1000, timedelta(hours=1), "target"),
        ),
    )

    def __init__(self, corp: Corp) -> None:
        self._corp = corp

    def far_time(self) -> FarTime | None:
        """What WeCom's clock said last."""
        return self._corp.client.far_time()

    def upload(self, asset: Asset) -> AssetRef:
        return media.upload(self._corp, asset)

    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        try:
            kind, part = self._part(message)
            touser = self._touser(targets)
        except Unfit as unfit:
            return unfit.refusal
        body = {
            "touser": touser,
            "msgtype": kind,
            "agentid": self._corp.agentid,
            kind: part,
            "enable_duplicate_check": 1,
            "duplicate_check_interval": int(DUPLICATE_WINDOW.total_seconds()),
        }
        return Request(CALL, encode(body), tuple(target.key for target in targets), message.sender)

    def _touser(self, targets: Sequence[Target]) -> str:
        if not 1 <= len(targets) <= self.abilities.batch_max:
            raise Unfit(
                _("%(count)d recipients in one call; %(limit)d are allowed."),
                count=len(targets),
                limit=self.abilities.batch_max,
            )
        wrong = [target.key for target in targets if not target.key or "|" in target.key]
        if wrong or any(target.key == "@all" for target in targets):
            raise Unfit(
                _("A recipient's user id is not acceptable: %(value)s"),
                _("Name each member by the user id; @all is not sent."),
                value=wrong[0] if wrong else "@all",
            )
        return "|".join(target.key for target in targets)

    def _part(self, message: Message) -> tuple[str, dict[str, Any]]:
        link = content.link_of(message)
        if message.assets:
            if message.text or link or len(message.assets) > 1:
                raise Unfit(
                    _("An app message carries a text or one picture, not both."),
                    _("Make a material for each, or give the picture's web address as link_picture."),
                )
            asset = message.assets[0]
            if asset.media_type not in self.abilities.asset_types:
                raise Unfit(_("%(name)s is no PNG or JPEG picture."), name=asset.name)
            if not asset.ref:
                raise Unfit(_("%(name)s has not been uploaded to WeCom yet."), name=asset.name)
            return "image", {"media_id": asset.ref}
        if link:
            card = content.card_of(message, link, message.text.strip())
            return "news", {"articles": [card]}
        if not message.text:
            raise Unfit(_("The message is empty."), _("Give the material a text or a picture."))
        reason = _("The text has %(bytes)d bytes; an app message may have %(limit)d.")
        text = {"content": content.within(message.text, TEXT_BYTES, reason)}
        return ("markdown" if message.options.get(content.FORMAT) == "markdown" else "text"), text

    def connect(self, request: Request) -> Line:
        return self._corp.open(request.call)

    def transmit(self, request: Request, line: Line | None) -> Observation:
        return self._corp.write(request, line) if isinstance(line, OpenLine) else NO_LINE

    def classify(self, observation: Observation) -> Verdict:
        read = refusal(observation)
        if isinstance(read, Verdict):
            return read
        names = f"{read.get('invaliduser') or ''}|{read.get('unlicenseduser') or ''}"
        failed = {name: _NOT_TAKEN for name in names.split("|") if name}
        return Verdict(Outcome.ACCEPTED, ref=Ref(str(read.get("msgid", ""))), code="0", failed=failed)
