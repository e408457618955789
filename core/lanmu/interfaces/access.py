"""The permission that every route names; a view without one is refused by the server at start."""

from collections.abc import Callable
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC = "public"
"""Open to anybody: health, login, static files."""

SIGNED = "signed"
"""Open to the holder of a signed link; the view itself checks the signature."""


def requires(permission: str) -> Callable[[View], View]:
    """Name the permission (`object.verb`, or PUBLIC or SIGNED) that a view needs."""

    def mark(view: View) -> View:
        view.lanmu_permission = permission  # type: ignore[attr-defined]
        return view

    return mark
