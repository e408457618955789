"""Files as the far ends know them: uploaded once, remembered for all processes, renewed before they die."""

import threading
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

from lanmu.delivery.models import UploadedAsset
from lanmu.delivery.sending import asking
from lanmu.delivery.sending.outcomes import FILES_REMEMBERED
from lanmu.interfaces.channels import Asset, AssetRef, Channel
from lanmu.interfaces.clock import Clock
from lanmu.storage import Database
from lanmu.storage.once import insert_into

REUPLOAD_BEFORE = timedelta(hours=2)
"""A name that dies sooner is not used any more: the message may still have to wait for its turn."""


class Uploads:
    """Knows under which name each channel has a file. One thread uploads; those that want it too wait.

    What the database says is remembered only for moments: a name that the far end refuses is taken out there,
    and every process must hear of it before the message is tried again.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[AssetRef, float]] = {}
        self._locks: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)

    def uploaded(self, channel: Channel, asset: Asset) -> Asset:
        """The asset under the far end's name; as it is where the channel takes files inside the request.

        Raises what asking a channel raises.
        """
        if channel.abilities.asset_ttl is None:
            return asset
        key = (channel.name, asset.sha256)
        known = self._remembered(key)
        if known is None:
            with self._locks[key]:
                known = self._remembered(key)
                if known is None:
                    read_at = self._clock.boottime()
                    known = self._stored(*key)
                    if known is None:
                        known = asking.uploaded(channel, asset)
                        self._store(*key, known)
                    self._known[key] = known, read_at
        return replace(asset, ref=known.ref)

    def _remembered(self, key: tuple[str, str]) -> AssetRef | None:
        known, read_at = self._known.get(key, (None, 0.0))
        if known is None or self._clock.boottime() - read_at > FILES_REMEMBERED.total_seconds():
            return None
        return known if self._lasts(known) else None

    def _lasts(self, known: AssetRef) -> bool:
        return known.expires_at > self._clock.now() + REUPLOAD_BEFORE

    def _stored(self, channel: str, sha256: str) -> AssetRef | None:
        with self._database.read() as session:
            row = session.get(UploadedAsset, {"channel": channel, "account": "", "sha256": sha256})
            known = AssetRef(row.ref, row.expires_at) if row is not None else None
        return known if known is not None and self._lasts(known) else None

    def _store(self, channel: str, sha256: str, known: AssetRef) -> None:
        """Another process may be storing the same just now: the last one stands, both names are good."""
        named = {"ref": known.ref, "expires_at": known.expires_at}
        statement = insert_into(self._database.dialect, UploadedAsset).values(
            channel=channel, account="", sha256=sha256, **named
        )
        with self._database.write() as session:
            session.execute(
                statement.on_conflict_do_update(index_elements=["channel", "account", "sha256"], set_=named)
            )
