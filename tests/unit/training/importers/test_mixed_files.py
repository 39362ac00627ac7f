"""Files that differ in columns, types and form, or are read for several tables, are one import."""

import gzip
import json
import re
import tracemalloc
from pathlib import Path

import polars as pl
import pytest

from models.dataset import DatasetError, FaultCode, read_dataset
from training.importers import json_lines
from training.importers.hints import hints_for
from training.importers.imported import Imported
from training.importers.mapping import Csv, MappingError, read_mapping
from training.importers.source import Sources
from training.importers.table import Files, import_table
from training.importers.values import rows_where

TWO_SECTIONS = """
time_format: s
events:
  - {where: {kind: seen}, types: {view: {}}, columns: {customer_id: c, sale_id: s, at: t}}
  - {where: {kind: paid}, types: {purchase: {}}, columns: {customer_id: c, sale_id: s, at: t}}
sales_from_events: {brand: brand, price: paid}
"""
TWO_FILES = TWO_SECTIONS.replace("where: {kind: seen}, ", "").replace("where: {kind: paid}, ", "")
VIEWS = "time_format: s\nevents: {types: {view: {}}, columns: {customer_id: c, sale_id: s, at: t}}"


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding=encoding)
    return path


def lines(path: Path, *rows: object) -> Path:
    return write(path, "".join(f"{json.dumps(row)}\n" for row in rows))


def imported_by(mapping: str, out: Path, *events: Path, **others: Path) -> Imported:
    map_file = write(out / "map.yaml", mapping)
    return import_table(Files(events, **others), read_mapping(str(map_file)), out=out)


def sales_of(out: Path, *columns: str) -> list[tuple[object, ...]]:
    return pl.read_parquet(out / "sales.parquet").select(columns).rows()


def test_an_attribute_that_one_section_of_events_lacks_is_that_of_the_other(tmp_path: Path) -> None:
    seen = {"kind": "seen", "c": "a", "s": "s1", "t": 60}
    paid = {"kind": "paid", "c": "a", "s": "s2", "t": 70, "brand": "Alp"}
    imported_by(TWO_SECTIONS, tmp_path, lines(tmp_path / "e.jsonl", seen, paid))

    assert sales_of(tmp_path, "sale_id", "brand") == [("s1", None), ("s2", "Alp")]


def test_sales_are_made_of_events_in_parquet_and_in_csv(tmp_path: Path) -> None:
    seen = {"c": ["a"], "s": ["s1"], "t": [60], "brand": [7.5], "paid": [12.5]}
    pl.DataFrame(seen).write_parquet(tmp_path / "seen.parquet")
    paid = write(tmp_path / "paid.csv", "c,s,t,brand,paid\na,s2,70,8,99.5\n")
    imported_by(TWO_FILES, tmp_path, tmp_path / "seen.parquet", paid)

    assert sales_of(tmp_path, "sale_id", "brand", "price") == [
        ("s1", 7.5, 12.5),
        ("s2", 8.0, 99.5),
    ]


def test_sections_whose_types_do_not_fit_are_named(tmp_path: Path) -> None:
    seen = {"c": ["a"], "s": ["s1"], "t": [60], "brand": [["Alp"]], "paid": [12.5]}
    pl.DataFrame(seen).write_parquet(tmp_path / "seen.parquet")
    paid = write(tmp_path / "paid.csv", "c,s,t,brand,paid\na,s2,70,Alp,99.5\n")

    with pytest.raises(MappingError, match=r"'brand' \(List\(String\) and String\)"):
        imported_by(TWO_FILES, tmp_path, tmp_path / "seen.parquet", paid)


def test_metarank_events_without_users_or_fields_make_no_customers(tmp_path: Path) -> None:
    no_fields: list[object] = []
    item = {"event": "item", "id": "i", "timestamp": 60_000, "item": "p1"}
    click = {"event": "interaction", "id": "x", "timestamp": 70_000, "user": "a", "item": "p1"}
    file = lines(tmp_path / "e.jsonl", {**item, "fields": no_fields}, click | {"type": "click"})
    files = Files([file], sales=file, customers=file)
    imported = import_table(files, read_mapping("metarank"), out=tmp_path)

    assert (imported.n_customers, imported.n_events) == (0, {"click": 1})
    assert sales_of(tmp_path, "sale_id", "title") == [("p1", None)]


