"""Whatever Chinese text is there is found, on both databases, with filters, pages, totals and facets."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lanmu.interfaces.errors import Invalid
from lanmu.library import bigrams
from lanmu.library.search import SORTS, Filters
from lanmu.storage import Database

HAN = "促销活动限时优惠妈妈宝宝的一了"
texts = st.text(alphabet=HAN + "，。 A1", min_size=1, max_size=30)
queries = st.text(alphabet=HAN, min_size=1, max_size=4)


def ids(page):
    return [item.id for item in page.items]


def add(library, content, **changes):
    return library.materials.create(content(**changes), "周敏")


TYPED = [
    ("限时优惠", True),
    ("优惠", True),
    ("惠", True),
    ("限", True),
    ("优惠 今晚", True),
    ("时 间", False),
    ("优时", False),
    ("惠仅", False),
    ("ＶＩＰ", True),
    ("vi", True),
    ("ip", False),
    ("vip会员", True),
    ("会员日", True),
    ("会员 日", True),
    ("24点", True),
    ("24 点", True),
    ("4点", False),
    ("！！！", False),
    ("\U00020000好", True),
    ('"惠" OR "x', False),
    ("words:限时", False),
    ("-限时", True),
    ("c_engagement", False),
    ("'; DROP TABLE material; --", False),
]


def test_words_of_any_length_are_found_and_nothing_else(library, content):
    made = add(library, content, body="限时优惠，仅限今晚24点！VIP会员日\U00020000好", title="标题", tags=())
    for typed, found in TYPED:
        assert ids(library.search.find(Filters(text=typed))) == ([made.id] if found else []), typed


def test_title_topic_tags_and_owner_are_searched_too(library, content):
    made = add(
        library, content, title="辅食机测评", topic="好物", tags=("小厨房",), owner="林晓", body="…正文"
    )
    for typed in ("测评", "好物", "厨房", "林晓", "正文"):
        assert ids(library.search.find(Filters(text=typed))) == [made.id], typed


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(texts, min_size=1, max_size=6), queries)
def test_a_search_finds_what_looking_through_every_text_finds(index, written, typed):
    index.fill(written)
    plain = {number for number, text in enumerate(written) if typed in text}
    assert index.find(typed) == plain


class Index:
    """The index alone, without materials: filled and asked as the library does it."""

    def __init__(self, database: Database) -> None:
        self.sqlite = database.dialect == "sqlite"
        self.connection = database.engine.connect()
        if not self.sqlite:
            self.connection.exec_driver_sql("CREATE TEMPORARY TABLE found (id int, words tsvector)")

    def fill(self, written: list[str]) -> None:
        run = self.connection.exec_driver_sql
        run("DELETE FROM material_search" if self.sqlite else "DELETE FROM found")
        for number, text in enumerate(written):
            words = bigrams.words(text)
            if self.sqlite:
                run("INSERT INTO material_search (rowid, words) VALUES (?, ?)", (number, " ".join(words)))
            else:
                run("INSERT INTO found VALUES (%s, %s::tsvector)", (number, bigrams.tsvector(words, [])))

    def find(self, typed: str) -> set[int]:
        query = bigrams.read_query(typed)
        if self.sqlite:
            statement = "SELECT rowid FROM material_search WHERE material_search MATCH ?"
            rows = self.connection.exec_driver_sql(statement, (bigrams.for_fts5(query),))
        else:
            statement = "SELECT id FROM found WHERE words @@ %s::tsquery"
            rows = self.connection.exec_driver_sql(statement, (bigrams.for_tsquery(query),))
        return {row[0] for row in rows}


@pytest.fixture
def index(database):
    made = Index(database)
    yield made
    made.connection.close()


@given(st.text(max_size=60))
def test_index_words_hold_nothing_that_a_database_could_misread(text):
    for word in bigrams.words(text):
        assert re.fullmatch(r"[a-z0-9\u0080-\U0010ffff]+", word)
        assert not word.isspace()


def test_filters_narrow_a_list_and_a_search_alike(library, content):
    first = add(library, content, tags=("母婴", "a b,!".replace(",", "")), month="202503")
    second = add(
        library, content, content_class="brand", kind="values", tags=("母婴",), month="202504", owner="何川"
    )
    third = add(library, content, zone="ugc", genre="interaction_topic", form="topic", tags=())
    library.reviews.submit(third.id)

    def found(**filters):
        return set(ids(library.search.find(Filters(**filters))))

    assert found() == {first.id, second.id, third.id}
    assert found(content_class=("brand",)) == {second.id}
    assert found(content_class=("brand", "engagement")) == {first.id, second.id, third.id}
    assert found(zone=("knowledge",)) == {first.id, second.id}
    assert found(content_class=("engagement",), zone=("knowledge",)) == {first.id}
    assert found(content_class=("engagement", "brand"), zone=("knowledge", "ugc")) == found()
    assert found(content_class=("brand",), zone=("ugc",)) == set()
    assert found(kind=("values",)) == found(month=("202504",)) == found(owner=("何川",)) == {second.id}
    assert found(genre=("interaction_topic",)) == found(form=("topic",)) == {third.id}
    assert found(tags=("母婴",)) == {first.id, second.id}
    assert found(tags=("母婴", "a b!")) == {first.id}
    assert found(tags=("母",)) == set()
    assert found(state=("in_review",)) == {third.id}
    assert found(text="保暖", zone=("ugc",)) == {third.id}
    assert found(text="保暖", content_class=("brand",), tags=("母婴",)) == {second.id}
    assert found(in_use=True) == set()
    library.reviews.approve(third.id, 1, "林晓")
    assert found(in_use=True) == found(state=("approved",)) == {third.id}
    library.reviews.retire(third.id, "过季")
    assert found(in_use=True) == set()
    assert found(origin=("reprint",)) == found(state=("nonsense'\"",)) == set()


def test_the_index_follows_every_edit(library, content):
    made = add(library, content, body="从前的话")
    library.materials.edit(made.id, content(body="后来的话", tags=()), made.lock, "周敏")
    assert library.search.find(Filters(text="从前")).total == 0
    assert library.search.find(Filters(text="后来")).total == 1
    assert library.search.find(Filters(tags=("母婴",))).total == 0


def test_pages_show_every_material_once_and_the_total_stays(library, content):
    made = set()
    for number in range(7):
        changes = {
            "topic": f"话题{number % 3}",
            "title": f"标题{number % 2}",
            "month": f"20250{number % 3 + 1}",
        }
        made.add(add(library, content, **changes).id)
    for sort in SORTS:
        for text in ("", "保暖"):
            seen, cursor = [], ""
            while True:
                page = library.search.find(Filters(text=text), sort=sort, cursor=cursor, limit=3)
                assert page.total == 7
                seen += ids(page)
                cursor = page.next_cursor
                if not cursor:
                    break
            assert len(seen) == 7, sort
            assert set(seen) == made, sort


def test_a_page_at_its_limit_has_no_empty_page_behind_it(library, content):
    for _number in range(4):
        add(library, content)
    page = library.search.find(limit=2)
    assert library.search.find(limit=2, cursor=page.next_cursor).next_cursor == ""


def test_the_total_is_right_after_every_change(library, content):
    for number in range(1, 4):
        last = add(library, content)
        assert library.search.find(Filters(text="保暖"), limit=1).total == number
    library.materials.edit(last.id, content(body="别的话"), last.lock, "周敏")
    assert library.search.find(Filters(text="保暖"), limit=1).total == 2


@pytest.mark.parametrize(
    "cursor", ["x", "W10", "äöü", "WyJuZXdlc3QiLDEsMl0", "WyJ1cGRhdGVkIiwxLDJd", "bnVsbA"]
)
def test_a_foreign_cursor_is_refused(small_library, cursor):
    with pytest.raises(Invalid):
        small_library.search.find(cursor=cursor)


def test_a_cursor_belongs_to_its_sort(small_library, content):
    for _number in range(2):
        add(small_library, content)
    cursor = small_library.search.find(limit=1).next_cursor
    with pytest.raises(Invalid):
        small_library.search.find(limit=1, cursor=cursor, sort="title")
    with pytest.raises(Invalid):
        small_library.search.find(sort="nonsense")
    with pytest.raises(Invalid):
        small_library.search.find(limit=201)


def test_a_row_tells_what_a_list_shows(library, content):
    made = add(library, content)
    (row,) = library.search.find().items
    assert (row.id, row.key, row.name, row.title) == (made.id, made.key, made.name, made.content.title)
    assert (row.tags, row.excerpt, row.in_use, row.cover) == (made.content.tags, made.content.body, False, "")
    assert row.updated_at == made.updated_at


def test_facets_count_each_axis_under_the_others(library, content):
    add(library, content)
    add(library, content, content_class="brand", kind="values", tags=("品牌",))
    facets = library.search.facets(Filters(content_class=("brand",))).counts
    assert facets["content_class"] == {"brand": 1, "engagement": 1}
    assert facets["kind"] == {"values": 1}
    assert facets["tag"] == {"品牌": 1}
    assert facets["state"] == {"draft": 1}
    found = library.search.facets(Filters(text="保暖")).counts
    assert found["zone"] == {"knowledge": 2}
    assert library.search.facets(Filters(text="！")).counts["zone"] == {}
