"""What counts as a fact, and how differently one may write it and mean the same."""
# ruff: noqa: E501 - Chinese characters count as two columns, and a case reads best on one line.

import time

import pytest

from lanmu_llm_copy.facts import Kind, extract
from lanmu_llm_copy.lock import Decision, compare

FOUND = [
    # placeholders
    ("{{ member.nickname }}你好", "placeholder {{member.nickname}}"),
    ("{{member.nickname|default('宝 妈')}}", "placeholder {{member.nickname|default('宝 妈')}}"),
    ("%NICKNAME%，早", "placeholder %NICKNAME%"),
    ("%nickname%，早", ""),
    ("${name}在吗", "placeholder ${name}"),
    ("{% if vip %}老朋友{% endif %}", "placeholder {%ifvip%} placeholder {%endif%}"),
    ("⟦F9⟧在", "placeholder ⟦F9⟧"),
    ("坏掉的 {{ name }在这", "placeholder {{ placeholder }"),
    # what machines read
    ("看https://a.cn/p?id=3&b=2。好", "link https://a.cn/p?id=3&b=2"),
    ("看 https://a.cn/x，快来", "link https://a.cn/x"),
    ("（https://a.cn/x）", "link https://a.cn/x"),
    ("(https://a.cn/x)", "link https://a.cn/x"),
    ("www.lanmu.cn/a看看", "link www.lanmu.cn/a"),
    ("打开 shop.example.com/a", "link shop.example.com/a"),
    ("https://a.cn/?u={{ member.id }}看", "link https://a.cn/?u={{ member.id }}"),
    ("#小程序://小满的店/AbC12 打开", "link #小程序://小满的店/AbC12"),
    ("pages/goods/detail?id=88 打开", "link pages/goods/detail?id=88"),
    ("发邮件到 hi@lanmu.cn 吧", "link hi@lanmu.cn"),
    ("![书桌](images/desk-1.png)", "link ![书桌](images/desk-1.png)"),
    ("优惠码：MAMA30，", "code MAMA30"),
    ("型号A-12B", "code A-12B"),
    ("回复「资料」领", "code 资料"),
    ("回复“资料”领", "code 资料"),
    ("想要的扣1", "code 1"),
    ("口令 spring 进群", "code spring"),
    ("@所有人 来", "mention @所有人"),
    ("@小满 在吗", "mention @小满"),
    ("电话13800001234", "phone 13800001234"),
    ("电话138-0000-1234", "phone 13800001234"),
    ("客服400-820-8820", "phone 4008208820"),
    ("《简历怎么写》开课", "name 《简历怎么写》"),
    # days
    ("11月30日见", "date 11月30日"),
    ("11/30见", "date 11月30日"),
    ("2025-11-30见", "date 2025年11月30日"),
    ("2025年11月30日见", "date 2025年11月30日"),
    ("十一月三十日见", "date 11月30日"),
    ("15号前下单", "date 15日"),
    ("8月开课", "date 8月"),
    ("双十一来了", "date 双11"),
    ("双11来了", "date 双11"),
    ("618大促", "date 618"),
    ("五一去哪", "date 五一"),
    ("周六见", "date 周六"),
    ("星期六见", "date 周六"),
    ("每周三更新", "date 每周三"),
    ("下周一开课", "date 下周一"),
    ("今晚有空吗", "day 今天"),
    ("明天见", "day 明天"),
    ("本月有活动", "day 本月"),
    # hours
    ("20:30开播", "time 20:30"),
    ("20：30开播", "time 20:30"),
    ("晚上8点半开播", "time 20:30"),
    ("晚8点开播", "time 20:00"),
    ("下午三点见", "time 15:00"),
    ("上午10点", "time 10:00"),
    ("中午12点", "time 12:00"),
    ("中午一点", "time 13:00"),
    ("今晚24点前", "day 今天 time 24:00"),
    ("晚上12点前", "time 24:00"),
    ("凌晨12点", "time 00:00"),
    ("8点一刻出发", "time 08:15"),
    ("8:30 PM 开始", "time 20:30"),
    ("20:00-21:30", "time 20:00 time 21:30"),
    ("晚上8-10点", "time 20:00–22:00"),
    # numbers
    ("89元", "number 89元"),
    ("¥89", "number 89元"),
    ("￥89.00", "number 89元"),
    ("89块钱", "number 89元"),
    ("1,299元", "number 1299元"),
    ("两百五十元", "number 250元"),
    ("两百五元", "number 250元"),
    ("三千人", "number 3000名"),
    ("3000人", "number 3000名"),
    ("1.2万人", "number 12000名"),
    ("3w人", "number 30000名"),
    ("8.9折", "number 8.9折"),
    ("89折", "number 8.9折"),
    ("打五折", "number 5折"),
    ("半价", "number 5折"),
    ("30%", "number 30%"),
    ("百分之三十", "number 30%"),
    ("百分百", "number 100%"),
    ("５０％", "number 50%"),
    ("89元起", "number 89元·起"),
    ("低至89元", "number 89元·起"),
    ("最高立减50元", "number 50元·限"),
    ("仅剩3席", "rule 剩3席"),
    ("超过3000人", "number 3000名·超"),
    ("3000+人", "number 3000名·超"),
    ("近3000人", "number 3000名·约"),
    ("7天内", "number 7天·限"),
    ("3-5天", "number 3–5天"),
    ("3到5天", "number 3–5天"),
    ("3个月", "number 3月"),
    ("半小时", "number 0.5小时"),
    ("1个半小时", "number 1.5小时"),
    ("一小时", "number 1小时"),
    ("一岁半", "number 1.5岁"),
    ("500ml", "number 500毫升"),
    ("500毫升", "number 500毫升"),
    ("第3期", "number 第3期"),
    ("第三期", "number 第3期"),
    ("三个问题", "number 3个"),
    ("共20节课", "rule 共20节"),
    ("100积分", "number 100积分"),
    ("2024", "number 2024"),
    ("睡前一小时", "number 1小时"),
    # rules
    ("满199减30", "rule 满199减30"),
    ("满199元立减30元", "rule 满199减30"),
    ("满199，再减30", "rule 满199减30"),
    ("每满300减50", "rule 每满300减50"),
    ("满3件打8折", "rule 满3件打8折"),
    ("满99包邮", "rule 满99包邮"),
    ("满两百减二十", "rule 满200减20"),
    ("买一送一", "rule 买1送1"),
    ("买2赠1", "rule 买2送1"),
    ("第二件半价", "rule 第2件5折"),
    ("前50名", "rule 前50名"),
    ("前五十位", "rule 前50名"),
    ("限购2件", "rule 限2件"),
    ("限量100份", "rule 限100份"),
    ("每人限领1份", "rule 每人1份"),
    ("每人一份", "rule 每人1份"),
    ("一对一辅导", "rule 1对1"),
    ("1V1辅导", "rule 1对1"),
    ("先试后买", "rule 先试后买"),
    # words that bind
    ("免费领", "benefit 免费"),
    ("包邮到家", "benefit 包邮"),
    ("下单送收纳袋", "benefit 赠"),
    ("不可与其他券叠加", "condition 不叠加"),
    ("不能叠加使用", "condition 不叠加"),
    ("可叠加", "condition 可叠加"),
    ("不含运费", "condition 不含"),
    ("仅限新客", "condition 仅限"),
    ("拆封后不退换", "condition 不退换"),
    ("限时", "urgency 限时"),
]