def test_a_misspelt_column_of_properties_is_named(tmp_path: Path) -> None:
    mapping = f"{VIEWS}\nsales: {{columns: {{sale_id: id, title: name}}, properties: {{name: p, "
    sales = write(tmp_path / "s.csv", "id,p,value\ns1,name,Ski\n")
    events = write(tmp_path / "e.csv", "c,s,t\na,s1,60\n")

    with pytest.raises(MappingError, match=r"s.csv has no column 'valeu'"):
        imported_by(f"{mapping}value: valeu}}}}", tmp_path, events, sales=sales)


DECIMALS = """
time_format: s
csv: {separator: ";", decimal: ","}
events: {types: {view: {}}, columns: {customer_id: c, sale_id: s, at: t}}
sales:
  columns:
    {sale_id: id, price: [paid, listed], stars: stars, area: area, built: built, size: size,
     shop: {constant: 7}}
"""


def test_numbers_of_attributes_have_the_decimal_comma_of_a_csv_file(tmp_path: Path) -> None:
    events = write(tmp_path / "e.csv", "c;s;t\na;s1;60\n")
    head = "id;paid;listed;stars;area;built;size\n"
    rows = "s1;12,5;;4,5;1.250;14.07.2025;4,5\ns2;;1.000,5;3;-10.000,25;01.02.2024;small\n"
    imported_by(DECIMALS, tmp_path, events, sales=write(tmp_path / "s.csv", head + rows))

    # Dates and texts stay as they are.
    assert sales_of(tmp_path, "price", "stars", "area", "built", "size", "shop") == [
        (12.5, 4.5, 1250.0, "14.07.2025", "4,5", 7),
        (1000.5, 3.0, -10000.25, "01.02.2024", "small", 7),
    ]


def test_a_point_that_separates_no_thousands_is_refused_where_the_mark_is_a_comma(
    tmp_path: Path,
) -> None:
    """Read as separators of thousands they would make 9,990 of 99.90."""
    events = write(tmp_path / "e.csv", "c;s;t\na;s1;60\n")
    prices = ["1.250,50", "12.500", "1.5e3", "99.90", "1,234.56", "1.250.00"]
    rows = "".join(f"s{n};{price};;4;3;x;y\n" for n, price in enumerate(prices))
    file = write(tmp_path / "s.csv", f"id;paid;listed;stars;area;built;size\n{rows}")
    imported = imported_by(DECIMALS, tmp_path, events, sales=file)

    assert sales_of(tmp_path, "sale_id", "price") == [("s0", 1250.5), ("s1", 12_500.0)]
    assert [(fault.row, fault.code) for fault in imported.faults] == [
        (row, FaultCode.WRONG_TYPE) for row in (3, 4, 5, 6)
    ]
    reason = "price must be a number, got '99.90 (the decimal mark of csv is a comma)'"
    assert list(imported.faults)[1].reason == reason


def test_what_is_no_number_is_refused_without_its_sign_too(tmp_path: Path) -> None:
    mapping = """
time_format: s
events:
  types: {purchase: {}}
  columns:
    {customer_id: c, sale_id: s, at: t, quantity: {column: pieces, absolute: true}}
"""
    events = write(tmp_path / "e.csv", "c,s,t,pieces\na,s1,60,-2\na,s1,61,+3\na,s1,62,two\n")
    imported = imported_by(mapping, tmp_path, events)

    found = pl.read_parquet(tmp_path / "events.parquet").sort("at")["quantity"].to_list()
    assert found == [2, 3]
    assert [(fault.row, fault.reason) for fault in imported.faults] == [
        (3, "quantity must be a number, got 'two'")
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"c": "a", "s": "s1", "t": 60, "s": "s2"}', "an object has the key 's' twice"),
        ('{"c": "a", "s": "s1", "t": 60, "x": {"y": 1}, "x.y": 2}', "the key 'x.y' twice"),
        ('{"c": "a", "s": "s1", "t": 60', "the line is not JSON: Expecting"),
        ("[60]", "the line is not a JSON object"),
    ],
)
def test_a_line_that_is_no_object_with_each_key_once_is_refused(
    tmp_path: Path, line: str, reason: str
) -> None:
    file = lines(tmp_path / "e.jsonl", {"c": "a", "s": "s1", "t": 60})
    file.write_text(f"{file.read_text(encoding='utf-8')}{line}\n", encoding="utf-8")
    imported = imported_by(VIEWS, tmp_path, file)

    assert imported.n_events == {"view": 1}
    faults = list(imported.faults)
    assert [(fault.row, fault.code) for fault in faults] == [(2, FaultCode.MALFORMED_ROW)]
    assert reason in faults[0].reason


