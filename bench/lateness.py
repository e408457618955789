"""A3 as an operator meets it: N messages due at one instant, through the real worker, seen at the sandbox.

    python -m bench.lateness [N]

Web, worker and WeCom sandbox are processes of their own, with the shipped settings for concurrency. Each
message has a text of its own, so each is a call. Told are the first and the last, p50 and p99 in seconds
after the instant, and how many came early.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lanmu.audience.views import Address, CommunityDraft
from lanmu.config import load
from lanmu.delivery.intake import PushRequest, Recipient
from lanmu.server import Server

ROOT = Path(__file__).resolve().parent.parent
CALL = "externalcontact/add_msg_template"
_LEAD = timedelta(seconds=8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("n", nargs="?", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home, sandbox_port = Path(folder), _free_port()
        _write_config(home, sandbox_port)
        _start(stack, home, "wecom", "sandbox", "--port", str(sandbox_port))
        sandbox = f"http://127.0.0.1:{sandbox_port}/sandbox/api"
        _wait(lambda: _ask(f"{sandbox}/counters") is not None)
        _ask(f"{sandbox}/options", {"call_per_minute": 0, "call_per_hour": 0, "ip_per_minute": 0})
        due = _prepare(home, sandbox, asked.n)
        _start(stack, home, "worker")
        seen = _wait(lambda: _all_seen(sandbox, asked.n), patience=180)
    late = sorted((datetime.fromisoformat(call["time"]) - due).total_seconds() for call in seen)
    early = sum(seconds < 0 for seconds in late)
    p99 = late[max(0, round(len(late) * 0.99) - 1)]
    print(
        f"A3 worker  n {len(late)}  first +{late[0]:.3f} s  p50 {statistics.median(late):.3f}  "
        f"p99 {p99:.3f}  last {late[-1]:.3f}  early {early}  (goal p99 < 2 s at 1,000, 0 early)"
    )
    return 0 if early == 0 and (asked.n > 1000 or p99 < 2) else 1


def _prepare(home: Path, sandbox: str, n: int) -> datetime:
    """The groups at the far end, the communities here, and one push with a call for each of them."""
    groups = [
        {"chat_id": f"wrBENCH{number:05d}", "name": f"群{number}", "owner": "linxiao"} for number in range(n)
    ]
    _ask(f"{sandbox}/groups", {"groups": groups})
    server = Server(load(home / "config.toml"))
    try:
        server.library.folder.run(home / "content_library", export_new=False)
        server.audience.communities.load(
            CommunityDraft(
                name=group["name"], addresses={"wecom.group": Address(group["chat_id"], "linxiao")}
            )
            for group in groups
        )
        rows = {each.name: each.row for each in server.audience.communities.find()}
        snapshots = (
            server.library.materials.snapshot(each.revision_key)
            for each in server.library.materials.candidates()
        )
        words = next(each for each in snapshots if "{{ community.name }}" in each.body and not each.assets)
        due = datetime.now(UTC).replace(microsecond=0) + _LEAD
        server.delivery.send(
            PushRequest(
                source_key=f"bench:{due.isoformat()}",
                title=words.title,
                channel="wecom.group",
                revision_id=words.revision_key,
                material_id=words.key,
                content_hash=words.content_hash,
                body=words.body,
                due_at=due,
                zone="Asia/Shanghai",
                recipients=[
                    Recipient(group["chat_id"], group["name"], "linxiao", community_id=rows[group["name"]])
                    for group in groups
                ],
                approved_by="bench",
                approved_at=datetime.now(UTC),
                created_by="bench",
            )
        )
        return due
    finally:
        server.close()


def _write_config(home: Path, sandbox_port: int) -> None:
    (home / "content_library").symlink_to(ROOT / "content_library")
    (home / "config.toml").write_text(
        f'[server]\nport = {_free_port()}\n[delivery]\nquiet_from = ""\nquiet_until = ""\n'
        f'[plugins.wecom]\nbase_url = "http://127.0.0.1:{sandbox_port}"\n',
        encoding="utf-8",
    )


def _all_seen(sandbox: str, n: int) -> list[dict[str, Any]] | None:
    counted = _ask(f"{sandbox}/counters")["received"].get(CALL, {"effects": 0})
    if counted["effects"] < n:
        return None
    calls: list[dict[str, Any]] = _ask(f"{sandbox}/received?call={CALL}&limit=10000")["received"]
    return calls


def _start(stack: ExitStack, home: Path, *arguments: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lanmu.cli.main", *arguments],
        cwd=home,
        env={**os.environ, "LANMU_LANG": "en"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    stack.callback(process.wait)
    stack.callback(process.send_signal, signal.SIGINT)


def _ask(url: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        url, None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return None


def _wait(ask: Any, patience: float = 60) -> Any:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.2)
    raise SystemExit("the processes did not come up, or not everything went out")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
