"""A shop's own files become a dataset by a mapping, and what does not is named."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from models.dataset import DatasetError, FaultCode, read_dataset
from models.dataset.schema import SALES
from models.domain.event import EventType
from tests.proofs import ROOT
from training.importers.command import NOT_IMPORTED, app
from training.importers.hints import hints_for
from training.importers.imported import Imported
from training.importers.mapping import MappingError, read_mapping
from training.importers.table import Files, import_table

MAPPING = """
time_zone: Europe/Paris
time_format: "%d/%m/%Y %H:%M"
currency: EUR
csv: {separator: ";", decimal: ",", encoding: cp1252}
events:
  types:
    view: {action: page}
    purchase: {action: [order, phone order]}
  left_out:
    tests: {who: {begins_with: test}}
  columns: {event_id: nr, customer_id: who, sale_id: offer, at: when, price: paid}
sales:
  columns:
    {sale_id: id, title: name, opens_at: from, price: amount, image: "{id}.jpg", stars: stars}
"""
EVENTS = """nr;who;offer;when;action;paid;note
1;anna;s1;14/07/2025 09:30;page;;
2;anna;s1;14/07/2025 09:40;order;"1.234,50";
3;test7;s1;14/07/2025 09:50;page;;
4;bert;s2;14.07.2025;page;;
5;bert;s2;14/07/2025 10:00;wave;;
6;;s2;14/07/2025 10:00;page;;
"""
OFFERS = """id;name;from;amount;stars
s1;Forêt à 5 €;01/07/2025 00:00;99,9;4
s2;Plage;01/07/2025 00:00;120;3
"""


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding=encoding)
    return path


def lines(path: Path, *rows: object) -> Path:
    return write(path, "".join(f"{json.dumps(row)}\n" for row in rows))


def imported_by(mapping: str, out: Path, *events: Path, **others: Path) -> Imported:
    return import_table(Files(events, **others), read_mapping(mapping), out=out)


def rows_of(out: Path, *columns: str, table: str = "events") -> list[tuple[object, ...]]:
    return pl.read_parquet(out / f"{table}.parquet").select(columns).rows()


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Path, Imported]:
    imported = imported_by(
        str(write(tmp_path / "map.yaml", MAPPING)),
        tmp_path / "out",
        write(tmp_path / "log.csv", EVENTS, "cp1252"),
        sales=write(tmp_path / "offers.csv", OFFERS, "cp1252"),
    )
    return tmp_path / "out", imported


def test_columns_values_times_and_numbers_become_those_of_the_contract(
    shop: tuple[Path, Imported],
) -> None:
    out, imported = shop

    dataset = read_dataset(out)
    assert rows_of(out, "event_id", "type", "price") == [
        ("1-view", "view", None),
        ("2-purchase", "purchase", 1234.5),
    ]
    # 09:30 in the summer of Paris.
    at = pl.read_parquet(out / "events.parquet")["at"]
    assert at[0].isoformat() == "2025-07-14T07:30:00+00:00"
    first = dataset.sales[0]
    assert (first.title, first.price, first.currency) == ("Forêt à 5 €", 99.9, "EUR")
    assert first.attributes == {"stars": 4.0}
    assert imported.n_events == {"view": 1, "purchase": 1}
    assert imported.unused == {"log.csv": ["note"], "offers.csv": []}


def test_what_is_not_imported_is_counted_and_named_by_row(shop: tuple[Path, Imported]) -> None:
    _, imported = shop

    assert imported.left_out == {"tests": 1}
    assert {fault.row: fault.code for fault in imported.faults} == {
        4: FaultCode.UNPARSABLE_TIME,
        5: FaultCode.UNKNOWN_TYPE,
        6: FaultCode.MISSING_VALUE,
    }
    fourth = next(iter(imported.faults.with_codes(FaultCode.UNPARSABLE_TIME)))
    assert json.loads(fourth.record or "")["when"] == "14.07.2025"
    assert "log.csv, row 4" in str(fourth)


def test_the_command_keeps_rows_apart_from_those_of_validate(tmp_path: Path) -> None:
    arguments = ["table", "--map", str(write(tmp_path / "map.yaml", MAPPING))]
    arguments += ["--events", str(write(tmp_path / "log.csv", EVENTS, "cp1252"))]
    arguments += ["--sales", str(write(tmp_path / "offers.csv", OFFERS, "cp1252"))]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])

    assert result.exit_code == 0, result.output
    assert "events: purchase 1, view 1" in result.stdout
    assert "rows left out, as the mapping says: tests 1" in result.stdout
    assert "columns of log.csv not in the mapping: note" in result.stdout
    kept = pl.read_parquet(tmp_path / "out" / NOT_IMPORTED)
    assert sorted(kept["row"].to_list()) == [4, 5, 6]


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("time_zone: Paris", "time_zone", "'Paris' is no time zone such as 'Europe/Paris'"),
        ("time_format: iso8601", "time_format", "'iso8601' is none of iso, s, ms, us, ns"),
        ("curency: EUR", "curency", "Extra inputs are not permitted"),
        ("events: {types: {buy: {}}, columns: {}}", "events.0", "'buy' is no type of event"),
        (
            "events: {types: {view: {}}, columns: {customer: c, sale_id: s, at: t}}",
            "events.0",
            "columns must say where 'customer_id' comes from",
        ),
        (
            "events: {types: {view: {}}, columns: {customer_id: c, sale_id: s, at: t, prize: p}}",
            "events.0",
            "events have no column 'prize', do you mean 'price'",
        ),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_place(
    tmp_path: Path, line: str, place: str, message: str
) -> None:
    valid = "events: {types: {view: {}}, columns: {customer_id: c, sale_id: s, at: t}}"
    text = line if line.startswith("events") else f"{valid}\n{line}"
    path = write(tmp_path / "map.yaml", text)

    with pytest.raises(MappingError) as raised:
        read_mapping(str(path))

    assert f"  {place}: {message}" in str(raised.value)


def test_a_mapping_that_has_a_key_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    columns = "{customer_id: c, sale_id: s, at: t, sale_id: other}"
    path = write(tmp_path / "map.yaml", f"events: {{types: {{view: {{}}}},\n columns: {columns}}}")

    with pytest.raises(MappingError, match=r"(?s)is no YAML: .*'sale_id' is there twice.*line 2"):
        read_mapping(str(path))


def test_words_for_booleans_of_yaml_1_1_are_texts_of_a_mapping(tmp_path: Path) -> None:
    """As the market of Norway, and answers such as yes and no."""
    path = write(
        tmp_path / "map.yaml",
        """