def test_a_list_whose_elements_have_a_key_twice_is_refused(tmp_path: Path) -> None:
    mapping = """
time_format: s
events:
  types: {view: {}}
  each: {list: items}
  columns: {customer_id: c, sale_id: items.id, at: t}
"""
    rows = ['a,60,"[{""id"": 1}]"', 'a,61,"[{""id"": 1}, {""id"": 2, ""id"": 3}]"']
    events = write(tmp_path / "e.csv", "\n".join(["c,t,items", *rows, ""]))
    imported = imported_by(mapping, tmp_path, events)

    assert imported.n_events == {"view": 1}
    assert [(fault.row, fault.code) for fault in imported.faults] == [(2, FaultCode.MALFORMED_ROW)]


def test_numbers_of_json_have_a_point_beside_csv_files_with_a_comma(tmp_path: Path) -> None:
    events = write(tmp_path / "e.csv", "c;s;t\na;s1;60\n")
    sale = {"id": "s1", "paid": 12.5, "stars": 4.125}
    imported_by(DECIMALS, tmp_path, events, sales=lines(tmp_path / "s.jsonl", sale))

    assert sales_of(tmp_path, "price", "stars") == [(12.5, 4.125)]


def test_a_file_of_several_tables_is_read_once(tmp_path: Path) -> None:
    item = {"event": "item", "id": "i", "timestamp": 60_000, "item": "p1", "colour": "red"}
    click = {"event": "interaction", "id": "x", "timestamp": 70_000, "user": "a", "item": "p1"}
    file = lines(tmp_path / "e.jsonl", item, click | {"type": "click"})
    file.write_text(file.read_text(encoding="utf-8") + "{broken\n", encoding="utf-8")
    files = Files([file], sales=tmp_path / "out" / ".." / "e.jsonl", customers=file)
    imported = import_table(files, read_mapping("metarank"), out=tmp_path)

    assert imported.n_rows == {"e.jsonl": 3}
    assert imported.faults.counts() == {FaultCode.MALFORMED_ROW: 1}
    # `type` is used by events, and not by customers, which are read last.
    assert imported.unused == {"e.jsonl": ["colour"]}


@pytest.mark.parametrize("where", ["where: {kind: product}, ", ""])
def test_rows_of_sales_in_the_file_of_events_are_no_faults_of_events(
    tmp_path: Path, where: str
) -> None:
    """They were listed as `kind must be what a section reads`, beside faults of their own."""
    mapping = f"""
time_format: s
events:
  {{where: {{kind: order}}, types: {{view: {{}}}}, columns: {{customer_id: c, sale_id: s, at: t}}}}
sales: {{{where}columns: {{sale_id: s, price: price}}}}
"""
    rows = "order,a,s1,60,\nproduct,,s1,,5\nproduct,,s2,,cheap\nother,a,s1,60,3\n"
    file = write(tmp_path / "all.csv", f"kind,c,s,t,price\n{rows}")
    imported = imported_by(mapping, tmp_path, file, sales=file)

    refused = [(fault.row, fault.column, fault.code) for fault in imported.faults]
    unread = [(4, "kind", FaultCode.UNKNOWN_TYPE)] if where else []
    assert refused == [*unread, (3, "price", FaultCode.WRONG_TYPE)]


