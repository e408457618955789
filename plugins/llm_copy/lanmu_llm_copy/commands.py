"""`lanmu llm_copy check|rewrite|calls`: the plugin's work from a shell, for people and programs."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import click

from lanmu.i18n import Catalog, _
from lanmu.interfaces.rewriting import (
    Brief,
    ContentCheck,
    Draft,
    FactState,
    Finding,
    Rewriter,
    RewriterFailed,
)
from lanmu_llm_copy.calls import CallLedger
from lanmu_llm_copy.checks import verdict
from lanmu_llm_copy.settings import LlmCopySettings

_CATALOG = Catalog(("lanmu_llm_copy",))
_MARKS = {
    FactState.KEPT: "=", FactState.MISSING: "-", FactState.CHANGED: "~", FactState.ADDED: "+",
}  # fmt: skip
_VERDICTS = {
    "blocked": _("Do not send: findings that block."),
    "needs_review": _("A person must look at this."),
    "no_findings": _("No listed risk found. This is an aid and no legal opinion."),
}


class Tools(Protocol):
    """What the commands work with, each made when a command first asks for it."""

    @property
    def settings(self) -> LlmCopySettings: ...

    @property
    def check(self) -> ContentCheck: ...

    @property
    def rewriter(self) -> Rewriter: ...

    @property
    def ledger(self) -> CallLedger: ...


def commands(tools: Tools) -> Iterable[click.Command]:
    """The commands, bound to a running plugin's tools."""
    return [_check_command(tools), _rewrite_command(tools), _calls_command(tools)]


def _check_command(tools: Tools) -> click.Command:
    @click.command(
        "check", help=_("Look for risky words and claims in TEXT, in a file of that name, or - for stdin.")
    )
    @click.argument("text")
    @click.option("--industry", default="", help=_("finance, medical, health_food or realestate."))
    @click.option("--json", "as_json", is_flag=True, help=_("Answer as JSON."))
    def check(text: str, industry: str, as_json: bool) -> None:
        body = _text_of(text)
        findings = tools.check.check(body, {"industry": industry})
        word = verdict(findings)
        if as_json:
            _print_json({"verdict": word, "findings": [_finding(found) for found in findings]})
        else:
            for found in findings:
                click.echo(_line(body, found))
            click.echo(_told(_VERDICTS[word]))
        if word == "blocked":
            sys.exit(1)

    return check


def _rewrite_command(tools: Tools) -> click.Command:
    @click.command("rewrite", help=_("Polish the text of FILE (- for stdin), or make variants of it."))
    @click.argument("file")
    @click.option(
        "--variants", type=click.IntRange(1, 6), help=_("How many variants; without it the text is polished.")
    )
    @click.option("--channel", default="", help=_("The channel's name, for instance wecom.group."))
    @click.option(
        "--tone", type=click.Choice(["warm", "formal", "lively"]), default="warm", show_default=True
    )
    @click.option(
        "--stage",
        type=click.Choice(["new", "active", "converting", "loyal", "sharing"]),
        default="active",
        show_default=True,
    )
    @click.option(
        "--class",
        "content_class",
        type=click.Choice(["engagement", "conversion", "brand"]),
        default="engagement",
        show_default=True,
    )
    @click.option("--title", default="", help=_("The material's title; a short one is used as the topic."))
    @click.option(
        "--name", "names", multiple=True, help=_("A product or brand name to keep as it is; may be repeated.")
    )
    @click.option("--bytes", "byte_limit", type=click.IntRange(min=1), default=4000, show_default=True)
    @click.option(
        "--seed", type=click.IntRange(min=0), default=0, help=_("Another number gives another batch.")
    )
    @click.option("--json", "as_json", is_flag=True, help=_("Answer as JSON."))
    def rewrite(
        file: str,
        variants: int | None,
        channel: str,
        tone: str,
        stage: str,
        content_class: str,
        title: str,
        names: Sequence[str],
        byte_limit: int,
        seed: int,
        as_json: bool,
    ) -> None:
        if file != "-" and not Path(file).is_file():
            raise click.ClickException(
                _told(_("There is no file of this name. Give a text file, or - to read from standard input."))
            )
        brief = Brief(
            job="variants" if variants else "polish",
            text=_text_of(file),
            title=title,
            channel=channel,
            tone=tone,
            stage=stage,
            content_class=content_class,
            count=variants or 1,
            byte_limit=byte_limit,
            seed=seed,
            facts=tuple(names),
        )
        try:
            draft = tools.rewriter.propose(brief, _progress(as_json))
        except RewriterFailed as failure:
            raise click.ClickException(_told(failure.args[0])) from failure
        if as_json:
            _print_json(_draft(draft))
        else:
            _print_draft(draft)

    return rewrite


