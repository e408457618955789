"""What another thread may do between any two steps of a function, done there each time and not by chance."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def between_the_steps_of(function: Callable[..., Any], meanwhile: Callable[[], object]) -> Iterator[None]:
    """Whenever the function runs inside of this, `meanwhile` is called before each of its instructions.

    It is called in the same thread, so it must take no lock that the function holds.
    """
    code = function.__code__
    before = sys.gettrace()

    def step(_frame: FrameType, event: str, _arg: Any) -> Any:
        if event in ("line", "opcode"):
            meanwhile()
        return step

    def call(frame: FrameType, _event: str, _arg: Any) -> Any:
        if frame.f_code is not code:
            return None
        frame.f_trace_opcodes = True
        return step

    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(before)