def test_rows_that_no_section_reads_are_for_left_out(tmp_path: Path) -> None:
    mapping = """
time_format: s
events: {where: {kind: order}, types: {view: {}}, columns: {customer_id: c, sale_id: s, at: t}}
"""
    rows = "order,a,s1,60\n" + "seen,a,s1,60\n" * 2
    imported = imported_by(mapping, tmp_path, write(tmp_path / "e.csv", f"kind,c,s,t\n{rows}"))

    [hint] = hints_for(
        imported.faults, read_mapping(str(tmp_path / "map.yaml")), n_rows=imported.n_rows
    )
    assert hint == (
        "67% of the rows of e.csv are refused for `kind`: rows that are to stay out are named by"
        " `left_out` of a section, not by `where`"
    )


def test_two_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    seen = write(tmp_path / "seen" / "log.csv", "c,s,t,brand,paid,note\na,s1,60,,,\n")
    paid = write(tmp_path / "paid" / "log.csv", "c,s,t,brand,paid\na,s1,70,,5\n,s1,80,,5\n")
    imported = imported_by(TWO_FILES, tmp_path, seen, paid)

    assert imported.n_rows == {str(seen): 1, str(paid): 2}
    assert imported.unused == {str(seen): ["note"], str(paid): []}
    assert [(fault.file, fault.row) for fault in imported.faults] == [(str(paid), 2)]


def test_a_row_of_several_events_is_one_row_that_could_not_be_used(tmp_path: Path) -> None:
    mapping = """
time_format: s
events:
  each: {list: shown, separator: " "}
  types: {impression: {}, view: {}}
  columns: {customer_id: c, sale_id: shown, at: t}
"""
    events = write(tmp_path / "e.csv", "c,t,shown\na,60,s1 s2\na,soon,s1 s2\n")
    imported = imported_by(mapping, tmp_path, events)

    assert [(fault.row, fault.column) for fault in imported.faults] == [(2, "at")]


def test_a_row_that_two_sections_refuse_is_one_row_that_could_not_be_used(tmp_path: Path) -> None:
    events = write(tmp_path / "e.csv", "c,s,t,brand,paid\na,s1,60,,\na,s1,soon,,\n")
    imported = imported_by(TWO_FILES, tmp_path, events)

    assert imported.faults.counts() == {FaultCode.UNPARSABLE_TIME: 1}


def test_lists_of_many_elements_take_the_memory_of_few_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "_ROWS_AT_ONCE", 100)
    mapping = VIEWS.replace("{types", "{each: {list: l}, types").replace("s, at", "l.id, at")
    shown = json.dumps([{"id": "s1"}] * 9 + [{"id": "s2", "rank": 1}])
    rows = pl.DataFrame({"c": ["a"] * 2_000, "t": [60] * 2_000, "l": [shown] * 2_000})
    rows.write_parquet(tmp_path / "e.parquet")
    tracemalloc.start()
    imported = imported_by(mapping, tmp_path, tmp_path / "e.parquet")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert imported.n_events == {"view": 20_000}
    assert imported.n_sales == 2
    # A dictionary has at least 184 bytes: those of all elements at once would have 3.6 MB.
    assert peak < 3_000_000


def test_without_conditions_each_row_is_met(tmp_path: Path) -> None:
    """One value for all rows, on several threads, ended the import of lists of many elements."""
    path = write(tmp_path / "e.csv", "c,s,t\na,s1,60\nb,s2,61\n")
    source = Sources([path], Csv()).read(path)

    met = source.frame.select(rows_where(source, {})).to_series()

    assert met.to_list() == [True, True]


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_gzip_file_is_named(tmp_path: Path, damage: str) -> None:
    text = "".join(json.dumps({"c": f"c{n * n}", "s": f"s{n}", "t": n}) + "\n" for n in range(500))
    packed = gzip.compress(text.encode())
    # The first block begins at byte 10, and there is no block of type 3 (RFC 1951 and 1952).
    changed = packed[:10] + b"\x07" + packed[11:]
    path = tmp_path / "e.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2] if damage == "cut" else changed)

    with pytest.raises(DatasetError, match=re.escape("e.jsonl.gz: ")) as raised:
        imported_by(VIEWS, tmp_path / "out", path)

    assert raised.value.faults.counts() == {FaultCode.UNREADABLE_FILE: 1}


AMOUNTS = """
time_format: s
csv: {separator: ";", decimal: ","}
events:
  types: {purchase: {}}
  columns: {customer_id: c, sale_id: s, at: t, revenue: paid}
sales: {columns: {sale_id: id, price: price}}
"""


