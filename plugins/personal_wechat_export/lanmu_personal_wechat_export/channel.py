"""The channel: composing a pack, putting it into the plugin's table once, and reading the ticks."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from lanmu import BaseChannel
from lanmu.i18n import _
from lanmu.interfaces.channels import (
    Abilities,
    CancelResult,
    Line,
    Message,
    NotConnected,
    Observation,
    Outcome,
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
from lanmu.interfaces.errors import NotFound
from lanmu.interfaces.host import Host
from lanmu_personal_wechat_export.document import document_of, dump, load
from lanmu_personal_wechat_export.files import FileChanged, FileStore
from lanmu_personal_wechat_export.settings import PackSettings
from lanmu_personal_wechat_export.store import ItemView, PackStore

NAME = "personal_wechat_export.pack"
_FILE = "file."


class PackChannel(BaseChannel):
    """个人微信: the far end is a person with a phone. A pack is ready when it stands in the table.

    There is no official way to send for a personal account, and the unofficial ones end in bans
    (docs: the plugin's README), so a person sends and ticks off.
    """

    name = NAME
    title = _("Personal WeChat, sent by hand")
    abilities = Abilities(
        sending=Sending.PERSON,
        local=True,
        idempotency=timedelta(days=3650),  # the unit's token is unique in the table, for as long as it lives
        lookup=True,
        acceptance="async",
        cancel=True,
        batch_max=50,
        by_sender=True,
        text_bytes=40_000,
        asset_max=9,  # as many pictures as WeChat lets one pick at once in a chat
        asset_bytes=20_000_000,
        asset_types=frozenset(
            {"image/png", "image/jpeg", "image/gif", "image/webp", "video/mp4", "application/pdf"}
        ),
    )

    def __init__(self, host: Host, settings: PackSettings, store: PackStore, files: FileStore) -> None:
        self._host = host
        self._settings = settings
        self._store = store
        self._files = files

    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        refusal = self._refusal(message, targets)
        if refusal is not None:
            return refusal
        document = document_of(message, targets)
        if not document.texts and not document.files:
            return Refusal(_("The message is empty."), _("Give the material a text or a picture."))
        return Request(
            call="pack",
            body=dump(document),
            targets=tuple(target.key for target in targets),
            sender=message.sender,
            meta={_FILE + asset.sha256: str(asset.path) for asset in message.assets},
        )

    def _refusal(self, message: Message, targets: Sequence[Target]) -> Refusal | None:
        limits = self.abilities
        try:
            size = len(message.text.encode())
        except UnicodeEncodeError:
            return Refusal(
                _("The text holds half a character (a lone surrogate), which cannot be sent."),
                _("Delete the broken character near the place where an emoji was cut and type it again."),
            )
        if size > limits.text_bytes:
            return Refusal(
                _("The text has %(bytes)d bytes; a pack takes %(limit)d."),
                _("Shorten it. A Chinese character takes 3 bytes, most emoji 4 or more."),
                {"bytes": size, "limit": limits.text_bytes},
            )
        if len(targets) > limits.batch_max:
            return Refusal(
                _("%(count)d recipients are too many for one person; a pack takes %(limit)d."),
                params={"count": len(targets), "limit": limits.batch_max},
            )
        if len(message.assets) > limits.asset_max:
            return Refusal(
                _("The message has %(count)d files; WeChat lets a person pick %(limit)d at once."),
                _("Make it two materials."),
                {"count": len(message.assets), "limit": limits.asset_max},
            )
        for asset in message.assets:
            if asset.media_type not in limits.asset_types:
                return Refusal(
                    _("%(name)s is of the kind %(kind)s, which a phone may not open."),
                    _("Use PNG, JPEG, GIF, WebP, MP4 or PDF."),
                    {"name": asset.name, "kind": asset.media_type},
                )
            if asset.size > limits.asset_bytes:
                return Refusal(
                    _("%(name)s has %(bytes)d bytes; a pack takes files of up to %(limit)d."),
                    _("Make it smaller and put it in again."),
                    {"name": asset.name, "bytes": asset.size, "limit": limits.asset_bytes},
                )
        return None

    def connect(self, request: Request) -> Line | None:
        """Copy the files where the phone page finds them, and see that the table answers."""
        for file in load(request.body).files:
            try:
                self._files.put(Path(request.meta.get(_FILE + file.sha256, "")), file)
            except FileChanged:
                reason = f"{file.name} is gone or is no longer the file that was approved"
                raise NotConnected(reason, config=True) from None
            except OSError as error:
                raise NotConnected(f"the file could not be copied: {error.strerror}") from None
        try:
            with self._host.database.read() as session:
                session.execute(select(1))
        except SQLAlchemyError as error:
            raise NotConnected(f"the database does not answer: {type(error).__name__}") from None
        return None

    def transmit(self, request: Request, line: Line | None) -> Observation:
        written = False
        try:
            document = load(request.body)
            with self._host.database.write() as session:
                pack = self._store.add(session, document)
                written = True
        except IntegrityError:  # the same unit, written at the same moment by another worker
            return self._already(request)
        except (SQLAlchemyError, OSError, ValueError, KeyError, TypeError) as error:
            return Observation(wrote=written, fault=type(error).__name__)
        return _seen(pack)

    def _already(self, request: Request) -> Observation:
        try:
            pack = self._store.id_of(load(request.body).token)
        except SQLAlchemyError as error:
            return Observation(wrote=True, fault=type(error).__name__)
        return _seen(pack) if pack else Observation(wrote=True, fault="the pack could not be read back")

    def classify(self, observation: Observation) -> Verdict:
        if not observation.wrote:
            return Verdict(Outcome.NOT_SENT, reason=observation.fault)
        try:
            answer = json.loads(observation.body)
        except ValueError:
            answer = None
        pack = answer.get("pack") if isinstance(answer, dict) else None
        if isinstance(pack, str) and pack:
            return Verdict(Outcome.HANDED_OVER, ref=Ref(pack))
        return Verdict(Outcome.AMBIGUOUS, reason=observation.fault or _("The answer cannot be read."))

    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        pack = self._store.id_of(load(request.body).token)
        if pack is None or not window.since <= self._store.get(pack).created_at <= window.until:
            return ()
        return (Ref(pack),)

    def results(self, ref: Ref) -> Iterable[TargetResult]:
        try:
            pack = self._store.get(ref.id)
        except NotFound:
            return ()
        return tuple(self._result(item, taken_back=pack.cancelled_at is not None) for item in pack.items)

    def _result(self, item: ItemView, *, taken_back: bool) -> TargetResult:
        if item.state == "postponed" and item.until is not None and not taken_back:
            until = item.until.astimezone(self._settings.zone)
            return TargetResult(
                item.key, TargetState.POSTPONED, reason=f"{until:%Y-%m-%d %H:%M}", at=item.changed_at
            )
        if taken_back and not item.settled:
            return TargetResult(item.key, TargetState.SKIPPED, reason=_("The pack was taken back."))
        return TargetResult(item.key, TargetState(item.state), reason=item.reason, at=item.changed_at)

    def cancel(self, ref: Ref) -> CancelResult:
        if self._store.cancel(ref.id):
            return CancelResult(cancelled=True)
        return CancelResult(cancelled=False, reason=_("Every recipient of this pack is settled already."))


def _seen(pack: str) -> Observation:
    return Observation(wrote=True, status=200, body=json.dumps({"pack": pack}).encode())