events:
  types: {view: {}, purchase: {bought: yes}}
  columns: {customer_id: c, sale_id: s, at: t, market: {column: m, values: {no: no, on: se}}}
""",
    )

    events = read_mapping(str(path)).events[0]

    assert events.types[EventType.PURCHASE]["bought"].one_of == ("yes",)
    assert events.columns["market"].values == {"no": "no", "on": "se"}


def test_a_column_that_a_file_lacks_is_named_with_those_that_it_has(tmp_path: Path) -> None:
    events = write(tmp_path / "ratings.csv", "user,movieId,rating,timestamp\n1,2,5,964982703\n")

    with pytest.raises(MappingError, match=r"ratings.csv has no column 'userId'.* it has 'user'"):
        imported_by("movielens", tmp_path / "out", events)


def test_a_file_of_which_nothing_can_be_used_ends_the_import(tmp_path: Path) -> None:
    events = write(tmp_path / "log.csv", "timestamp,visitorid,event,itemid\nnow,1,view,2\n")

    with pytest.raises(DatasetError, match=r"no row that became an event, of 1") as raised:
        imported_by("retailrocket", tmp_path / "out", events)

    assert "log.csv, row 1: at must be a time" in str(raised.value)


@pytest.mark.parametrize(
    ("form", "written", "expected"),
    [
        ("iso", "2025-03-30T01:59:59+01:00", "2025-03-30T00:59:59.000000"),
        ("iso", "2025-07-14", "2025-07-13T22:00:00.000000"),
        ("iso", "2025-07-14 09:30", "2025-07-14T07:30:00.000000"),
        # The clock goes back at 03:00: the first of the two hours is taken.
        ("iso", "2025-10-26T02:30:00", "2025-10-26T00:30:00.000000"),
        # The clock goes forward at 02:00: there is no such time.
        ("iso", "2025-03-30T02:30:00", None),
        ("s", "1752478200", "2025-07-14T07:30:00.000000"),
        ("s", "1752478200.25", "2025-07-14T07:30:00.250000"),
        ("ms", "1752478200123", "2025-07-14T07:30:00.123000"),
        ("us", "1752478200123456", "2025-07-14T07:30:00.123456"),
        ("ns", "1752478200123456789", "2025-07-14T07:30:00.123457"),
        ("s", "1e300", None),
        ("%d/%m/%y", "14/07/25", "2025-07-13T22:00:00.000000"),
        ("%d.%m.%Y %H:%M %z", "14.07.2025 09:30 +0000", "2025-07-14T09:30:00.000000"),
    ],
)
def test_times_are_read_in_any_common_form(
    tmp_path: Path, form: str, written: str, expected: str | None
) -> None:
    # The second row is always good: an import without an event ends.
    good = {"s": "0", "ms": "0", "us": "0", "ns": "0", "iso": "2020-01-01"}
    good |= {"%d/%m/%y": "01/01/20", "%d.%m.%Y %H:%M %z": "01.01.2020 00:00 +0000"}
    section = "{types: {view: {}}, columns: {event_id: id, customer_id: c, sale_id: s, at: t}}"
    mapping = f"time_zone: Europe/Paris\ntime_format: '{form}'\nevents: {section}"
    events = write(tmp_path / "e.csv", f"id,c,s,t\n1,a,x,{written}\n2,a,x,{good[form]}\n")
    imported_by(str(write(tmp_path / "m.yaml", mapping)), tmp_path, events)

    read = pl.read_parquet(tmp_path / "events.parquet").filter(pl.col("event_id") == "1")
    times = read["at"].dt.replace_time_zone(None).dt.to_string("iso:strict").to_list()
    assert times == ([] if expected is None else [expected])


def test_metarank_rankings_interactions_items_and_users(tmp_path: Path) -> None:
    at = 1_752_478_200_000
    title = [{"name": "title", "value": "Cat"}, {"name": "price", "value": 12.5}]
    file = lines(
        tmp_path / "events.jsonl",
        {"event": "item", "id": "i1", "timestamp": str(at), "item": "p1", "fields": title},
        {
            "event": "item",
            "id": "i2",
            "timestamp": str(at + 1),
            "item": "p1",
            "fields": [{"name": "price", "value": 10}, {"name": "tags", "value": ["a", "b"]}],
        },
        {
            "event": "user",
            "id": "u1",
            "timestamp": at,
            "user": "anna",
            "fields": [{"name": "age", "value": 33}],
        },
        {
            "event": "ranking",
            "id": "r1",
            "timestamp": str(at + 2),
            "user": "anna",
            "session": "v",
            "items": [{"id": "p2", "relevancy": 2.0}, {"id": "p1"}],
        },
        {"event": "item", "id": "i3", "timestamp": at, "item": "p2"},
        {"event": "ranking", "id": "r2", "timestamp": at + 3, "items": [{"id": "p1"}]},
        {
            "event": "interaction",
            "id": "x1",
            "ranking": "r1",
            "timestamp": str(at + 4),
            "user": "anna",
            "session": "v",
            "type": "click",
            "item": "p1",
        },
        {"event": "interaction", "id": "x2", "timestamp": at, "type": "poke", "item": "p1"},
    )
    imported = imported_by("metarank", tmp_path / "o", file, sales=file, customers=file)

    columns = ("event_id", "customer_id", "type", "sale_id", "exposure_id", "position")
    assert rows_of(tmp_path / "o", *columns) == [
        ("r1-1", "anna", "impression", "p2", "r1", 1),
        ("r1-2", "anna", "impression", "p1", "r1", 2),
        ("r2-1", "anonymous-r2", "impression", "p1", "r2", 1),
        ("x1-click", "anna", "click", "p1", "r1", None),
    ]
    assert rows_of(tmp_path / "o", "sale_id", "title", "price", table="sales") == [
        ("p1", "Cat", 10.0),
        ("p2", None, None),
    ]
    assert rows_of(tmp_path / "o", "customer_id", "age", table="customers") == [("anna", 33.0)]
    assert imported.left_out == {"item and user events": 4}
    assert [(fault.row, fault.code) for fault in imported.faults] == [(8, FaultCode.UNKNOWN_TYPE)]


def test_gorse_feedback_items_and_users(tmp_path: Path) -> None:
    feedback = lines(
        tmp_path / "feedback.jsonl",
        {"FeedbackType": "read", "UserId": "u", "ItemId": "a", "Timestamp": "2024-01-02T03:04:05Z"},
        {"FeedbackType": "star", "UserId": "u", "ItemId": "a", "Timestamp": "2024-01-02T04:04:05Z"},
    )
    items = lines(
        tmp_path / "items.jsonl",
        {
            "ItemId": "a",
            "IsHidden": False,
            "Categories": ["games", "new"],
            "Timestamp": "2024-01-01T00:00:00Z",
            "Labels": ["x"],
            "Comment": "A game",
        },
        {"ItemId": "b", "IsHidden": True, "Categories": [], "Timestamp": "2024-01-01T00:00:00Z"},
    )
    users = lines(tmp_path / "users.jsonl", {"UserId": "u", "Labels": ["gold"]})
    imported_by("gorse", tmp_path / "o", feedback, sales=items, customers=users)

    assert rows_of(tmp_path / "o", "event_id", "type") == [
        ("u-a-view", "view"),
        ("u-a-purchase", "purchase"),
    ]
    assert rows_of(tmp_path / "o", "sale_id", "title", "category", "stock", table="sales") == [
        ("a", "A game", "games", None),
        ("b", None, None, 0),
    ]
    assert rows_of(tmp_path / "o", "customer_id", "label", table="customers") == [("u", "gold")]


def test_opensearch_queries_and_events(tmp_path: Path) -> None:
    queries = lines(
        tmp_path / "queries.jsonl",
        {
            "query_id": "q",
            "client_id": "c",
            "timestamp": "2025-11-17T10:30:00.000Z",
            "user_query": "cat",
            "query_response_hit_ids": ["p1", "p2"],
        },
        {
            "query_id": "none",
            "client_id": "c",
            "timestamp": "2025-11-17T10:30:00.000Z",
            "query_response_hit_ids": [],
        },
    )
    attributes = {"object": {"object_id": "p2"}, "position": {"ordinal": 2}}
    event = {"query_id": "q", "client_id": "c", "timestamp": "2025-11-17T10:30:15.000Z"}
    events = lines(
        tmp_path / "events.jsonl",
        event | {"action_name": "click", "event_attributes": attributes},
        event | {"action_name": "on_search"},
        event | {"action_name": "login"},
        event | {"action_name": "purchase"},
    )
    imported = imported_by("opensearch_ubi", tmp_path / "o", queries, events)

    assert rows_of(tmp_path / "o", "type", "sale_id", "exposure_id", "position") == [
        ("impression", "p1", "q", 1),
        ("impression", "p2", "q", 2),
        ("click", "p2", "q", 2),
        ("search", None, "q", None),
    ]
    assert imported.left_out == {"empty query_response_hit_ids": 1, "other actions": 1}
    assert [(fault.row, fault.reason) for fault in imported.faults] == [
        (4, "sale_id must be there, except of email_open and search, got nothing")
    ]
    assert rows_of(tmp_path / "o", "sale_id", table="sales") == [("p1",), ("p2",)]


def test_movielens_ratings_of_four_are_purchases(tmp_path: Path) -> None:
    ratings = write(
        tmp_path / "ratings.csv",
        "userId,movieId,rating,timestamp\n1,10,4.0,964982703\n1,11,3.5,964982800\n",
    )
    movies = write(
        tmp_path / "movies.csv",
        'movieId,title,genres\n10,"Heat (1995)",Action|Crime\n11,Up,Animation\n12,Unseen,Drama\n',
    )
    imported = imported_by("movielens", tmp_path / "o", ratings, sales=movies)

    assert rows_of(tmp_path / "o", "sale_id", "type") == [("10", "purchase"), ("11", "view")]
    sales = pl.read_parquet(tmp_path / "o" / "sales.parquet")
    assert sales["category"].to_list() == ["Action|Crime", "Animation", "Drama"]
    # A sale opens with its first event, one without an event with the first of all.
    first, second, unseen = sales["opens_at"].dt.epoch("s")
    assert (first, second, unseen) == (964_982_703, 964_982_800, 964_982_703)
    assert "1 sales without an event" in imported.remarks[0]


def test_retailrocket_properties_are_gathered_by_item(tmp_path: Path) -> None:
    events = write(
        tmp_path / "events.csv",
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,7,view,100,\n1433221333117,7,addtocart,100,\n"
        "1433221334117,7,transaction,100,4\n",
    )
    head = "timestamp,itemid,property,value\n"
    parts = tmp_path / "item_properties"
    write(
        parts / "item_properties_part1.csv",
        f"{head}1435460400000,100,categoryid,1338\n1441508400000,100,available,0\n",
    )
    write(
        parts / "item_properties_part2.csv",
        f"{head}1435460400000,100,available,1\n1435460400000,100,888,n277.2 1116\n"
        "1435460400000,101,available,1\n",
    )
    imported_by("retailrocket", tmp_path / "o", events, sales=parts)

    assert rows_of(tmp_path / "o", "event_id", "type") == [
        ("1-1-view", "view"),
        ("1-2-cart", "cart"),
        ("1-3-purchase", "purchase"),
    ]
    assert rows_of(tmp_path / "o", "sale_id", "category", "stock", table="sales") == [
        ("100", "1338", 0),
        ("101", None, None),
    ]


def test_order_lines_make_their_own_sales_and_guests(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    orders = write(
        path,
        "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
        "489434,85048,GLASS BALL,12,2009-12-01 07:45:00,6.95,13085.0,United Kingdom\n"
        "489435,85048,,1,2009-12-01 08:00:00,7.50,,France\n"
        "C489449,22087,BUNTING,-12,2009-12-01 10:33:00,2.95,16321.0,Australia\n"
        "489450,22087,lost,-3,2009-12-01 10:40:00,0,,United Kingdom\n",
    )
    imported = imported_by("order_lines", tmp_path / "o", orders)

    columns = ("customer_id", "session_id", "quantity", "price", "market")
    assert rows_of(tmp_path / "o", *columns) == [
        ("13085.0", "489434", 12, 6.95, "united kingdom"),
        ("guest-489435", "489435", 1, 7.5, "france"),
        ("16321.0", "C489449", 12, 2.95, "australia"),
    ]
    assert imported.n_events == {"purchase": 2, "refund": 1}
    assert imported.left_out == {"corrections of stock": 1}
    sales = pl.read_parquet(tmp_path / "o" / "sales.parquet")
    assert sales.select("sale_id", "title", "price", "currency").rows() == [
        ("22087", "BUNTING", 2.95, "GBP"),
        ("85048", "GLASS BALL", 6.95, "GBP"),
    ]
    assert sales["opens_at"][1].isoformat() == "2009-12-01T07:45:00+00:00"


def test_a_row_may_be_several_events_and_a_list_within_a_text_one_event_each(
    tmp_path: Path,
) -> None:
    mapping = r"""