IDIOMS = [
    "一定一起一下一样一直一般", "万一下雨", "千万别忘", "十分感谢", "万分抱歉", "给你一点建议", "早点睡，快点来，有点累",
    "第一时间告诉你", "第一次来", "一个好消息", "一份心意", "一张照片", "每天一个小技巧", "三言两语", "五花八门", "百科知识",
    "千家万户", "二维码", "三明治", "四川", "六神无主", "两口子", "一年四季", "乱七八糟", "一块儿去", "十全十美",
    "再一次", "一心一意", "万事开头难", "统一安排", "唯一", "一边吃一边聊", "一些想法", "说一声", "聊一聊", "看一看",
    "1. 洗手\n2. 擦脸\n3. 睡觉", "①洗手\n②擦脸", "一句话", "一位朋友", "百闻不如一见", "一路走来", "举一反三",
]  # fmt: skip

SAME = [
    ("¥89元，11月30日", "89元，11/30"),
    ("{{ member.nickname }}你好", "{{member.nickname}}你好"),
    ("今晚8点半开播", "今晚20:30开播"),
    ("今天晚上8点半开播", "今晚20:30开播"),
    ("三千人", "3000人"),
    ("两百五十元", "250元"),
    ("满199元减30元，限购2件", "限购2件，满199减30"),
    ("半价", "5折"),
    ("不可叠加使用", "不能叠加"),
    ("前50名加赠", "加赠，前50位"),
    ("回复「资料」", "回复“资料”"),
    ("周六晚上八点", "星期六20:00"),
    ("限时优惠89元", "优惠89元"),
    ("宝宝要睡好", "今天聊聊宝宝怎么睡好"),
    ("11月30日截止", "11月30日截止，别忘了11月30日"),
    ("低至89元", "89元起"),
    ("买一送一", "买1送1"),
    ("第二件半价", "第2件5折"),
    ("每人限领1份", "每人一份"),
    ("原价 1,299 元", "原价1299元"),
]

