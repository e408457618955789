"""The permission that every route names; a view without one is closed to everybody, which the log tells."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC = "public"
"""Open to anybody: health, login, static files."""

SIGNED = "signed"
"""Open to the holder of a signed link; the view itself checks the signature."""


def requires(permission: str) -> Callable[[View], View]:
    """Name the permission (`object.verb`, or PUBLIC or SIGNED) that a view needs.

    Each method of a MethodView is marked on its own. `lanmu plugin check` finds a name that nobody can have.
    """

    def mark(view: View) -> View:
        view.lanmu_permission = permission  # type: ignore[attr-defined]
        return view

    return mark


_actor: ContextVar[str] = ContextVar("lanmu_actor", default="")


def actor() -> str:
    """The username of the member of staff on whose request this runs; "" where it is nobody's."""
    return _actor.get()


def act_as(username: str) -> None:
    """From now on, in this thread or task, what is done is done by `username`; "" for nobody."""
    _actor.set(username)
