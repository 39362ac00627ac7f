"""The list of recommenders."""

from models.recommenders.registry import RECOMMENDERS


def test_every_recommender_is_known_by_its_own_name() -> None:
    assert {name: one.name for name, one in RECOMMENDERS.items()} == {
        name: name
        for name in (
            "popularity",
            "content",
            "images",
            "taste",
            "collaborative",
            "text",
            "covisitation",
            "session",
            "audience",
            "buy_again",
            "demographic",
            "bestsellers",
        )
    }


def test_no_two_recommenders_name_a_column_alike() -> None:
    columns = [column for one in RECOMMENDERS.values() for column in one.columns]

    assert len(set(columns)) == len(columns)


def test_a_recommender_orders_by_the_column_of_its_name() -> None:
    """Reports and variants name it so; the first column is what it serves by."""
    assert all(next(iter(one.columns)) == name for name, one in RECOMMENDERS.items())
