"""A push to a crowd of customer groups, one message to each, and what both sides know of it afterwards."""

import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.e2e.installation import Lanmu, until

from lanmu.audience.views import Address, CommunityDraft
from lanmu.delivery.intake import PushRequest, Recipient
from lanmu.library.content import Content

CALL = "externalcontact/add_msg_template"
OWNER = "linxiao"
SETTLE = 3


@dataclass
class Crowd:
    """So many groups at the far end, each a community of its own here, and one push to all of them.

    Their texts differ, so that the far end can tell each message from the others, and each is a unit.
    """

    lanmu: Lanmu
    count: int

    @property
    def keys(self) -> list[str]:
        return [f"wrCROWD{number:04d}" for number in range(self.count)]

    def gather(self) -> None:
        """Make the groups known on both sides; the far end is to tell of a new message at once."""
        self.lanmu.sandbox("options", {"dispatch_seconds": 0})
        rows = [{"chat_id": key, "name": key, "owner": OWNER, "members": 9} for key in self.keys]
        self.lanmu.sandbox("groups", {"groups": rows})
        server = self.lanmu.inside()
        try:
            server.audience.communities.load(
                CommunityDraft(name=key, addresses={"wecom.group": Address(key, OWNER)}) for key in self.keys
            )
        finally:
            server.close()

    def push(self, name: str = "crowd") -> None:
        """Hand over a push that is due now."""
        server = self.lanmu.inside()
        try:
            text = Content(
                title=name, body="早安，{{ community.name }}", content_class="brand", kind="values",
                zone="knowledge", genre="guide", topic=name, form="text", month="202611", owner="li",
            )  # fmt: skip
            made = server.library.materials.create(text, "li")
            server.library.reviews.submit(made.id)
            server.library.reviews.approve(made.id, 1, "wang")
            (snapshot,) = [
                server.library.materials.snapshot(each.revision_key)
                for each in server.library.materials.candidates()
                if each.id == made.id
            ]
            now = datetime.now(UTC)
            server.delivery.send(
                PushRequest(
                    source_key=f"crowd:{name}",
                    title=name,
                    channel="wecom.group",
                    revision_id=snapshot.revision_key,
                    material_id=snapshot.key,
                    content_hash=snapshot.content_hash,
                    body=snapshot.body,
                    due_at=now,
                    zone="Asia/Shanghai",
                    recipients=[
                        Recipient(each.addresses["wecom.group"].key, each.name, OWNER, each.row)
                        for each in server.audience.communities.find()
                        if each.name in set(self.keys)
                    ],
                    approved_by="wang",
                    approved_at=now,
                    created_by="li",
                    late_policy="send",
                    late_after=timedelta(hours=1),
                )
            )
        finally:
            server.close()

    def slow(self, seconds: float) -> None:
        """From now on each message takes the far end so long."""
        self.lanmu.sandbox("faults", {"kind": "slow", "call": CALL, "seconds": seconds, "times": -1})

    def out(self) -> int:
        """How many messages took effect at the far end."""
        counted = self.lanmu.sandbox("counters")["received"].get(CALL)
        return int(counted["effects"]) if counted else 0

    def has_sent(self, number: int) -> bool:
        return self.out() >= number

    def book(self) -> Counter[str]:
        """How often each group got its message, by the far end's own book."""
        calls = self.lanmu.sandbox(f"received?limit=10000&call={CALL}")["received"]
        return Counter(
            key for call in calls if call["effect"] for key in json.loads(call["text"])["chat_id_list"]
        )

    def states(self) -> Counter[str]:
        """How many units are in each state, as a stranger to the program sees it."""
        rows = self.lanmu.query("SELECT state, count(*) FROM unit GROUP BY state")
        return Counter({str(state): int(number) for state, number in rows})

    def senders(self) -> Counter[int]:
        """How many messages each worker wrote, by its process id."""
        owners = self.lanmu.query("SELECT owner, count(*) FROM attempt GROUP BY owner")
        return Counter({int(str(owner).split(":")[1]): int(number) for owner, number in owners})

    def looked_up(self) -> int:
        """Of how many units the answer was lost, so that the far end had to be asked what became of them."""
        return int(self.lanmu.query("SELECT count(*) FROM unit WHERE code IN ('found', 'not_found')")[0][0])

    def all_came(self, patience: float = 90.0) -> None:
        """In the end each group has its message, the books on both sides agree, and nobody has two."""
        wanted = Counter({"accepted": self.count})
        try:
            until("every unit is accounted for", lambda: self.states() == wanted, patience)
        except AssertionError:
            raise AssertionError(f"{self.states()}\n{self.lanmu.logs()}") from None
        assert self.book() == Counter(self.keys), "each got it once"


def live(*processes: subprocess.Popen[str]) -> None:
    assert [each.poll() for each in processes] == [None] * len(processes), "no process may die of it"


def health(lanmu: Lanmu) -> int:
    """What `/healthz` answers just now."""
    try:
        with urlopen(f"http://127.0.0.1:{lanmu.port}/healthz", timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def log_of(lanmu: Lanmu, process: subprocess.Popen[str]) -> Path:
    """The file with what a process said."""
    number = lanmu.processes.index(process)
    (path,) = lanmu.folder.glob(f"*-{number}.log")
    return path


def said(lanmu: Lanmu, process: subprocess.Popen[str], words: str) -> int:
    """How many lines of a process hold these words."""
    return sum(words in line for line in log_of(lanmu, process).read_text().splitlines())
