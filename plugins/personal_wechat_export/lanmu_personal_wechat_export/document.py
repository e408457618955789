"""What a pack holds, and the exact bytes in which it travels from the core to the plugin's table."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from lanmu.interfaces.channels import Message, Target
from lanmu_personal_wechat_export.chunks import pieces


@dataclass(frozen=True, slots=True)
class PackFile:
    """A picture or another file that is sent after the texts."""

    name: str
    media_type: str
    sha256: str
    size: int

    @property
    def is_image(self) -> bool:
        return self.media_type.startswith("image/")


@dataclass(frozen=True, slots=True)
class PackTarget:
    """A group or a person to send to."""

    key: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class PackDocument:
    """Texts and files in the order of sending, and to whom."""

    token: str
    push: str
    executor: str
    title: str
    deadline: datetime | None
    texts: tuple[str, ...]
    files: tuple[PackFile, ...]
    targets: tuple[PackTarget, ...]

    @property
    def images(self) -> tuple[PackFile, ...]:
        return tuple(file for file in self.files if file.is_image)


def document_of(message: Message, targets: Sequence[Target]) -> PackDocument:
    """The pack that a message becomes; a long text is cut into chat-sized pieces."""
    link = message.options.get("link", "").strip()
    text = message.text if not link or link in message.text else f"{message.text}\n\n{link}"
    return PackDocument(
        token=message.token,
        push=message.push,
        executor=message.sender,
        title=message.title,
        deadline=message.deadline,
        texts=pieces(text),
        files=tuple(PackFile(a.name, a.media_type, a.sha256, a.size) for a in message.assets),
        targets=tuple(PackTarget(t.key, t.name or t.key, t.kind) for t in targets),
    )


def to_plain(document: PackDocument) -> dict[str, Any]:
    """The document as JSON can hold it."""
    deadline = document.deadline.isoformat() if document.deadline else None
    return {**asdict(document), "deadline": deadline}


def dump(document: PackDocument) -> bytes:
    """The same document is the same bytes, for ever: a resend is recognised by them."""
    plain = to_plain(document)
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def load(raw: bytes) -> PackDocument:
    """Raises ValueError (or KeyError, TypeError) where the bytes are not a pack."""
    return from_plain(json.loads(raw))


def from_plain(plain: dict[str, Any]) -> PackDocument:
    deadline = plain["deadline"]
    return PackDocument(
        token=plain["token"],
        push=plain["push"],
        executor=plain["executor"],
        title=plain["title"],
        deadline=datetime.fromisoformat(deadline) if deadline else None,
        texts=tuple(plain["texts"]),
        files=tuple(PackFile(**file) for file in plain["files"]),
        targets=tuple(PackTarget(**target) for target in plain["targets"]),
    )