events:
  each: {list: shown, separator: " ", pattern: '^(?P<id>.+)-(?P<clicked>[01])$'}
  types:
    impression: {}
    click: {shown.clicked: 1}
  columns: {event_id: nr, customer_id: who, exposure_id: nr, sale_id: shown.id, at: at}
"""
    events = pl.DataFrame({"nr": [1], "who": [7.0], "shown": ["N12-1 N45-0"], "at": [0]})
    events = events.with_columns(pl.col("at").cast(pl.Datetime("ms", "UTC")))
    # Spark writes folders of parts.
    (tmp_path / "log").mkdir()
    events.write_parquet(tmp_path / "log" / "part-0.parquet")
    (tmp_path / "log" / "_SUCCESS").touch()
    imported_by(str(write(tmp_path / "m.yaml", mapping)), tmp_path / "o", tmp_path / "log")

    assert rows_of(tmp_path / "o", "event_id", "customer_id", "type", "sale_id") == [
        ("1-1-click", "7", "click", "N12"),
        ("1-1-impression", "7", "impression", "N12"),
        ("1-2-impression", "7", "impression", "N45"),
    ]


def test_sales_that_the_file_lacks_are_made_of_events(tmp_path: Path) -> None:
    mapping = """
time_format: s
events:
  types: {view: {}}
  columns: {customer_id: c, sale_id: s, at: t}