def test_a_sale_has_the_currency_of_its_price(tmp_path: Path) -> None:
    events = write(tmp_path / "e.csv", "c;s;t;paid\na;s1;60;1.000,50 €\na;s2;61;£ 7\n")
    sales = write(tmp_path / "s.csv", "id;price\ns1;1.200,00 €\ns2;80 CHF\ns3;80\n")
    imported = imported_by(AMOUNTS, tmp_path, events, sales=sales)

    assert sales_of(tmp_path, "price", "currency") == [(1200.0, "EUR"), (80.0, "CHF"), (80.0, None)]
    assert imported.remarks[1:] == [
        "currency is not mapped: it is that of each price, CHF 1, EUR 1",
        "prices are in CHF (1), EUR (1), and the rates of exchange name no currency: `train`"
        " refuses prices of several currencies until all but one of them have rates (`rates` of"
        " the mapping and --rates)",
        "amounts of events are in EUR, GBP: each is taken to be in the currency of its sale"
        " (CHF, EUR)",
    ]


REPEATED = """
time_format: s
events: {types: {view: {}}, columns: {event_id: nr, customer_id: c, sale_id: s, at: t}}
sales: {columns: {sale_id: id}}
customers: {columns: {customer_id: id, age: age}}
"""


def test_repeated_ids_are_counted_as_validation_counts_them(tmp_path: Path) -> None:
    """Of customer a, e1 comes three times, once at another time; b may have an e1 of their own."""
    rows = ["a,e1,60", "a,e1,60", "a,e1,61", "b,e1,60", "b,e2,60"]
    events = write(tmp_path / "e.csv", "c,nr,t,s\n" + "".join(f"{row},s1\n" for row in rows))
    sales = write(tmp_path / "s.csv", "id\ns1\ns2\ns1\n")
    customers = write(tmp_path / "c.csv", "id,age\na,30\nb,40\na,30\na,50\n")
    out = tmp_path / "out"
    imported = imported_by(REPEATED, out, events, sales=sales, customers=customers)

    assert imported.remarks[-3:] == [
        "1 rows have the `sale_id` of an earlier row, which counts: `validate` and `train` leave"
        " them out",
        "2 rows have the `customer_id` of an earlier row, which counts: `validate` and `train`"
        " leave them out",
        "2 events have the `event_id` of an earlier one of their customer, and `validate` and"
        " `train` leave them out: 1 repeat it, 1 contradict it, such as 'e1'",
    ]
    counts = read_dataset(out).faults.counts()
    assert (counts[FaultCode.DUPLICATE_EVENT], counts[FaultCode.CONFLICTING_EVENT]) == (1, 1)
    assert (counts[FaultCode.DUPLICATE_SALE], counts[FaultCode.DUPLICATE_CUSTOMER]) == (1, 2)


IN_CODE_PAGES = """
time_format: s
events: {types: {view: {}}, columns: {customer_id: c, sale_id: s, at: t}}
sales: {columns: {sale_id: id, title: title}}
customers: {columns: {customer_id: id, town: town}}
rates: {columns: {currency: id, rate: rate, at: from}}
"""


@pytest.mark.parametrize("name", ["events", "sales", "customers", "rates"])
def test_a_table_that_is_not_utf8_says_once_how_its_words_read(tmp_path: Path, name: str) -> None:
    files = {
        "events": "c,s,t\na,s1,60\n{word},s1,61\n{word},s1,62\n",
        "sales": "id,title\ns1,Ski\ns2,{word}\ns3,{word}\n",
        "customers": "id,town\na,Wien\nb,{word}\nc,{word}\n",
        "rates": "id,rate,from\nCZK,0.04,60\n{word},1,60\n{word},1,61\n",
    }
    paths: dict[str, Path] = {}
    for each, text in files.items():
        content = text.format(word="Košice" if each == name else "Brno")
        paths[each] = write(tmp_path / f"{each}.csv", content, "cp1250")
    events = paths.pop("events")
    imported = imported_by(IN_CODE_PAGES, tmp_path / "out", events, **paths)

    found = [one for one in imported.faults if one.code is FaultCode.NOT_UTF8]
    assert [(one.file, one.row) for one in found] == [(f"{name}.csv", 2), (f"{name}.csv", 3)]
    assert "`csv: {encoding: …}`" in found[0].reason
    assert "'Košice' by cp1250" in found[0].reason
    assert found[1].reason.endswith("of the file")


