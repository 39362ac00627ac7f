"""Fallback of the client: open sales of the newest answer, without what was said of its visitor."""

from datetime import UTC, datetime, timedelta

from deploy.client.vitrine_client.answers import Item
from deploy.client.vitrine_client.fallback import MAX_REMEMBERED, Fallback

ASKED = {"customer_id": "c1", "market": "fr", "limit": 3}


def item(sale_id: str, rank: int, *, hours_left: float = 1.0) -> Item:
    closes = datetime.now(UTC) + timedelta(hours=hours_left)
    return {
        "sale_id": sale_id,
        "rank": rank,
        "purchase_probability": 0.1,
        "rules": ["pinned"],
        "cover": 3,
        "explanation": {"sentence": "Like what you bought."},
        "sale": {"closes_at": closes.isoformat().replace("+00:00", "Z")},
    }


def remembering(*items: Item, remember_s: float = 60.0) -> Fallback:
    fallback = Fallback(remember_s)
    fallback.remember(ASKED, {"": list(items)})
    return fallback


def test_another_visitor_of_the_market_gets_the_order_and_nothing_personal() -> None:
    slate = remembering(item("s1", 1), item("s2", 2)).slate(ASKED | {"customer_id": "c2"})

    assert [(one["sale_id"], one["rank"]) for one in slate["items"]] == [("s1", 1), ("s2", 2)]
    assert {one["purchase_probability"] for one in slate["items"]} == {None}
    assert [(one["explanation"], one["cover"]) for one in slate["items"]] == [(None, None)] * 2
    assert (slate["recommendation_id"], slate["degraded"]) == (None, "no_answer")


def test_closed_and_excluded_sales_are_left_out_and_ranks_close_up() -> None:
    fallback = remembering(item("s1", 1, hours_left=-0.1), item("s2", 2), item("s3", 3))

    slate = fallback.slate(ASKED | {"exclude": ["s2"]})

    assert [(one["sale_id"], one["rank"]) for one in slate["items"]] == [("s3", 1)]


def test_another_question_has_no_fallback() -> None:
    fallback = remembering(item("s1", 1))

    assert fallback.slate(ASKED | {"market": "de"})["items"] == []
    assert fallback.slate(ASKED | {"limit": 4})["items"] == []


def test_an_old_answer_is_not_used() -> None:
    assert remembering(item("s1", 1), remember_s=-1.0).slate(ASKED)["items"] == []


def test_rows_are_numbered_down_the_page_and_unknown_ones_are_empty() -> None:
    rows = [{"name": "first", "kind": "for_you"}, {"name": "soon", "kind": "closing_soon"}]
    fallback = Fallback(60.0)
    fallback.remember({"rows": rows}, {"first": [item("s1", 1)], "soon": [item("s2", 2)]})

    page = fallback.page({"rows": rows})
    other = fallback.page({"rows": rows[:1]})

    assert [(row["name"], row["items"][0]["rank"]) for row in page["rows"]] == [
        ("first", 1),
        ("soon", 2),
    ]
    assert other["rows"] == [{"name": "first", "kind": "for_you", "because_of": None, "items": []}]


def test_the_newest_questions_are_remembered() -> None:
    fallback = Fallback(60.0)
    for number in range(MAX_REMEMBERED + 1):
        fallback.remember({"market": f"m{number}"}, {"": [item("s1", 1)]})

    assert fallback.slate({"market": "m0"})["items"] == []
    assert len(fallback.slate({"market": "m1"})["items"]) == 1
