"""How a sandbox behaves where the real platform may be set either way, or where a test wants it faster."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Options:
    """All may be changed while it runs (`POST /sandbox/api/options`).

    - `token_seconds`: life of an access token.
    - `dispatch_seconds`: how long a new broadcast answers 41063.
    - `confirm_after`: seconds after which the simulated employee confirms by himself; 0: never.
    - `quota`: broadcasts per recipient and calendar month; 0: as many as the month has days.
    - `robot_per_minute`, `call_per_minute`, `call_per_hour`, `ip_per_minute`: 0 switches a limit off.
    - `concurrency`: calls of one kind at the same time before 45033; 0: no limit.
    - `strict`: mistyped JSON is refused with 40058 instead of a warning beside errcode 0.
    - `quirks`: key order varies, reads may lack errcode, and a page may be empty although more follow.
    - `log_max`: how many received calls are remembered.
    """

    token_seconds: int = 7200
    dispatch_seconds: float = 3.0
    confirm_after: float = 0.0
    quota: int = 0
    robot_per_minute: int = 20
    call_per_minute: int = 10_000
    call_per_hour: int = 150_000
    ip_per_minute: int = 20_000
    concurrency: int = 0
    strict: bool = False
    quirks: bool = True
    log_max: int = 200_000

    def change(self, wishes: dict[str, object]) -> None:
        """Set some of them. Raises ValueError naming the first one that cannot be."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in wishes.items():
            if name not in known:
                raise ValueError(f"unknown option {name!r}; known are {', '.join(known)}")
            kind = type(known[name])
            right = (
                isinstance(value, bool)
                if kind is bool
                else (isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0)
            )
            if not right:
                raise ValueError(f"option {name} takes a {kind.__name__}, not {value!r}")
        for name, value in wishes.items():
            setattr(self, name, type(known[name])(value))
