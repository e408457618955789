"""The two ways of cutting content that come with Lanmu, and the axes they share, as data."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

Axis = Literal["kind", "zone", "genre", "form", "origin"]
AXES: tuple[Axis, ...] = ("kind", "zone", "genre", "form", "origin")


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the taxonomy.

    `parent` is a kind's class or a genre's zone; `share` is a class's per cent of the mix.
    """

    code: str
    title_zh: str
    title_en: str
    parent: str = ""
    share: int = 0

    def title(self, locale: str) -> str:
        return self.title_en if locale == "en" else self.title_zh


@dataclass(frozen=True, slots=True)
class Preset:
    """A whole taxonomy under a name."""

    name: str
    title_zh: str
    title_en: str
    classes: tuple[Term, ...]
    kinds: tuple[Term, ...]


ZONES = (
    Term("knowledge", "知识干货区", "Knowledge"),
    Term("visual", "视觉素材区", "Visuals"),
    Term("activity", "活动素材区", "Activities"),
    Term("ugc", "用户UGC区", "From users"),
)

GENRES = (
    Term("report", "行业报告", "Industry report", "knowledge"),
    Term("guide", "操作指南", "How-to guide", "knowledge"),
    Term("chart", "数据图表", "Chart", "knowledge"),
    Term("product_photo", "产品展示图", "Product photo", "visual"),
    Term("scene_photo", "用户场景图", "Scene photo", "visual"),
    Term("sticker", "表情包", "Sticker", "visual"),
    Term("coupon_template", "优惠券模板", "Coupon template", "activity"),
    Term("countdown_poster", "倒计时海报", "Countdown poster", "activity"),
    Term("live_preview", "直播预告", "Livestream preview", "activity"),
    Term("praise_screenshot", "好评截图", "Praise screenshot", "ugc"),
    Term("feedback_video", "使用反馈视频", "Feedback video", "ugc"),
    Term("interaction_topic", "互动话题", "Discussion topic", "ugc"),
)

FORMS = (
    Term("text", "短文", "Text"),
    Term("image", "图片", "Image"),
    Term("image_text", "图文", "Text with images"),
    Term("link", "链接", "Link"),
    Term("video", "视频", "Video"),
    Term("poster", "海报", "Poster"),
    Term("topic", "话题", "Topic"),
)

ORIGINS = (
    Term("original", "原创", "Original"),
    Term("reprint", "转载", "Reprint"),
    Term("ugc", "征集", "Collected from users"),
)

LIFECYCLE = Preset(
    "lifecycle",
    "促活 · 转化 · 品牌",
    "Engagement · conversion · brand",
    classes=(
        Term("engagement", "促活", "Engagement", share=50),
        Term("conversion", "转化", "Conversion", share=30),
        Term("brand", "品牌", "Brand", share=20),
    ),
    kinds=(
        Term("industry_insight", "行业干货", "Industry know-how", "engagement"),
        Term("hot_topic", "热点解读", "Hot topic", "engagement"),
        Term("user_story", "用户故事", "User story", "engagement"),
        Term("limited_offer", "限时优惠", "Limited offer", "conversion"),
        Term("product_review", "产品测评", "Product review", "conversion"),
        Term("case_study", "案例解析", "Case study", "conversion"),
        Term("values", "价值观传递", "What we stand for", "brand"),
        Term("persona", "IP 形象塑造", "Persona", "brand"),
        Term("responsibility", "社会责任", "Social responsibility", "brand"),
    ),
)

# Too much about the product makes a community a sales channel that people mute, so interaction leads here.
TOPICAL = Preset(
    "topical",
    "互动 · 产品 · 价值观",
    "Interaction · product · values",
    classes=(
        Term("interaction", "互动", "Interaction", share=50),
        Term("product", "产品", "Product", share=30),
        Term("belief", "价值观", "Values", share=20),
    ),
    kinds=(
        Term("discussion", "话题讨论", "Discussion", "interaction"),
        Term("game", "互动游戏", "Game", "interaction"),
        Term("product_news", "产品介绍", "About the product", "product"),
        Term("service_news", "服务介绍", "About the service", "product"),
        Term("brand_belief", "品牌主张", "What the brand believes", "belief"),
        Term("team_story", "团队故事", "Stories of the team", "belief"),
    ),
)

PRESETS = {preset.name: preset for preset in (LIFECYCLE, TOPICAL)}


@cache
def class_titles() -> dict[str, str]:
    """Chinese word of every class that a preset knows, by code."""
    return {term.code: term.title_zh for preset in PRESETS.values() for term in preset.classes}


@cache
def form_titles() -> dict[str, str]:
    """Chinese word of every form, by code."""
    return {term.code: term.title_zh for term in FORMS}
