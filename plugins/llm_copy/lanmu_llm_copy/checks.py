"""The content check: listed terms and patterns, told as risks; it never says that a text is fine."""
# ruff: noqa: E501 - Chinese characters count as two columns, and these tables read better unbroken.

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lanmu.i18n import _
from lanmu.interfaces.rewriting import Finding
from lanmu_llm_copy.facts import Kind, extract
from lanmu_llm_copy.glyphs import searchable
from lanmu_llm_copy.terms import Severity, Trie, own_terms, shipped, simplified

# What each category rests on. Laws of the People's Republic of China: 广告法 2021, 食品安全法 2021,
# 化妆品监督管理条例 2021, 电子商务法 2019, 微信外部链接内容管理规范 2019; see the plugin's README.
REASONS = {
    "absolute": _("Absolute wording (Advertising Law, art. 9(3))"),
    "rank_claim": _("A claim of rank needs time, region, measure and source (Advertising Law, art. 11, 28)"),
    "state_authority": _("Uses the name of the state or an honour (Advertising Law, art. 9(2))"),
    "medical_claim": _("Claims a medical effect (Advertising Law, art. 17)"),
    "health_food": _("Asserts an effect of health food (Advertising Law, art. 18)"),
    "drug_device": _("Asserts cure rates or endorses drugs (Advertising Law, art. 15 and 16)"),
    "cosmetic_claim": _("A cosmetic must not claim medical effects (Cosmetics Regulation, art. 37 and 43)"),
    "medical_beauty": _("Makes people anxious about their looks (Medical Beauty Advertising Guide, 2021)"),
    "finance_claim": _("Promises a return (Advertising Law, art. 25)"),
    "education_claim": _("Promises a result of training (Advertising Law, art. 24)"),
    "realestate_claim": _("Promises a rise in value or travel by minutes (Advertising Law, art. 26)"),
    "alcohol_tobacco": _("Alcohol or tobacco (Advertising Law, art. 22 and 23)"),
    "infant_food": _("Sets infant food against breast milk (Advertising Law, art. 20)"),
    "share_inducement": _("Rewards sharing (WeChat rules for external links): the link can be blocked"),
    "share_coercion": _("Presses people to share (WeChat rules for external links)"),
    "follow_inducement": _("Rewards following or good reviews (WeChat rules; E-Commerce Law, art. 17)"),
    "platform_evasion": _("Looks like evading the platform's limits (WeCom penalty rules)"),
    "price_claim": _("A reference price needs proof (Rules on Price Fraud, art. 16 to 20)"),
    "urgency_claim": _("Urgency must be true: tie it to a real end, stock or quota"),
    "fake_evidence": _("Invented or unprovable evidence (Advertising Law, art. 11 and 28)"),
    "disparage": _("Runs down others (Advertising Law, art. 13)"),
    "public_order": _("Against public order and good manners (Advertising Law, art. 9)"),
    "minors": _("Urges minors to buy (Advertising Law, art. 40)"),
    "personal_data": _("Holds a phone or identity number: a person's data do not belong in a mass message"),
    "own_words": _("On this shop's own list of words"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern for what single words miss, because something stands between them."""

    id: str
    category: str
    severity: Severity
    pattern: re.Pattern[str]
    suggestion: str


def _rule(id: str, category: str, severity: Severity, pattern: str, suggestion: str) -> Rule:
    return Rule(id, category, severity, re.compile(pattern), suggestion)


# Bounded, and not begun inside a number: a page of digits must not take quadratic time.
_N = r"(?:(?<!\d)\d{1,8}(?:\.\d{1,4})?|(?<![一二两三四五六七八九十百千万几])[一二两三四五六七八九十百千万几]{1,8})"
_IN = r"[^，。；！？,;!?\n]"
_SEG = r"[^。！？!?\n]"
RULES = (
    _rule(
        "R1", "share_inducement", "block",
        rf"(?:分享|转发|邀请|拉(?=新|人|好友|{_N}|群|一位|朋友))(?!会|课|嘉宾|干货|经验|心得|故事){_SEG}{{0,12}}?"
        r"(?:各得|得\d|可得|能得|就得|得(?=优惠|红包|积分|现金|礼|券)|送(?!达|货|给大家的)|可领|就领|能领|领(?=取|券|红包|\d|优惠|一份)|返(?!校|程|回|乡)|解锁|抽奖|红包|优惠券|积分|现金|立减|免单|小样)",
        "把奖励和分享分开：自愿分享、不设条件，或给全员同样的答谢券",
    ),
    _rule(
        "R2", "share_inducement", "block",
        rf"(?:领取|解锁|查看|参与抽奖|参加抽奖|领券|获得|继续){_IN}{{0,8}}?(?:需要|需|须|请先|要先|先|必须)(?:分享|转发|邀请|集赞|拉|关注)",
        "去掉“先分享再领取”的条件",
    ),
    _rule(
        "R3", "absolute", "review",
        r"最(?!近|后|终|初|晚|早|多|少)(?:好(?=的|[，。！!；;\n]|$)|佳|优|强|低价|便宜|专业|权威|安全|有效|先进|靠谱|实惠|划算|大牌|厉害|火|畅销|热销|受欢迎|新款?技术|高级|顶|牛|全面|完整|权威|放心|健康|营养)",
        "改成可以核实的具体说法（参数、数量、和自家旧款比）",
    ),
    _rule(
        "R4", "rank_claim", "review",
        rf"(?:全国|全网|行业|全球|世界|亚洲|国内|同类|品类|销量|口碑|排名|市场|业内|人气|好评|全城|本市){_IN}{{0,4}}?(?:第一(?!次|时间|步|天|批|手|线|课|期|章)|no\.?1|top ?1(?!\d)|冠军|榜首)",
        "若属实：写明时间、地域、口径和数据来源；否则删除",
    ),
    _rule(
        "R5", "fake_evidence", "block",
        rf"(?:(?:100|9\d(?:\.\d+)?)%|百分之?(?:百|九十{_N}?)){_IN}{{0,6}}?(?:有效|治愈|见效|通过|就业|上岸|录取|满意|改善|成功|痊愈|提分|拿证|安全|纯天然)",
        "删除百分比承诺，改为过程或服务的描述",
    ),
    _rule(
        "R6", "fake_evidence", "block",
        rf"{_N}\s?(?:天|周|次|分钟|小时|个月|盒|瓶|堂课|节课|个疗程){_IN}{{0,6}}?(?:见效|瘦(?!身操)|变白|白一圈|美白|提分|拿证|根治|断根|祛斑|祛痘|长高|上岸|学会(?=赚)|暴瘦|减掉?\d)",
        "不承诺多久有效果，写清使用方法和因人而异",
    ),
    _rule(
        "R7", "finance_claim", "block",
        rf"(?:年化|收益率?|回报率?|利率|月息|日息){_IN}{{0,6}}?\d{{1,8}}(?:\.\d{{1,4}})?%",
        "删除收益数字，加风险提示；金融内容须持牌机构审核",
    ),
    _rule(
        "R8", "realestate_claim", "review",
        rf"{_N}\s?分钟{_IN}{{0,4}}?(?:到|直达|抵达|步行至?|走到){_IN}{{0,4}}?(?:地铁|市中心|学校|商圈|高铁|机场|医院)",
        "写实际距离（米、公里），不写分钟",
    ),
    _rule(
        "R9", "price_claim", "review",
        r"(?:原价|市场价|专柜价|吊牌价|零售价|日常价|官网价|门市价|划线价)(?:为|是|:)?\s?(?:¥|rmb)?\s?\d",
        "对比价要留证据：近七日最低成交价；写清是什么价",
    ),
    _rule(
        "R10", "follow_inducement", "block",
        rf"(?:好评|五星|5星|晒图|晒单|买家秀|追评|评价){_IN}{{0,6}}?(?:返(?!修|回|校)|送(?!达|货|来|给我们)|领(?!取我)|得\d|{_N}元|红包|现金)",
        "感谢评价可以，不用返现、送礼换好评",
    ),
    _rule(
        "R11", "personal_data", "block",
        r"(?<!\d)(?:1[3-9]\d{9}|[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dx])(?!\d)",
        "换成客服入口或企业号码，不群发个人号码",
    ),
    _rule(
        "R12", "platform_evasion", "block",
        rf"(?:私下|线下|绕开平台|直接|单独|微信)(?:给我|向我|跟我)?(?:转账|打款|付款给|转钱|汇款)|(?:打款|转账|汇款|付款)(?:到|给|至){_IN}{{0,4}}?(?:个人|私人|我的|本人|老师|店长|微信)",
        "走店铺的收款方式，不引导私下转账",
    ),
    _rule(
        "R13", "urgency_claim", "review",
        r"最后(?:一|1|几|两|三)?(?:天|晚|小时|次|场|个名额|名额|机会)|倒计时|即将(?:涨价|截止|结束|恢复原价)|马上(?:涨价|结束|截止)|仅剩|过期不候",
        "写明真实的截止时间或剩余数量",
    ),
)  # fmt: skip

_WINDOW = 16
_NEGATION = re.compile(
    r"(?:禁止|严禁|谨防|不得|不要|请勿|切勿|拒绝|打击|不能|不可|不是|不会|不做|没有|杜绝|抵制|反对|远离|警惕|不许|严查|举报|不搞|不玩|不承诺|无需|无须|不用|不必)[^，。；！？,;!?\n]*$"
)
_VOLUNTARY = re.compile(r"(?:无需|不用|不必|自愿|无须|不需要)[^，。；！？,;!?\n]*$")
_BOUND_END = frozenset({Kind.DATE, Kind.TIME, Kind.DAY})
# In these trades a category is the trade's daily bread, and a licence stands behind it.
_LICENSED = {
    "finance": {"finance_claim"},
    "medical": {"medical_claim", "drug_device"},
    "health_food": {"health_food"},
}


class CopyCheck:
    """Looks for risks by list and pattern. Findings are hints for a reviewer, not a legal opinion.

    `context` may name `industry` (finance, medical, health_food, realestate …) and `evidence`, a
    comma-separated list of categories for which proof is attached; both change severities alone.
    """

    name = "llm_copy"
    title = _("Words and claims")

    def __init__(self, own_words: Sequence[str] = ()) -> None:
        self._trie = Trie((*shipped(), *own_terms(own_words)))

    def check(self, text: str, context: Mapping[str, str]) -> Sequence[Finding]:
        """The findings by place; where two overlap, the weightier one stands."""
        form, places = searchable(text, simplified())
        found: list[tuple[int, int, str, str, Severity, str]] = []
        allowed: list[tuple[int, int]] = []
        for hit in self._trie.find(form):
            term = hit.term
            if not term.category:
                allowed.append((hit.start, hit.end))
                continue
            found.append((hit.start, hit.end, "", term.category, term.severity, term.suggestion))
        bound: bool | None = None
        for rule in RULES:
            for match in rule.pattern.finditer(form):
                if any(start <= match.start() and match.end() <= end for start, end in allowed):
                    continue
                if rule.id in {"R1", "R2"} and _VOLUNTARY.search(form[: match.start()][-_WINDOW:]):
                    continue
                if rule.id == "R13":
                    if bound is None:
                        bound = any(fact.kind in _BOUND_END for fact in extract(text))
                    if bound:
                        continue
                severity: Severity = rule.severity
                if rule.id == "R8" and context.get("industry") == "realestate":
                    severity = "block"
                found.append((*match.span(), rule.id, rule.category, severity, rule.suggestion))
        findings = []
        for start, end, _rule_id, category, severity, suggestion in _outweigh(found):
            severity = self._weigh(form, start, category, severity, context)
            first, last = places[start], places[end - 1] + 1
            findings.append(
                Finding(first, last, text[first:last], category, severity, REASONS[category], suggestion)
            )
        return findings

    def _weigh(
        self, form: str, start: int, category: str, severity: Severity, context: Mapping[str, str]
    ) -> Severity:
        if category not in {"personal_data", "own_words"} and _NEGATION.search(
            form[max(0, start - _WINDOW) : start]
        ):
            return "hint"
        if category in _LICENSED.get(context.get("industry", ""), ()):
            return "review" if severity == "block" else "hint"
        evidence = {item.strip() for item in context.get("evidence", "").split(",")}
        if category in {"rank_claim", "price_claim", "urgency_claim"} and category in evidence:
            return "hint"
        return severity


def verdict(findings: Sequence[Finding]) -> str:
    """blocked, needs_review or no_findings; never a word that a text is lawful."""
    severities = {finding.severity for finding in findings}
    if "block" in severities:
        return "blocked"
    return "needs_review" if "review" in severities else "no_findings"


_WEIGHT = {"block": 2, "review": 1, "hint": 0}


def _outweigh(
    found: list[tuple[int, int, str, str, Severity, str]],
) -> list[tuple[int, int, str, str, Severity, str]]:
    kept: list[tuple[int, int, str, str, Severity, str]] = []
    for item in sorted(found, key=lambda f: (-_WEIGHT[f[4]], f[0] - f[1], f[0])):
        if all(item[1] <= other[0] or item[0] >= other[1] for other in kept):
            kept.append(item)
    return sorted(kept)
