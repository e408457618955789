"""Units as they are written and what they mean: 块钱 is 元, 个小时 is 小时, 位 and 人 are 名."""
# ruff: noqa: E501 - Chinese characters count as two columns, and these tables read better unbroken.

import re

_GROUPS: dict[str, str] = {
    "元": "元 块钱 块 圆 人民币 RMB rmb",
    "角": "角 毛",
    "%": "% 个百分点",
    "折": "折",
    "倍": "倍",
    "秒": "秒钟 秒",
    "分钟": "分钟 min mins",
    "小时": "个小时 小时 个钟头 钟头 个钟 h",
    "天": "天 日",
    "工作日": "个工作日 工作日",
    "晚": "晚",
    "周": "个星期 个礼拜 星期 礼拜 周",
    "月": "个月",
    "年": "年",
    "岁": "岁 周岁",
    "月龄": "月龄",
    "积分": "积分",
    "分": "分",
    "名": "名 位 人 个人",
    "斤": "斤",
    "公斤": "公斤 千克 kg KG Kg",
    "克": "克 g",
    "毫克": "毫克 mg",
    "毫升": "毫升 ml ML mL",
    "升": "升 L",
    "厘米": "厘米 公分 cm CM",
    "毫米": "毫米 mm",
    "米": "米 m",
    "公里": "公里 千米 km",
    "度": "度 ℃ °C",
    "件": "件",
    "号楼": "号楼",
    "号店": "号店",
}
_PLAIN = (
    "个 份 单 次 节 课时 堂 讲 期 页 本 张 套 盒 箱 包 瓶 罐 片 支 双 条 组 种 款 篇 步 招 级 群 场 章 道 题 "
    "席 杯 袋 桶 听 颗 粒 枚 户 家 批 轮 段 码 句 项 类 门 台 辆 间 房 层 楼 封 首 集 刷 关 卡 餐 顿 圈 遍 回 "
    "团 星 键 字 代 排 把 只 头 匹 幅 副 株 朵 束 对 班 课 点"
)

UNITS: dict[str, str] = {
    surface: unit for unit, surfaces in _GROUPS.items() for surface in surfaces.split()
} | {unit: unit for unit in _PLAIN.split()}

UNIT = (
    "(?:"
    + "|".join(
        re.escape(unit) + (r"(?![A-Za-z])" if unit[-1].isascii() and unit[-1].isalpha() else "")
        for unit in sorted(UNITS, key=len, reverse=True)
    )
    + ")"
)

# 一个, 一份, 一张 mostly mean "a": with these units alone is 一 a quantity by itself.
COUNTS_AS_ONE = frozenset(
    [
        "元",
        "%",
        "折",
        "倍",
        "秒",
        "分钟",
        "小时",
        "年",
        "岁",
        "斤",
        "公斤",
        "克",
        "毫升",
        "升",
        "积分",
        "课时",
        "工作日",
    ]
)
# 半 is a number before these.
HALVES = frozenset(["小时", "年", "月", "天", "斤", "岁", "公斤", "价"])