BROKEN = [
    ("10元", "10元，再减10元"),
    ("先减10元，再返10元", "先减10元"),
    ("89元", "79元"), ("89元", ""), ("89元起", "89元"), ("最高立减50元", "立减50元"), ("89元", "89元，再减10元"),
    ("满199减30", "199减30"), ("满199减30", "满199减20"), ("满199减30", "满99减30"), ("买一送一", "买二送一"),
    ("买一送一", "买一送二"), ("第二件半价", "两件半价"), ("前50名", "前500名"), ("限购2件", "购2件"), ("限购2件", "限购3件"),
    ("每人一份", "每家两份"), ("8.9折", "8折"), ("https://a.cn/x?id=1", "https://a.cn/x?id=2"), ("https://a.cn/x", ""),
    ("好消息", "好消息 https://evil.cn"), ("{{ member.nickname }}", "{{ Member.nickname }}"),
    ("{{ member.nickname }}", "{{ 会员.昵称 }}"), ("{{ member.nickname }}", "{ member.nickname }"), ("%NICKNAME%", "%Nickname%"),
    ("优惠码MAMA30", "优惠码mama30"), ("优惠码MAMA30", "优惠码MAMA31"), ("11月30日", "11月13日"), ("11月30日", "11月"),
    ("20:30", "20:00"), ("晚上8点", "早上8点"), ("今晚", "明晚"), ("周六", "周日"), ("下周一", "周一"), ("下单吧", "3000人下单了"),
    ("送礼", "免费送礼"), ("下单", "下单送收纳袋"), ("有活动", "有红包"), ("不可叠加", "可叠加"), ("不可叠加", ""), ("不含运费", "含运费"),
    ("仅限新客", "新客"), ("先试后买", "先买后试"), ("先付后退", "先退后付"), ("一对一辅导", "辅导"), ("《简历怎么写》", "《简历》"),
    ("@所有人", "@全体成员"), ("13800001234", "13800001235"), ("回复「资料」", "回复「礼包」"), ("3-5天", "3天"), ("3-5天", "5天"),
    ("第3期", "第4期"), ("聊聊睡眠", "聊聊睡眠，最后一天"), ("聊聊睡眠", "聊聊睡眠，限时"), ("1.2万人", "12万人"), ("30%", "3%"),
    ("满99包邮", "包邮"), ("三个问题", "四个问题"), ("⟦F1⟧", ""), ("宝贝", "宝贝⟦F7⟧"), ("7天内退换", "退换"), ("500ml", "50ml"),
    ("1. 洗手\n2. 擦脸", "1. 洗手\n3. 擦脸"), ("特价", "原价"), ("每天10分钟", "每天20分钟"), ("三点建议", "五点建议"),
    ("pages/goods/detail?id=88", "pages/goods/detail?id=89"), ("半小时", "一小时"), ("好课", "好课5折"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), FOUND)
