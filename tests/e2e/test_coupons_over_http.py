"""Twelve phones want fifty coupons: each has what it was told it has, and nobody gets a fifty-first."""

import re
import threading
from collections import Counter
from contextlib import closing
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from tests.serving import served

from lanmu import config
from lanmu.audience.views import IdentityKey, MemberDraft
from lanmu.clock import SystemClock
from lanmu.ledger.verify import verify
from lanmu.server import Server
from lanmu.storage import Database
from lanmu.web.app import create_app

CAP, PHONES, TAPS, COST = 50, 12, 8, 10


class Phone:
    """A member with the link to the points page, who taps redeem on a kept connection."""

    def __init__(self, port: int, path: str, offer: str) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self.page = f"{path}/offers/{offer}"
        self.statuses: Counter[int] = Counter()
        self.coupons: set[str] = set()

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        self.connection.request(method, path, urlencode(form or {}), headers)
        answer = self.connection.getresponse()
        return answer.status, answer.headers.get("Location", ""), answer.read().decode()

    def tap(self) -> None:
        """Open the offer and redeem it, with a second tap of the same button as a nervous thumb does."""
        _status, _location, html = self.ask("GET", self.page)
        found = dict(re.findall(r'name="(key|once)" value="([^"]+)"', html))
        if len(found) < 2:  # the page says that none are left and has no button
            self.statuses[409] += 1
            return
        first = self.ask("POST", f"{self.page}/redeem", found)
        again = self.ask("POST", f"{self.page}/redeem", found)
        assert again[0] == first[0]
        assert again[1] == first[1]
        self.statuses[first[0]] += 1
        if first[0] == 303:
            self.coupons.add(first[1])


def _server(database: Database, folder: Path) -> Server:
    url = database.url.render_as_string(hide_password=False).replace("+psycopg", "")
    raw = {"server": {"data_dir": str(folder)}, "database": {"url": url}, "plugins": {"points": {}}}
    return Server(config.parse(raw, None, {}), SystemClock())


def test_fifty_coupons_go_to_twelve_phones_and_not_one_more(database: Database, tmp_path: Path):
    server = _server(database, tmp_path)
    offer = server.ledger.shelf.create("满 99 减 10", COST, cap=CAP)
    links = []
    for number in range(PHONES):
        member = server.audience.members.create(
            MemberDraft(f"会员{number}", (IdentityKey("wecom", f"wm{number}"),))
        )
        server.ledger.adjust(member.id, TAPS * COST, f"start-{number}", reason="开场", actor="test")
        link = server.signer.sign("plugin/points/points.member", member.id, timedelta(hours=1))
        links.append((member.id, f"/p/points/m/{link}"))
    with served(create_app(server)) as port:
        phones = [Phone(port, path, offer.id) for _member, path in links]
        together = threading.Barrier(PHONES)

        def want(phone: Phone) -> None:
            with closing(phone.connection):
                together.wait()
                for _tap in range(TAPS):
                    phone.tap()

        threads = [threading.Thread(target=want, args=(phone,)) for phone in phones]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    told = sum((phone.statuses for phone in phones), Counter())
    assert told[303] == CAP
    assert set(told) <= {303, 409, 422}
    assert sum(told.values()) == PHONES * TAPS
    assert len(set().union(*(phone.coupons for phone in phones))) == CAP
    for (holder, _path), phone in zip(links, phones, strict=True):
        assert len(server.ledger.coupons(holder)) == phone.statuses[303]
        assert server.ledger.balance(holder) == (TAPS - phone.statuses[303]) * COST
    assert [check for check in verify(database) if not check.ok] == []
    server.close()
