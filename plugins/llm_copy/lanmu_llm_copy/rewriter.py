"""The rewriter that the core is offered: the model where there is one, the rules where not."""

import logging
from collections.abc import Callable
from dataclasses import replace

from lanmu.i18n import Filled, _
from lanmu.interfaces.rewriting import Brief, ContentCheck, Draft, RewriterFailed
from lanmu_llm_copy.calls import BudgetUsedUp
from lanmu_llm_copy.glyphs import clean
from lanmu_llm_copy.model import ModelWriter
from lanmu_llm_copy.rules import LABEL, RuleWriter

log = logging.getLogger(__name__)


class CopyRewriter:
    """Polishes a script or makes variants of it; every proposal carries its fact table and findings."""

    name = "llm_copy"

    def __init__(
        self,
        rules: RuleWriter,
        check: ContentCheck,
        model: ModelWriter | None = None,
        *,
        model_name: str = "",
        fall_back: bool = True,
    ) -> None:
        self._rules = rules
        self._check = check
        self._model = model
        self._fall_back = fall_back
        self.title = _("Polish and variants") if model else _("Polish and variants by rules")
        self.label = model_name if model else LABEL

    def propose(self, brief: Brief, progress: Callable[[str], None] | None = None) -> Draft:
        """Raises RewriterFailed: nothing to rewrite, or no model and the settings want no rules instead."""
        text = clean(brief.text).strip()
        if not text:
            raise RewriterFailed(_("There is no text to rewrite. Write a first sentence, then try again."))
        if brief.byte_limit < 1:
            raise RewriterFailed(_("The byte limit must be at least 1."))
        brief = replace(brief, text=text, title=clean(brief.title), seed=max(0, brief.seed))
        if self._model is None:
            return self._checked(self._rules.propose(brief))
        try:
            return self._checked(self._model.propose(brief, progress))
        except BudgetUsedUp as spent:
            reason: str = Filled(
                _("Today's model budget is used up (%(limit)d %(what)s); it starts anew at %(time)s."),
                limit=spent.limit,
                what=Filled(_("calls") if spent.what == "calls" else _("tokens")),
                time=spent.spent.resets_at.strftime("%m-%d %H:%M"),
            )
        except RewriterFailed as failure:
            reason = failure.args[0]
        if not self._fall_back:
            raise RewriterFailed(reason)
        log.warning("model gave nothing, wrote by rules", extra={"plugin": "llm_copy"})
        draft = self._rules.propose(brief)
        notice = Filled(_("%(reason)s → Written by rules instead."), reason=reason)
        return self._checked(replace(draft, notices=(notice, *draft.notices)))

    def _checked(self, draft: Draft) -> Draft:
        proposals = tuple(
            replace(proposal, findings=tuple(self._check.check(proposal.text, {})))
            for proposal in draft.proposals
        )
        return replace(draft, proposals=proposals)
