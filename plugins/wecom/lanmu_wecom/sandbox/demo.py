"""The demo corp of the sandbox: two shops, their people, customer groups, customers and robots.

A structure, not only rows, so that the same communities and members can be created in Lanmu.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoCorp:
    """The sandbox's own corp; its secret opens nothing anywhere else."""

    corpid: str
    secret: str
    agentid: int
    name: str


@dataclass(frozen=True, slots=True)
class DemoEmployee:
    userid: str
    name: str
    shop: str
    trade: str


@dataclass(frozen=True, slots=True)
class DemoGroup:
    """A customer group; `members` is its head count, `stage` and `tags` are for Lanmu's community."""

    chat_id: str
    name: str
    owner: str
    members: int
    trade: str
    stage: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DemoCustomer:
    """A customer; the first of `followers` is the employee who chatted with them last."""

    external_userid: str
    name: str
    followers: tuple[str, ...]
    groups: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DemoRobot:
    """A robot in an internal group."""

    name: str
    key: str
    chat_name: str
    owner: str
    members: int


@dataclass(frozen=True, slots=True)
class Seed:
    corp: DemoCorp
    employees: tuple[DemoEmployee, ...]
    groups: tuple[DemoGroup, ...]
    customers: tuple[DemoCustomer, ...]
    robots: tuple[DemoRobot, ...]


_GROUPS = (
    DemoGroup("wrDEMO0001", "小满妈妈1群(0-1岁)", "linxiao", 286, "母婴", "活跃期", ("0-1岁", "新手妈妈")),
    DemoGroup("wrDEMO0002", "小满妈妈2群(1-3岁)", "linxiao", 243, "母婴", "成长期", ("1-3岁",)),
    DemoGroup("wrDEMO0003", "小满会员福利群", "linxiao", 197, "母婴", "成熟期", ("会员", "福利")),
    DemoGroup("wrDEMO0004", "跃程教资备考1群", "chenke", 164, "职业教育", "活跃期", ("教师资格证", "备考")),
    DemoGroup("wrDEMO0005", "跃程会计实操2群", "chenke", 118, "职业教育", "成长期", ("会计", "在职")),
    DemoGroup("wrDEMO0006", "跃程学员福利群", "chenke", 83, "职业教育", "成熟期", ("会员", "福利")),
)

_MOTHERS = (
    "小满妈妈", "豆豆妈", "柚子妈妈", "一一麻麻", "木木妈", "糖果妈妈", "果果妈", "安安妈妈",
    "小鱼儿妈", "米粒妈妈", "乐乐妈", "朵朵妈妈", "团子妈", "可可妈妈", "星星妈", "暖暖妈妈",
)  # fmt: skip
_LEARNERS = (
    "周子衿", "何晓雯", "张弛", "顾念", "宋知遥", "梁佳怡", "许文博",
    "孙悦", "郑一帆", "吴桐", "冯晓", "邓思远", "蒋雨晴", "沈南",
)  # fmt: skip


def _customers() -> tuple[DemoCustomer, ...]:
    people = []
    for index, name in enumerate(_MOTHERS + _LEARNERS):
        mother = index < len(_MOTHERS)
        place = index if mother else index - len(_MOTHERS)
        own, other = ("linxiao", "chenke") if mother else ("chenke", "linxiao")
        rooms = [group for group in _GROUPS if group.owner == own]
        groups = [rooms[place % 2].chat_id] + ([rooms[2].chat_id] if place % 3 == 0 else [])
        if index == 0:  # one person who is in every group, so that one phone can show them all
            groups = [group.chat_id for group in _GROUPS]
        followers = (own, other) if place % 5 == 0 else (own,)
        tags = [rooms[place % 2].tags[0]] + (["会员"] if place % 3 == 0 else [])
        people.append(DemoCustomer(f"wmDEMO{index + 1:04d}", name, followers, tuple(groups), tuple(tags)))
    return tuple(people)


SEED = Seed(
    corp=DemoCorp("wwDEMO0000000001", "sandbox-secret-of-the-demo-corp", 1000002, "小满跃程（演示企业）"),
    employees=(
        DemoEmployee("linxiao", "林晓", "小满母婴", "母婴"),
        DemoEmployee("chenke", "陈可", "跃程学堂", "职业教育"),
    ),
    groups=_GROUPS,
    customers=_customers(),
    robots=(
        DemoRobot("小满播报", "5a4d8c10-0001-4000-8000-000000000001", "小满·运营值班群", "linxiao", 12),
        DemoRobot("跃程播报", "5a4d8c10-0002-4000-8000-000000000002", "跃程·教研内部群", "chenke", 9),
    ),
)