sales:
  columns: {sale_id: id, title: name}
sales_from_events: {}
"""
    events = write(tmp_path / "e.csv", "c,s,t\na,s1,60\na,s2,70\nb,s2,80\n")
    sales = write(tmp_path / "s.csv", "id,name\ns1,Ski\n")
    map_file = str(write(tmp_path / "m.yaml", mapping))
    imported = imported_by(map_file, tmp_path / "o", events, sales=sales)

    assert rows_of(tmp_path / "o", "sale_id", "title", table="sales") == [
        ("s1", "Ski"),
        ("s2", None),
    ]
    opened = pl.read_parquet(tmp_path / "o" / "sales.parquet")["opens_at"].dt.epoch("s")
    assert opened.to_list() == [60, 70]
    assert imported.remarks == ["sales made of events: 1"]


def test_most_events_of_sales_that_the_file_lacks_are_remarked(tmp_path: Path) -> None:
    events = write(tmp_path / "e.csv", EVENTS.replace(";s1;", ";x1;"))
    mapping = write(tmp_path / "map.yaml", MAPPING)
    offers = write(tmp_path / "o.csv", OFFERS)
    imported = imported_by(str(mapping), tmp_path / "out", events, sales=offers)

    assert imported.n_events == {"purchase": 1, "view": 1}
    [remark] = imported.remarks
    assert remark.startswith("2 of 2 events (100%) name no sale of the dataset, such as 'x1'")


def test_hints_name_what_of_the_mapping_refuses_rows(tmp_path: Path) -> None:
    """Three of five times are of another form, and a refund has a sign."""
    mapping = """