def test_a_fact_is_found_and_normalised(text: str, wanted: str) -> None:
    assert " ".join(f"{fact.kind} {fact.key}" for fact in extract(text)) == wanted


@pytest.mark.parametrize("text", IDIOMS)
def test_a_number_word_inside_an_idiom_is_no_fact(text: str) -> None:
    assert extract(text) == []


@pytest.mark.parametrize(("source", "candidate"), SAME)
def test_another_way_to_write_a_fact_passes(source: str, candidate: str) -> None:
    result = compare(source, candidate)
    assert result.decision is Decision.PASS, result.problems


@pytest.mark.parametrize(("source", "candidate"), BROKEN)
def test_a_fact_lost_changed_or_invented_is_rejected(source: str, candidate: str) -> None:
    result = compare(source, candidate)
    assert result.decision is Decision.REJECT
    assert result.problems


def test_spans_point_at_the_text_they_came_from() -> None:
    text = "今晚 24 点前，满199减30，详情 https://a.cn/x?id=1。{{ member.nickname }}记得来"
    for fact in extract(text):
        if fact.start != fact.end:
            assert text[fact.start : fact.end] == fact.surface


def test_a_name_handed_in_must_stay_word_for_word() -> None:
    assert compare("小满3段奶粉到货", "奶粉到货了", names=["小满3段"]).decision is Decision.REJECT
    assert compare("小满3段奶粉到货", "到货了：小满3段奶粉", names=["小满3段"]).decision is Decision.PASS


def test_a_fact_from_the_fact_sheet_may_be_added() -> None:
    assert compare("奶粉到货", "奶粉到货，89元", allowed=["89元"]).usable
    assert not compare("奶粉到货", "奶粉到货，79元", allowed=["89元"]).usable


def test_a_lost_not_beside_a_number_asks_for_a_second_look() -> None:
    result = compare("不是89元", "是89元")
    assert result.decision is Decision.LOOK
    assert result.usable
    assert result.problems


def test_a_near_miss_placeholder_is_named_with_the_right_one() -> None:
    result = compare("{{ member.nickname }}", "{{ Member.nickname }}")
    assert "did you mean {{ member.nickname }}" in result.problems[0]


def test_the_table_says_what_became_of_each_fact() -> None:
    result = compare("89元，限购2件，20:30", "79元，20:30，前50名")
    states = sorted((line.kind, line.source, line.proposal, line.state.value) for line in result.lines)
    assert ("number", "89元", "79元", "changed") in states
    assert ("time", "20:30", "20:30", "kept") in states
    assert ("rule", "限购2件", "前50名", "changed") in states


def test_invisible_characters_do_not_hide_a_fact() -> None:
    assert [fact.key for fact in extract("8\u200b9元")] == ["89元"]
    assert not compare("89元", "8\u20609元，7\u200b9元").usable


def test_the_kinds_are_all_reachable() -> None:
    kinds = {fact.kind for text, _wanted in FOUND for fact in extract(text)}
    assert kinds == set(Kind)


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "a",
        "a.",
        "-",
        "{",
        "{{",
        "⟦F",
        "@",
        "a@",
        "满",
        "一",
        "https://",
        "1,111",
        "。",
        "每",
        "8点",
        "不",
        "先",
        "回复「",
        "1-",
    ],
)
def test_a_hostile_text_of_four_thousand_characters_is_read_in_time(piece: str) -> None:
    text = (piece * 4000)[:4000]
    start = time.process_time()
    extract(text)
    assert time.process_time() - start < 2
