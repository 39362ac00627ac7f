"""Conversion counts pairs of customer and sale, not events."""

from tests.logs import Row, event_table
from training.scenes.conversion import conversions

TOPICS = {"s1": "Sea", "s2": "Sea", "s3": "Golf"}


def test_a_pair_is_one_trial_however_often_it_is_seen() -> None:
    """Sea in fr: c1 bought s1 of two opened, c2 opened s1; Golf in de: c2 bought at once."""
    rows = [
        Row(at=0, customer="c1", sale="s1", market="fr"),
        Row(at=1, customer="c1", sale="s1", market="fr", kind="click"),
        Row(at=2, customer="c1", sale="s1", market="fr", kind="purchase"),
        Row(at=3, customer="c1", sale="s2", market="fr"),
        Row(at=4, customer="c2", sale="s1", market="fr", kind="cart"),
        Row(at=5, customer="c2", sale="s2", market="fr", kind="impression"),
        Row(at=6, customer="c2", sale="s3", market="de", kind="purchase"),
        Row(at=7, customer="c3", sale="s3"),
        Row(at=8, customer="c3", sale="unseen", market="fr"),
    ]

    found = conversions(event_table(rows), TOPICS)

    assert [(one.topic, one.market, one.share.value, one.share.n) for one in found] == [
        ("Golf", "de", 1.0, 1),
        ("Golf", "unknown", 0.0, 1),
        ("Sea", "fr", 1 / 3, 3),
    ]


def test_nothing_opened_gives_no_conversion() -> None:
    assert conversions(event_table([Row(kind="impression")]), TOPICS) == []
