"""Who holds a lease: a worker named so that a dead one can be told from a slow one."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A worker process. `host` names this boot of this machine, and the container where there is one; `epoch`
    this life of the process."""

    host: str
    pid: int
    epoch: str

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}:{self.epoch}"


def this_process() -> Owner:
    """The owner that this process is."""
    host = f"{boot_id() or _name()}{_container()}"
    return Owner(host, os.getpid(), f"{_start_of(os.getpid())}-{secrets.token_hex(4)}")


def is_dead(owner: str, here: Owner) -> bool:
    """Whether the owner is proven dead: it ran on this boot of this machine, and its process is gone.

    A process that has taken over the number does not count: its start differs.
    """
    host, _colon, rest = owner.partition(":")
    pid, _colon, epoch = rest.partition(":")
    if host != here.host or not pid.isdigit():
        return False
    return _start_of(int(pid)) != epoch.partition("-")[0]


def boot_id() -> str:
    """Names this boot of this machine; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _container() -> str:
    """Tells containers of one machine apart: they share its boot, but each counts its processes anew."""
    try:
        space = os.readlink("/proc/self/ns/pid")  # such as pid:[4026531836]
    except OSError:
        return ""
    return f"/{space.partition('[')[2].rstrip(']')}"


def _name() -> str:
    return os.uname().nodename.replace(":", "_")


def _start_of(pid: int) -> str:
    """When a process started, in ticks since boot; empty where there is none such."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _alive_elsewhere(pid)
    return fields[19] if fields[0] != "Z" else ""  # a zombie has died and only waits to be noticed


def _alive_elsewhere(pid: int) -> str:
    """Without /proc, a live process is known by its number alone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "0"