time_format: s
events:
  types: {purchase: {}}
  columns: {customer_id: c, sale_id: s, at: t, quantity: pieces}
"""
    rules = read_mapping(str(write(tmp_path / "map.yaml", mapping)))
    rows = "a,s1,noon,1\na,s1,night,1\na,s1,60,-2\na,s1,61,1\na,s1,late,1\n"
    events = write(tmp_path / "e.csv", f"c,s,t,pieces\n{rows}")
    imported = import_table(Files([events]), rules, out=tmp_path / "out")

    assert hints_for(imported.faults, rules, n_rows=imported.n_rows) == [
        "quantity is below 0: a refund with a sign? `quantity: {column: pieces, absolute: true}`",
        "60% of the rows of e.csv are refused for `at`: is `time_format` right?",
    ]


TWO_CURRENCIES = """
csv: {separator: ";", decimal: ",", encoding: cp1250}
events:
  types: {purchase: {kind: prodej}, refund: {kind: storno}}
  columns:
    {customer_id: c, sale_id: s, at: t, revenue: total, quantity: {column: n, absolute: true}}
sales: {columns: {sale_id: id, opens_at: from, title: name, price: price, currency: unit}}
rates: {columns: {currency: code, rate: worth, at: day}}
"""
TILL = (
    "c;s;t;kind;n;total\na;s1;2025-07-14T10:00Z;prodej;2;80\na;s1;2025-07-15T10:00Z;storno;-2;-80\n"
)
RATES = "code;worth;day\nCZK;0,04;2025-07-01T00:00Z\n"


def gigs(price: str) -> str:
    header, opened = "id;from;name;price;unit", "2025-07-01T00:00Z"
    return f"{header}\ns1;{opened};Žižkov;40;CZK\ns2;{opened};Wien;{price};EUR\n"


def test_rates_are_imported_and_refunds_need_no_revenue(tmp_path: Path) -> None:
    """40 Kč are 1.60 €, and a returned amount with a sign is not read."""
    imported = imported_by(
        str(write(tmp_path / "map.yaml", TWO_CURRENCIES)),
        tmp_path / "out",
        write(tmp_path / "till.csv", TILL, "cp1250"),
        sales=write(tmp_path / "gigs.csv", gigs("9,5"), "cp1250"),
        rates=write(tmp_path / "rates.csv", RATES, "cp1250"),
    )

    assert not len(imported.faults)
    assert imported.remarks == []
    assert rows_of(tmp_path / "out", "type", "quantity", "revenue") == [
        ("purchase", 2, 80.0),
        ("refund", 2, None),
    ]
    found = [(one.title, one.price) for one in read_dataset(tmp_path / "out").sales]
    assert found == [("Žižkov", 1.6), ("Wien", 9.5)]


def test_several_currencies_without_rates_are_remarked(tmp_path: Path) -> None:
    imported = imported_by(
        str(write(tmp_path / "map.yaml", TWO_CURRENCIES)),
        tmp_path / "out",
        write(tmp_path / "till.csv", TILL, "cp1250"),
        sales=write(tmp_path / "gigs.csv", gigs("9,5"), "cp1250"),
    )

    [remark] = imported.remarks
    assert remark.startswith(
        "prices are in CZK (1), EUR (1), and the rates of exchange name no currency"
    )


def test_a_currency_without_rates_beside_one_with_rates_is_remarked(tmp_path: Path) -> None:
    """Crowns have rates; of euros and pounds one may be the shop's, the other needs rates."""
    in_pounds = "s3;2025-07-01T00:00Z;York;7;GBP\n"
    imported = imported_by(
        str(write(tmp_path / "map.yaml", TWO_CURRENCIES)),
        tmp_path / "out",
        write(tmp_path / "till.csv", TILL, "cp1250"),
        sales=write(tmp_path / "gigs.csv", gigs("9,5") + in_pounds, "cp1250"),
        rates=write(tmp_path / "rates.csv", RATES, "cp1250"),
    )

    [remark] = imported.remarks
    assert remark.startswith("prices are in EUR (1), GBP (1), and the rates of exchange name CZK:")


