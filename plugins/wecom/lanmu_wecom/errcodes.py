"""What WeCom's error codes mean for a send: the table of the manual, read once, in one place.

Every business error comes as HTTP 200 with `errcode != 0`; a missing errcode counts as 0. The text beside
a code changes and is never matched on. Source: WeCom's global error table (path 90313).
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lanmu.i18n import _
from lanmu.interfaces.channels import Observation, Outcome, Verdict

TOKEN_GONE = frozenset({40014, 42001})
"""The token is unknown or has run out: fetch another one and repeat, once."""

DISPATCHING = 41063
"""A broadcast that was just made is still being dispatched; ask again later."""

MEDIA_GONE = 40007
"""An uploaded file is not known any more; it lives three days, and may be voided before."""

BUSY = -1
LIMIT = 45009
CONCURRENCY = 45033

_BLOCK = timedelta(seconds=61)  # a minute's rule blocks for 60 s
_SOON = timedelta(seconds=2)

_ACCOUNT = {
    40001: _("The secret is wrong or was reset, or the app is stopped."),
    40013: _("The corp id is unknown."),
    40056: _("The agent id is unknown."),
    41001: _("The call came without a token."),
    41002: _("The corp id is missing."),
    41004: _("The secret is missing."),
    48001: _("The app has not been granted this call."),
    48002: _("The app is not listed among those that may call customer contact."),
    48006: _("The app's right to this call was withdrawn."),
    50003: _("The app is switched off."),
    60011: _("The app has no right to this member, department or tag."),
    60020: _("This server's IP is not among the app's trusted IPs."),
    60021: _("The member is outside the app's visible range."),
    84074: _("The app has no right to customer contact."),
    301002: _("The token does not belong to this agent id."),
    301007: _("The corp is dissolved or blocked."),
}

_CONTENT = {
    40004: _("The kind of the uploaded file is not accepted."),
    40005: _("The kind of the uploaded file is not accepted."),
    40006: _("The uploaded file has a size that is not accepted."),
    40007: _("An uploaded picture or file is unknown or has expired."),
    40008: _("The kind of the message is unknown."),
    40009: _("A picture is too large."),
    40011: _("A video is too large."),
    40058: _("A field of the message is not acceptable (too long, too many, or wrong)."),
    40063: _("A required field of the message is empty."),
    40068: _("A customer tag is unknown."),
    40201: _("The content was found to break the platform's rules."),
    41006: _("A picture or file is missing."),
    41064: _("The message has too many attachments."),
    41065: _("The message has an attachment of an unknown kind."),
    41072: _("A file was uploaded for another use."),
    41080: _("An attachment is too large."),
    41081: _("A picture has too many pixels."),
    41082: _("A video is too long."),
    41090: _("A video has a format that is not accepted."),
    44001: _("A picture or file is empty."),
    44004: _("The text is empty."),
    45001: _("A picture or file is too large."),
    45002: _("The message is too long."),
    45008: _("The message has more than eight articles."),
}

_UNIT = {
    40003: _("The member id is unknown."),
    40031: _("The list of members is not acceptable."),
    40050: _("The customer group is unknown."),
    40096: _("The customer id is unknown to this app."),
    41048: _("No customer is left who can be sent to: quota used up, or no longer friends."),
    81013: _("None of the recipients is valid."),
    82001: _("The message has no recipient."),
    84061: _("The member and the customer are no longer in contact."),
    86001: _("The group chat id is malformed."),
    86003: _("The group chat does not exist."),
    90501: _("The chat is no customer group."),
    93000: _("The robot's key is unknown: it may have been removed from its group."),
    93004: _("The robot is switched off."),
    93008: _("The robot is not in the group."),
}

UNKNOWN = _("The far end refused with a code that is not in our table.")
_LATER = {
    6000: _("The far end had a conflict between two writes."),
    45035: _("The far end had a conflict between two writes."),
}


def reason_of(code: int) -> str:
    """A code in words (an English message id)."""
    for table in (_ACCOUNT, _CONTENT, _UNIT, _LATER):
        if code in table:
            return table[code]
    return UNKNOWN


def is_config(code: int) -> bool:
    """Whether a person has to set something right before any call of the account can succeed."""
    return code in _ACCOUNT


def parse(body: bytes) -> dict[str, Any] | None:
    """The JSON object of an answer, or None where the body is anything else."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def errcode_of(data: Mapping[str, Any]) -> int | None:
    """The code of an answer; missing counts as 0, None is a code that cannot be read."""
    code = data.get("errcode", 0)
    return code if type(code) is int else None  # false would pass for 0


def refusal(observation: Observation) -> Verdict | dict[str, Any]:
    """What an observation proves where it is no plain success; else the answer's JSON object."""
    if not observation.wrote:
        return Verdict(Outcome.NOT_SENT, reason=observation.fault)
    if observation.status is None:
        return Verdict(Outcome.AMBIGUOUS, reason=observation.fault)
    data = parse(observation.body)
    if data is None or (observation.status >= 300 and "errcode" not in data):
        return _without_json(observation.status)
    code = errcode_of(data)
    if code is None:
        return _without_json(200)
    return _by_code(code) if code else data


def _without_json(status: int) -> Verdict:
    if status == 429:
        reason = _("A gateway says that there are too many calls.")
        return Verdict(Outcome.AMBIGUOUS, reason=reason, code="HTTP 429", retry_after=_BLOCK, trips="rate")
    if 300 <= status < 500 and status != 408:
        reason = _("The address of the far end does not take this call; check base_url.")
        return Verdict(Outcome.REFUSED, reason=reason, code=f"HTTP {status}", scope="account")
    reason = _("The answer cannot be read, so nobody can say whether it was sent.")
    return Verdict(Outcome.AMBIGUOUS, reason=reason, code=f"HTTP {status}")


def _by_code(code: int) -> Verdict:
    name = str(code)
    if code in TOKEN_GONE:
        reason = _("The access token has run out.")
        return Verdict(Outcome.LATER, reason=reason, code=name, retry_after=timedelta(0), free=True)
    if code == LIMIT:
        reason = _("The platform's rate limit is reached.")
        return Verdict(Outcome.LATER, reason=reason, code=name, retry_after=_BLOCK, trips="rate")
    if code == CONCURRENCY:
        reason = _("Too many calls at the same time.")
        return Verdict(Outcome.LATER, reason=reason, code=name, retry_after=_SOON, trips="concurrency")
    if code == BUSY:
        # "Busy, try again", but a call that makes something may have made it: nobody knows. Where a resend
        # is safe the core sends the same bytes again by itself.
        return Verdict(Outcome.AMBIGUOUS, reason=_("The far end is busy."), code=name)
    if code in _LATER:
        return Verdict(Outcome.LATER, reason=_LATER[code], code=name, retry_after=_SOON)
    if code in _ACCOUNT:
        return Verdict(Outcome.REFUSED, reason=_ACCOUNT[code], code=name, scope="account")
    if code in _CONTENT:
        stale = code == MEDIA_GONE
        return Verdict(Outcome.REFUSED, reason=_CONTENT[code], code=name, scope="content", stale_files=stale)
    known = code in _UNIT
    return Verdict(Outcome.REFUSED, reason=reason_of(code), code=name, scope="unit" if known else "unclear")
