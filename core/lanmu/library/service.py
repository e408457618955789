"""The library as the rooms above see it: one object with a part for each kind of work."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from lanmu.interfaces.clock import Clock
from lanmu.interfaces.events import MaterialApproved
from lanmu.library import taxonomy
from lanmu.library.assets import Assets
from lanmu.library.context import LibraryContext, Usage
from lanmu.library.materials import Materials
from lanmu.library.presets import LIFECYCLE
from lanmu.library.review import Reviews
from lanmu.library.search import MaterialSearch
from lanmu.library.sync import FolderSync
from lanmu.library.taxonomy import Taxonomy
from lanmu.library.variants import Variants
from lanmu.storage import Database


def _nobody_listens(event: MaterialApproved) -> None: ...


def _nothing_counted(keys: Sequence[int]) -> Mapping[int, int]:
    return {}


class Library:
    """素材库: `materials`, `reviews`, `variants`, `assets`, `search`, `folder` (sync with files), taxonomy.

    `data_dir` holds the stored files, `zone` is the shop's. `approved` hears of every approval after the
    commit; `usage` counts, for keys of materials, how often each was planned or sent.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        data_dir: Path,
        *,
        zone: str = "Asia/Shanghai",
        solo_approval: bool = False,
        approved: Callable[[MaterialApproved], None] = _nobody_listens,
        usage: Usage = _nothing_counted,
    ) -> None:
        context = LibraryContext(
            database=database,
            clock=clock,
            assets=data_dir / "assets",
            zone=ZoneInfo(zone),
            solo_approval=solo_approval,
            approved=approved,
            usage=usage,
        )
        self._database = database
        self.materials = Materials(context)
        self.reviews = Reviews(context)
        self.variants = Variants(context)
        self.assets = Assets(context)
        self.search = MaterialSearch(context)
        self.folder = FolderSync(context, self.assets)

    def seed(self, preset: str = LIFECYCLE.name) -> None:
        """Write the taxonomy where there is none yet; harmless at every start."""
        with self._database.read() as session:  # most starts need wait for no writer
            if not taxonomy.missing(session, preset):
                return
        with self._database.write() as session:
            taxonomy.seed(session, preset)

    def taxonomy(self) -> Taxonomy:
        """The words that materials are sorted by, as this shop has them."""
        with self._database.read() as session:
            return taxonomy.load(session)
