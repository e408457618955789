"""The ends of the hash chains, kept in each backup: one that was cut off shows beside them alone."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.i18n import Filled, _
from lanmu.ledger.models import Seal
from lanmu.staff.models import AuditRecord
from lanmu.storage import Database
from lanmu.storage.checking import Check, Looked, run_checks

_CHAINS: dict[str, type[Seal] | type[AuditRecord]] = {"points": Seal, "audit": AuditRecord}
_TITLES = {"points": _("the points' postings"), "audit": _("the audit log")}

_TITLE = _("The chains of hashes go on from where the backup left them")
_WAY_OUT = _(
    "Somebody has taken away or written anew what was there at the backup: keep the database and its backups "
    "as they are, and find out who can write there."
)


@dataclass(frozen=True, slots=True)
class End:
    """The last link of a chain as it stood once: its row, and its hash in hex."""

    row: int
    hash: str


def chain_ends(database: Database) -> dict[str, End]:
    """The end of each chain that has begun, by the chain's name."""
    found = {}
    with database.read() as session:
        for name, table in _CHAINS.items():
            last = session.execute(select(table.id, table.hash).order_by(table.id.desc()).limit(1)).first()
            if last is not None:
                found[name] = End(*last)
    return found


def as_document(ends: Mapping[str, End]) -> dict[str, Any]:
    """The ends as JSON keeps them."""
    return {name: asdict(end) for name, end in ends.items()}


def from_document(document: Mapping[str, Any]) -> dict[str, End]:
    """The ends that `as_document` was made of, of the chains that are known here.

    Raises LookupError, TypeError, ValueError or AttributeError where it is none.
    """
    known = {name: end for name, end in document.items() if name in _CHAINS}
    return {name: End(int(end["row"]), str(end["hash"])) for name, end in known.items()}


def verify_chain_ends(database: Database, ends: Mapping[str, End]) -> Iterable[Check]:
    """Check that the chains still hold these ends. That the links before them fit is for others to check."""

    missing = _("link %(row)s in the chain of %(name)s is missing, or was changed")

    def look(session: Session) -> Looked:
        for name, end in ends.items():
            table = _CHAINS[name]
            there = session.scalar(select(table.hash).where(table.id == end.row))
            yield None if there == end.hash else Filled(missing, row=end.row, name=Filled(_TITLES[name]))

    return run_checks(database, [("I19", _TITLE, look)], {"I19": _WAY_OUT})