def _calls_command(tools: Tools) -> click.Command:
    @click.command("calls", help=_("Show what the model was asked today, and the newest calls."))
    @click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
    @click.option("--json", "as_json", is_flag=True, help=_("Answer as JSON."))
    def calls(limit: int, as_json: bool) -> None:
        spent, rows = tools.ledger.spent(), tools.ledger.recent(limit)
        columns = (
            "at", "job", "host", "model", "attempt", "outcome", "latency_ms", "prompt_tokens",
            "completion_tokens",
        )  # fmt: skip
        table = [{column: getattr(row, column) for column in columns} for row in rows]
        if as_json:
            _print_json({"calls": spent.calls, "tokens": spent.tokens, "newest": table})
            return
        click.echo(
            _told(_("Today: %(calls)d of %(limit)s calls, %(tokens)d tokens."))
            % {"calls": spent.calls, "limit": tools.settings.daily_calls or "∞", "tokens": spent.tokens}
        )
        for line in table:
            click.echo("  ".join(str(value) for value in line.values()))

    return calls


def _text_of(given: str) -> str:
    if given == "-":
        return sys.stdin.buffer.read().decode("utf-8-sig")
    path = Path(given) if len(given) < 255 and "\n" not in given else None
    try:
        if path is not None and path.is_file():
            return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.ClickException(
            _told(_("The file is no UTF-8 text. Save it as UTF-8 and try again."))
        ) from error
    return given


def _progress(quiet: bool) -> Callable[[str], None] | None:
    if quiet or not sys.stderr.isatty():
        return None
    return lambda told: click.echo(f"\r\x1b[K{_told(told)}", nl=False, err=True)


def _told(text: str) -> str:
    """In the language of the shell: English where LANG says so, else Chinese."""
    lang = os.environ.get("LANMU_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return _CATALOG.gettext("en" if lang.lower().startswith("en") else "zh-CN", text)


def _line(body: str, found: Finding) -> str:
    row = body.count("\n", 0, found.start) + 1
    column = found.start - (body.rfind("\n", 0, found.start) + 1) + 1
    told = f"{row}:{column} [{_told(found.severity)}] {found.term}: {_told(found.reason)}"
    return f"{told} → {found.suggestion}" if found.suggestion else told


def _finding(found: Finding) -> dict[str, object]:
    return {**asdict(found), "reason": _told(found.reason)}


def _draft(draft: Draft) -> dict[str, object]:
    return {
        "generator": draft.generator,
        "by_model": draft.by_model,
        "notices": [_told(notice) for notice in draft.notices],
        "usage": dict(draft.usage),
        "proposals": [
            {
                "key": proposal.key,
                "angle": proposal.angle,
                "text": proposal.text,
                "usable": proposal.usable,
                "rationale": _told(proposal.rationale),
                "problems": [_told(problem) for problem in proposal.problems],
                "facts": [asdict(line) for line in proposal.facts],
                "findings": [_finding(found) for found in proposal.findings],
            }
            for proposal in draft.proposals
        ],
    }


def _print_draft(draft: Draft) -> None:
    for notice in draft.notices:
        click.echo(f"! {_told(notice)}", err=True)
    by = draft.generator if draft.by_model else _told(_("Written by rules"))
    for proposal in draft.proposals:
        usable = "" if proposal.usable else " · " + _told(_("cannot be used"))
        click.echo(f"── {proposal.key} · {_told(proposal.angle)} · {by}{usable}")
        click.echo(proposal.text)
        for line in proposal.facts:
            if line.state is not FactState.KEPT:
                click.echo(f"   {_MARKS[line.state]} {_told(line.kind)}: {line.source} → {line.proposal}")
        for problem in proposal.problems:
            click.echo(f"   ! {_told(problem)}")
        for found in proposal.findings:
            click.echo(f"   ? {_line(proposal.text, found)}")


def _print_json(document: dict[str, object]) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))
