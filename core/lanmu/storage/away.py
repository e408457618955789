"""A database that is not there, or has no room: what it raises then, and what it says."""

from sqlalchemy.exc import InterfaceError, OperationalError

AWAY = (OperationalError, InterfaceError)
"""What a database raises that is not there, or has no room: trying again may help."""


def cause_of(error: BaseException) -> str:
    """What the database said, in one line: neither the statement nor what was to be stored."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