@pytest.mark.parametrize("price", ["561,16 Kč", "CZK 561,16", "561,16 czk"])
def test_a_price_in_another_currency_than_its_column_says_is_refused(
    tmp_path: Path, price: str
) -> None:
    """Else crowns would be taken for euros."""
    with pytest.raises(MappingError) as raised:
        imported_by(
            str(write(tmp_path / "map.yaml", TWO_CURRENCIES)),
            tmp_path / "out",
            write(tmp_path / "till.csv", TILL, "cp1250"),
            sales=write(tmp_path / "gigs.csv", gigs(price), "cp1250"),
        )

    assert (
        "1 prices of gigs.csv have another currency than their column `currency`, such as row 2:"
        " CZK where the column has EUR" in str(raised.value)
    )


def test_an_import_without_sales_names_the_faults_of_their_file_and_writes_nothing(
    tmp_path: Path,
) -> None:
    with pytest.raises(DatasetError, match=r"gigs.csv: has no row that became a sale") as raised:
        imported_by(
            str(write(tmp_path / "map.yaml", TWO_CURRENCIES)),
            tmp_path / "out",
            write(tmp_path / "till.csv", TILL.replace(";2;80", ";many;80"), "cp1250"),
            sales=write(tmp_path / "gigs.csv", gigs("9,5").replace("-01T", " 1st "), "cp1250"),
        )

    assert "gigs.csv, row 1: opens_at must be a time" in str(raised.value)
    assert "till.csv" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_table_of_another_form_in_the_folder_is_refused(tmp_path: Path) -> None:
    """Beside sales.parquet it would be unknown which is meant."""
    other = write(tmp_path / "out" / "sales.csv", "sale_id\n")

    with pytest.raises(MappingError, match=r"sales\.csv is a table, too: remove it"):
        imported_by("order_lines", tmp_path / "out", tmp_path / "e.csv")

    assert other.exists()


