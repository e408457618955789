"""Every hook; its docstring is its page in the manual (docs/hooks.md is written from here)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from lanmu.interfaces.channels import Channel, Message
from lanmu.interfaces.events import MaterialApproved, MemberEvent, Objection, PointsRule, Receipt
from lanmu.interfaces.host import MenuItem, Service
from lanmu.interfaces.rewriting import ContentCheck, Rewriter

if TYPE_CHECKING:  # the core's inner floors read this file, and they know no web and no command line
    import click
    import flask

PROJECT = "lanmu"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def lanmu_channels() -> Iterable[Channel]:
    """Offer ways to send.

    Verb: offer. Called once at start. A channel's name is `PLUGIN` or `PLUGIN.something`. A plugin that
    offers what is no channel, or a name that another has, is set aside with the reason.
    """
    raise NotImplementedError


@hookspec
def lanmu_rewriters() -> Iterable[Rewriter]:
    """Offer rewriters, which propose texts for a draft.

    Verb: offer. What a rewriter proposes is shown to a person and never sent by itself.
    """
    raise NotImplementedError


@hookspec
def lanmu_checks() -> Iterable[ContentCheck]:
    """Offer checks that look for risks in a text before it is approved.

    Verb: offer. A check answers findings with character spans; it gives hints to the reviewer and does not
    approve.
    """
    raise NotImplementedError


@hookspec
def lanmu_points_rules() -> Iterable[PointsRule]:
    """Offer rules that propose points for a member's event.

    Verb: offer. The ledger posts each award once for its key and within its cap, whatever a rule proposes. A
    rule that is a `DescribedRule` as well tells its values on the points page.
    """
    raise NotImplementedError


@hookspec
def lanmu_commands() -> "Iterable[click.Command]":
    """Offer commands, mounted under `lanmu PLUGIN …`.

    Verb: offer. Called when the command line is read, so keep imports inside the commands.
    """
    raise NotImplementedError


@hookspec
def lanmu_blueprints() -> "Iterable[flask.Blueprint]":
    """Offer pages, mounted under `/p/PLUGIN/`.

    Verb: offer. Every view names its permission with `lanmu.interfaces.access.requires`, each method of a
    MethodView its own. One that names none is closed to everybody; the log and `lanmu plugin check` say so.
    """
    raise NotImplementedError


@hookspec
def lanmu_menu() -> Iterable[MenuItem]:
    """Offer entries for the console's menu.

    Verb: offer. An entry is shown to those who have its permission.
    """
    raise NotImplementedError


@hookspec
def lanmu_services() -> Iterable[Service]:
    """Offer servers that run beside Lanmu in the same process, such as a look-alike of a far end.

    Verb: offer. `lanmu serve` starts each after the web server and stops it first; one that fails to start
    is reported and the rest runs.
    """
    raise NotImplementedError


@hookspec
def lanmu_objections(message: Message, channel: str) -> Iterable[Objection]:
    """Say why a message should not go out as it is.

    Verb: ask. Called in pre-flight, before the intent to send is stored. Any answer holds the unit for a
    person, and raising counts as an objection; so does an answer that is no `Objection`. One that `ends`
    the message, an exit rule that has come true, has it skipped. A rehearsal asks too, about messages to
    nobody: answer, and change nothing; what you write in the database then is refused.
    """
    raise NotImplementedError


@hookspec
def lanmu_pushed(receipt: Receipt) -> None:
    """Hear that a unit has reached a final state, or that a person must look at it.

    Verb: tell. Called after the commit; the answer is thrown away and an exception is logged.
    """


@hookspec
def lanmu_member_event(event: MemberEvent) -> None:
    """Hear of something that a member did, once for each event.

    Verb: tell. Called after the event and its points are stored.
    """


@hookspec
def lanmu_material_approved(material: MaterialApproved) -> None:
    """Hear that a material has been approved.

    Verb: tell. Called after the commit.
    """
