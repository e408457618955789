"""The plugin's one table: the access token that all processes of a server share."""

from datetime import datetime

from sqlalchemy import Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from lanmu.storage import UtcDateTime, plugin_base

WecomBase = plugin_base("wecom")


class TokenRow(WecomBase):  # type: ignore[misc, valid-type]
    """The token of one app of one corp, who is fetching it just now, and how often that was refused.

    `fingerprint` tells one secret from another without telling either, so that a mended secret is tried
    at once although the old one was refused three times.
    """

    __tablename__ = "plugin_wecom_token"

    account: Mapped[str] = mapped_column(String(100), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(16))
    token: Mapped[str] = mapped_column(Text, default="")
    fetched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease: Mapped[str] = mapped_column(String(32), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    refusals: Mapped[int] = mapped_column(Integer, default=0)
    refused_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    refused_code: Mapped[int] = mapped_column(Integer, default=0)