def test_more_attributes_than_the_contract_takes_are_refused(tmp_path: Path) -> None:
    columns = ", ".join(f"a{n}: a{n}" for n in range(101))
    text = TWO_CURRENCIES.replace("currency: unit", f"currency: unit, {columns}")

    with pytest.raises(MappingError, match="sales have 101 columns beyond the contract"):
        read_mapping(str(write(tmp_path / "map.yaml", text)))


def test_the_command_names_a_row_of_each_file_and_column_that_has_faults(tmp_path: Path) -> None:
    arguments = ["table", "--map", str(write(tmp_path / "map.yaml", TWO_CURRENCIES))]
    rows = ("10:00Z;prodej;some;80", "11:00Z;prodej;few;1.2.3", "12:00Z;prodej;no;80")
    more = [*rows, "13:00Z;prodej;all;80", "14:00Z;prodej;half;80"]
    till = TILL + "".join(f"b;s1;2025-07-14T{row}\n" for row in more)
    arguments += ["--events", str(write(tmp_path / "till.csv", till, "cp1250"))]
    arguments += ["--sales", str(write(tmp_path / "gigs.csv", gigs("dear"), "cp1250"))]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])

    assert result.exit_code == 0, result.output
    assert "gigs.csv, row 2: price must be" in result.stdout
    assert "till.csv, row 3: quantity must be" in result.stdout
    for said in ("got 'some' [wrong_type]", "got 'few' [", "got 'no' [", "and 2 more of this kind"):
        assert said in result.stdout
    assert "'all'" not in result.stdout
    assert "till.csv, row 4: revenue must be" in result.stdout