@pytest.mark.parametrize("line", [b'{"c": "Ko\x9aice", "s": "s1", "t": 61}', b'{"c": "\\ud83d"}'])
def test_a_line_of_json_that_is_no_text_is_refused(tmp_path: Path, line: bytes) -> None:
    """A byte of a code page, and half of an emoji."""
    path = tmp_path / "e.jsonl"
    path.write_bytes(b'{"c": "a", "s": "s1", "t": 60}\n' + line)
    imported = imported_by(VIEWS, tmp_path / "out", path)

    [fault] = imported.faults
    assert (fault.row, fault.code) == (2, FaultCode.NOT_UTF8)
    assert imported.n_events == {"view": 1}


def test_prices_of_another_currency_than_the_mapping_says_are_refused(tmp_path: Path) -> None:
    events = write(tmp_path / "e.csv", "c;s;t;paid\na;s1;60;5\n")
    sales = write(tmp_path / "s.csv", "id;price\ns1;80 CHF\ns2;5 $\ns3;1 USD\n")

    with pytest.raises(MappingError, match=r"is USD, and 1 prices of s\.csv are in CHF: leave"):
        imported_by(f"currency: USD{AMOUNTS}", tmp_path, events, sales=sales)


@pytest.mark.parametrize(
    ("prices", "found"),
    [
        (("13,04 €", "14.400,00 ¥"), r"in EUR 1, ¥ 1, and `¥` is"),
        (("$ 20", "20 kr", "$ 5"), r"in \$ 2, kr 1, and `\$`, `kr` is"),
    ],
)
def test_a_sign_of_several_currencies_beside_another_needs_a_column(
    tmp_path: Path, prices: tuple[str, ...], found: str
) -> None:
    """14,400 ¥ would count as 14,400 of what the shop's other prices are in."""
    events = write(tmp_path / "e.csv", "c;s;t;paid\na;s0;60;5\n")
    rows = "".join(f"s{n};{price}\n" for n, price in enumerate(prices))
    sales = write(tmp_path / "s.csv", f"id;price\n{rows}")

    with pytest.raises(MappingError, match=rf"prices of s\.csv are {found} the sign of several"):
        imported_by(AMOUNTS, tmp_path, events, sales=sales)


def test_amounts_of_events_name_signs_of_several_currencies(tmp_path: Path) -> None:
    events = write(tmp_path / "e.csv", "c;s;t;paid\na;s1;60;$ 7\n")
    sales = write(tmp_path / "s.csv", "id;price\ns1;80 €\n")

    imported = imported_by(AMOUNTS, tmp_path, events, sales=sales)

    assert imported.remarks[-1] == (
        "amounts of events are in $: each is taken to be in the currency of its sale (EUR)"
    )


def test_sales_of_events_have_the_currency_of_their_first_price(tmp_path: Path) -> None:
    mapping = AMOUNTS.replace("sales: {columns: {sale_id: id, price: price}}", "")
    events = write(tmp_path / "e.csv", "c;s;t;paid\na;s1;60;1.000,50 €\na;s1;61;£ 7\n")
    imported_by(f"{mapping}sales_from_events: {{price: paid}}\n", tmp_path, events)

    assert sales_of(tmp_path, "sale_id", "price", "currency") == [("s1", 1000.5, "EUR")]


def test_an_import_without_a_sale_is_refused(tmp_path: Path) -> None:
    events = write(tmp_path / "e.csv", "c;s;t;paid\na;s1;60;5\n")
    sales = write(tmp_path / "s.csv", "id;price\ns1;cheap\ns2;dear\n")

    with pytest.raises(DatasetError, match=r"s\.csv: has no row that became a sale, of 2") as error:
        imported_by(AMOUNTS, tmp_path, events, sales=sales)

    assert "price must be a number, got 'cheap'" in str(error.value)
    assert not (tmp_path / "events.parquet").exists()
