"""企业群发: a task that an employee confirms, for customers or for customer groups.

Nothing reaches a customer by this call alone. `add_msg_template` makes a task; the sender confirms it in
the WeCom client, and what became of each recipient is asked for afterwards (paths 92135, 93338, 97610).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from lanmu import BaseChannel
from lanmu.i18n import _
from lanmu.interfaces.channels import (
    Abilities,
    Asset,
    AssetRef,
    CancelResult,
    Line,
    Message,
    NotConnected,
    Observation,
    Outcome,
    Rate,
    Ref,
    Refusal,
    Request,
    Sending,
    Target,
    TargetResult,
    TargetState,
    Verdict,
    Window,
)
from lanmu.interfaces.clock import FarTime
from lanmu_wecom import content, media
from lanmu_wecom.client import NO_LINE, OpenLine, Refused, Unreachable
from lanmu_wecom.content import Unfit
from lanmu_wecom.corp import Corp, encode
from lanmu_wecom.errcodes import (
    BUSY,
    CONCURRENCY,
    DISPATCHING,
    LIMIT,
    is_config,
    parse,
    reason_of,
    refusal,
)

CALL = "externalcontact/add_msg_template"
TEXT_BYTES = 4000
ATTACHMENTS_MAX = 9
_PAGE = 1000
_LIST_PAGE = 100
_DISPATCH_WAIT = timedelta(minutes=5)
_CANCELLED_BEFORE = 41093
_ASK_LATER = frozenset({BUSY, LIMIT, CONCURRENCY, DISPATCHING})

_FAILED = {
    2: _("They are no longer friends with the sender."),
    3: _("The customer has already had as many broadcasts as the platform allows."),
}
_DISPATCHED_STILL = _("The broadcast is still being dispatched.")
_UNREADABLE = _("The platform's list has another shape than it is documented to have.")
_NOT_TAKEN = _("The platform left this recipient out: unknown, not the sender's, or quota used up.")


class Dispatching(NotConnected):
    """The broadcast exists and is on its way to the employees: there is nothing to tell of it yet."""


def _abilities(batch_max: int) -> Abilities:
    return Abilities(
        sending=Sending.CONFIRM,
        lookup=True,
        settle=timedelta(minutes=10),
        acceptance="async",
        cancel=True,
        batch_max=batch_max,
        by_sender=True,
        text_bytes=TEXT_BYTES,
        asset_max=ATTACHMENTS_MAX,
        asset_bytes=media.VIDEO_BYTES,
        asset_types=frozenset({"image/png", "image/jpeg", "video/mp4"}),
        asset_ttl=media.MEDIA_TTL,
        limits=(Rate(10_000, timedelta(minutes=1)), Rate(150_000, timedelta(hours=1))),
    )


class BroadcastChannel(BaseChannel):
    """What customers and customer groups have in common."""

    chat_type: ClassVar[str]
    targets_field: ClassVar[str]

    def __init__(self, corp: Corp) -> None:
        self._corp = corp

    def far_time(self) -> FarTime | None:
        """What WeCom's clock said last."""
        return self._corp.client.far_time()

    def upload(self, asset: Asset) -> AssetRef:
        return media.upload(self._corp, asset)

    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        try:
            body = self._body(message, targets)
        except Unfit as unfit:
            return unfit.refusal
        keys = tuple(target.key for target in targets)
        return Request(CALL, encode(body), keys, message.sender, {"chat_type": self.chat_type})

    def _body(self, message: Message, targets: Sequence[Target]) -> dict[str, Any]:
        if not message.sender:
            raise Unfit(
                _("A broadcast needs a sender: the employee who confirms it."),
                _("Name an executor with a WeCom user id for this community or column."),
            )
        if not targets:
            raise Unfit(_("The broadcast has no recipient."))
        if len(targets) > self.abilities.batch_max:
            raise Unfit(
                _("%(count)d recipients in one call; %(limit)d are allowed."),
                count=len(targets),
                limit=self.abilities.batch_max,
            )
        body: dict[str, Any] = {
            "chat_type": self.chat_type,
            self.targets_field: [target.key for target in targets],
            "sender": message.sender,
        }
        if self.chat_type == "single" and content.flag(message.options, content.ALLOW_SELECT):
            body["allow_select"] = True
        if message.text:
            reason = _("The text has %(bytes)d bytes; a broadcast may have %(limit)d.")
            body["text"] = {"content": content.within(message.text, TEXT_BYTES, reason)}
        attachments = list(self._attachments(message))
        if len(attachments) > ATTACHMENTS_MAX:
            raise Unfit(
                _("%(count)d attachments, the link card counted; %(limit)d are allowed."),
                _("Take some pictures out of the material."),
                count=len(attachments),
                limit=ATTACHMENTS_MAX,
            )
        if attachments:
            body["attachments"] = attachments
        if not message.text and not attachments:
            raise Unfit(_("The message is empty."), _("Give the material a text or a picture."))
        return body

    def _attachments(self, message: Message) -> Iterator[dict[str, Any]]:
        for asset in message.assets:
            kind = media.kind_of(asset.media_type)
            if asset.media_type not in self.abilities.asset_types:
                raise Unfit(
                    _("%(name)s is of the kind %(kind)s, which a broadcast does not take."),
                    _("Use PNG or JPEG pictures, or an MP4 video."),
                    name=asset.name,
                    kind=asset.media_type,
                )
            if asset.size > media.limit_of(kind):
                raise Unfit(
                    _("%(name)s has %(bytes)d bytes; %(limit)d are allowed."),
                    _("Make it smaller and put it in again."),
                    name=asset.name,
                    bytes=asset.size,
                    limit=media.limit_of(kind),
                )
            if not asset.ref:
                raise Unfit(_("%(name)s has not been uploaded to WeCom yet."), name=asset.name)
            yield {"msgtype": kind, kind: {"media_id": asset.ref}}
        link = content.link_of(message)
        if link:
            description = message.options.get(content.LINK_TEXT, "").strip()
            card = content.card_of(message, link, description)
            yield {"msgtype": "link", "link": _as_attachment(card)}

    def connect(self, request: Request) -> Line:
        return self._corp.open(request.call)

    def transmit(self, request: Request, line: Line | None) -> Observation:
        return self._corp.write(request, line) if isinstance(line, OpenLine) else NO_LINE

    def classify(self, observation: Observation) -> Verdict:
        read = refusal(observation)
        if isinstance(read, Verdict):
            return read
        failed = {str(key): _NOT_TAKEN for key in read.get("fail_list") or ()}
        msgid = read.get("msgid")
        if not isinstance(msgid, str) or not msgid:
            # Accepted, but nobody could ever ask what became of it: the lookup shall find its id.
            return Verdict(Outcome.AMBIGUOUS, reason=_("Accepted without a msgid."), failed=failed)
        ref = Ref(msgid, {"chat_type": self.chat_type})
        return Verdict(Outcome.ACCEPTED, ref=ref, code="0", failed=failed)

    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        """Broadcasts of this app in the window with the same text, sender and recipients.

        Raises NotConnected where the far end cannot be asked: no answer is not the answer "nothing".
        """
        sent = parse(request.body) or {}
        payload: dict[str, Any] = {
            "chat_type": self.chat_type,
            "start_time": int(window.since.timestamp()),
            "end_time": int(window.until.timestamp()) + 1,
            "filter_type": 0,
            "limit": _LIST_PAGE,
        }
        found = []
        for row in self._pages("get_groupmsg_list_v2", "group_msg_list", payload):
            if not _same_content(sent, row):
                continue
            msgid = row.get("msgid")
            if not isinstance(msgid, str) or not msgid:
                raise NotConnected(_UNREADABLE)
            if self._same_targets(request, msgid):
                found.append(Ref(msgid, {"chat_type": self.chat_type}))
        return found

    def results(self, ref: Ref) -> Iterable[TargetResult]:
        """What is known so far: nothing while the broadcast is dispatched, or before a group's owner sent.

        Raises NotConnected where the far end cannot be asked.
        """
        try:
            senders = self._senders(ref.id)
            return [self._result(row) for userid in senders for row in self._send_list(ref.id, userid)]
        except Dispatching:
            return []

    def cancel(self, ref: Ref) -> CancelResult:
        """Who has not confirmed cannot any more; what went out stays. To cancel twice does no harm.

        Raises NotConnected where the far end cannot be asked, or asks to be asked later.
        """
        try:
            self._corp.ask("externalcontact/cancel_groupmsg_send", {"msgid": ref.id})
        except Refused as refused:
            if refused.code == _CANCELLED_BEFORE:
                return CancelResult(cancelled=True, reason=_("It had been cancelled before."))
            if refused.code in _ASK_LATER or is_config(refused.code):
                raise NotConnected(reason_of(refused.code), config=is_config(refused.code)) from refused
            return CancelResult(cancelled=False, reason=reason_of(refused.code))
        except Unreachable as unreachable:
            raise NotConnected(str(unreachable)) from unreachable
        return CancelResult(cancelled=True)

    def _senders(self, msgid: str) -> list[str]:
        payload = {"msgid": msgid, "limit": _PAGE}
        return [str(row["userid"]) for row in self._pages("get_groupmsg_task", "task_list", payload)]

    def _send_list(self, msgid: str, userid: str) -> Iterator[dict[str, Any]]:
        payload = {"msgid": msgid, "userid": userid, "limit": _PAGE}
        return self._pages("get_groupmsg_send_result", "send_list", payload)

    def _same_targets(self, request: Request, msgid: str) -> bool:
        """Whether a broadcast went to this sender, and to none but these recipients.

        Groups that were not sent yet are not listed by the platform, so nothing listed is no
        contradiction.
        """
        senders = self._senders(msgid)
        if not senders:  # it has one, who is not told yet: "not mine" would have it sent again
            raise Dispatching(_DISPATCHED_STILL, retry_after=_DISPATCH_WAIT)
        if request.sender not in senders:
            return False
        listed = {self._key(row) for row in self._send_list(msgid, request.sender)}
        return listed <= set(request.targets)

    def _pages(self, call: str, field: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        cursor = ""
        while True:
            asked = {**payload, "cursor": cursor} if cursor else payload
            data = self._ask(f"externalcontact/{call}", asked)
            rows = data.get(field) or []
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise NotConnected(_UNREADABLE)  # what cannot be read may hold what is looked for
            yield from rows
            # A page may be empty although more follow: only the cursor tells the end.
            cursor = str(data.get("next_cursor") or "")
            if not cursor:
                return

    def _ask(self, call: str, payload: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._corp.ask(call, payload)
        except Refused as refused:
            reason = reason_of(refused.code)
            if refused.code == DISPATCHING:
                raise Dispatching(_DISPATCHED_STILL, retry_after=_DISPATCH_WAIT) from refused
            raise NotConnected(reason, config=is_config(refused.code)) from refused
        except Unreachable as unreachable:
            raise NotConnected(str(unreachable)) from unreachable

    def _key(self, row: dict[str, Any]) -> str:
        return str(row.get("external_userid") or row.get("chat_id") or "")

    def _result(self, row: dict[str, Any]) -> TargetResult:
        status, stamp = row.get("status"), row.get("send_time")
        at = datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int) and stamp > 0 else None
        if status == 1:
            return TargetResult(self._key(row), TargetState.DELIVERED, at=at)
        if status in _FAILED:
            return TargetResult(self._key(row), TargetState.UNDELIVERED, _FAILED[status], at)
        return TargetResult(self._key(row), TargetState.WAITING)


class CustomerChannel(BroadcastChannel):
    """To single customers of one employee."""

    name = "wecom.customer"
    title = _("WeCom broadcast to customers")
    abilities = _abilities(10_000)
    chat_type = "single"
    targets_field = "external_userid"


class GroupChannel(BroadcastChannel):
    """To customer groups that one employee owns."""

    name = "wecom.group"
    title = _("WeCom broadcast to customer groups")
    abilities = _abilities(2000)
    chat_type = "group"
    targets_field = "chat_id_list"


def _as_attachment(card: dict[str, str]) -> dict[str, str]:
    link = {"title": card["title"]}
    if "picurl" in card:
        link["picurl"] = card["picurl"]
    if card["description"]:
        link["desc"] = card["description"]
    return {**link, "url": card["url"]}


def _same_content(sent: dict[str, Any], row: dict[str, Any]) -> bool:
    """Same text, and the same kinds of attachment in the same order with the same links.

    Media ids are not compared: the listing may name a picture otherwise than the call did.
    """
    if (sent.get("text") or {}).get("content", "") != (row.get("text") or {}).get("content", ""):
        return False
    return _outline(sent.get("attachments")) == _outline(row.get("attachments"))


def _outline(attachments: object) -> list[tuple[str, str, str]]:
    if not isinstance(attachments, list):
        return []
    rows = [row for row in attachments if isinstance(row, dict)]
    links = [row.get("link") or {} for row in rows]
    return [
        (str(row.get("msgtype")), str(link.get("url", "")), str(link.get("title", "")))
        for row, link in zip(rows, links, strict=True)
    ]