def test_a_currency_stands_around_amounts_alone(tmp_path: Path) -> None:
    """An article number is no price, and a word with a number no position."""
    mapping = """
events:
  types: {purchase: {}}
  columns: {customer_id: c, sale_id: s, at: t, price: paid, position: place}
"""
    rows = "a,s1,USD 5,1\na,s2,SKU 100,2\na,s3,7,TOP 3\n"
    header = "c,s,paid,place,t\n"
    events = write(tmp_path / "e.csv", header + rows.replace("\n", ",2025-07-14T10:00:00Z\n"))
    named = write(tmp_path / "map.yaml", mapping)
    imported = imported_by(str(named), tmp_path / "out", events)

    assert rows_of(tmp_path / "out", "sale_id", "price", "position") == [("s1", 5.0, 1)]
    refused = {(one.row, one.column) for one in imported.faults}
    assert refused == {(2, "price"), (3, "position")}


def test_lines_that_are_no_json_objects_are_named(tmp_path: Path) -> None:
    good = {"UserId": "u", "ItemId": "a", "FeedbackType": "read", "Timestamp": "2024-01-01T00:00Z"}
    path = tmp_path / "feedback.jsonl.gz"
    path.write_bytes(gzip.compress(f"{json.dumps(good)}\n\n{{broken\n[1]\n".encode()))
    imported = imported_by("gorse", tmp_path / "o", path)

    assert imported.n_events == {EventType.VIEW.value: 1}
    assert [(fault.row, fault.code.value) for fault in imported.faults] == [
        (2, "malformed_row"),
        (3, "malformed_row"),
    ]


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    mapping = str(write(tmp_path / "map.yaml", MAPPING))
    log = write(tmp_path / "log.csv", EVENTS, "cp1252")
    sales = write(tmp_path / "offers.csv", OFFERS, "cp1252")
    for name in ("one", "two"):
        imported_by(mapping, tmp_path / name, log, sales=sales)

    for table in ("events.parquet", "sales.parquet"):
        assert (tmp_path / "one" / table).read_bytes() == (tmp_path / "two" / table).read_bytes()


def test_every_shipped_mapping_is_printed_and_valid() -> None:
    listed = CliRunner().invoke(app, ["mapping"]).stdout.splitlines()

    assert [line.split()[0] for line in listed] == [
        "gorse",
        "metarank",
        "movielens",
        "opensearch_ubi",
        "order_lines",
        "retailrocket",
    ]
    assert CliRunner().invoke(app, ["mapping", "gorse"]).stdout.startswith("about: Gorse")
    assert CliRunner().invoke(app, ["mapping", "nothing"]).exit_code == 1


@pytest.mark.parametrize("page", ["dataset.md", "training.md"])
def test_mappings_of_the_documentation_are_valid(page: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    shown = [part.split("```")[0] for part in text.split("```yaml\n")[1:]]
    mappings = [part for part in shown if "\nevents:\n" in part]

    assert mappings
    for mapping in mappings:
        read = read_mapping(str(write(tmp_path / "map.yaml", mapping)))
        assert read.sales is not None
        assert read.sales.columns.keys() - {"stars", "items", "brands", "established"} <= {
            column.name for column in SALES
        }
