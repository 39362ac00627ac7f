"""Snapshots: equal content has an equal id, and comes back as it was."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.catalogue.snapshot import Snapshot, base_id_from
from models.domain.sale import PictureScores, Sale
from tests.builders import TOPICS, picture, sale

T = TypeVar("T")

SALES = {
    one.sale_id: one
    for one in (
        sale("s1", price=99.0, attributes={"stars": 4.5, "pool": True}),
        sale("s2", title="Chalet\nà Méribel\u2028", markets=["FR", "IT"]),
        sale("s3", closes_at=None),
    )
}
PICTURES = {
    "s2": picture(0.25, 0.75, embedding={0: 0.6, 5: 0.8}),
    "s3": picture(1.0, 0.0, embedding={9: 1.0}),
    "gone": picture(0.5, 0.5, embedding={1: 1.0}),
}
SNAPSHOT = Snapshot.from_sales(SALES, PICTURES)


def backwards(content: Mapping[str, T]) -> dict[str, T]:
    return dict(reversed(list(content.items())))


def test_the_id_does_not_depend_on_the_order_of_the_content() -> None:
    assert Snapshot.from_sales(backwards(SALES), backwards(PICTURES)).id == SNAPSHOT.id


def test_pictures_without_a_sale_are_left_out() -> None:
    assert set(SNAPSHOT.pictures) == {"s2", "s3"}


@pytest.mark.parametrize(
    ("sales", "pictures"),
    [
        (SALES | {"s1": sale("s1", price=98.0)}, PICTURES),
        ({"s1": SALES["s1"], "s2": SALES["s2"]}, PICTURES),
        (SALES, {"s2": PICTURES["s2"]}),
        (SALES, PICTURES | {"s3": picture(0.9, 0.1, embedding={9: 1.0})}),
        (SALES, PICTURES | {"s3": picture(1.0, 0.0, embedding={8: 1.0})}),
    ],
)
def test_other_content_has_another_id(
    sales: dict[str, Sale], pictures: dict[str, PictureScores]
) -> None:
    assert Snapshot.from_sales(sales, pictures).id != SNAPSHOT.id


@pytest.mark.parametrize(
    "snapshot", [SNAPSHOT, Snapshot.from_sales(SALES, {}), Snapshot.from_sales({}, {})]
)
def test_bytes_round_trip(snapshot: Snapshot) -> None:
    restored = Snapshot.from_bytes(snapshot.to_bytes())

    assert restored.sales == snapshot.sales
    assert restored.id == snapshot.id
    assert list(restored.pictures) == list(snapshot.pictures)
    for sale_id, scores in snapshot.pictures.items():
        assert restored.pictures[sale_id].embedding.tolist() == scores.embedding.tolist()
        assert restored.pictures[sale_id].probabilities.tolist() == scores.probabilities.tolist()


def test_the_catalogue_of_a_snapshot_has_its_sales_and_pictures() -> None:
    of = SNAPSHOT.catalogue(TOPICS)

    assert of.sales == SNAPSHOT.sales
    assert {of.sales[index].sale_id for index in np.flatnonzero(of.pictured)} == {"s2", "s3"}


def test_every_picture_of_a_sale_comes_back_under_its_number() -> None:
    each = {1: PICTURES["s2"], 4: PICTURES["s3"]}
    snapshot = Snapshot.from_sales(SALES, {"s1": PictureScores.combine(each), "s3": PICTURES["s3"]})

    restored = Snapshot.from_bytes(snapshot.to_bytes())

    assert restored.id == snapshot.id
    assert [*restored.pictures["s1"].each] == [1, 4]
    assert restored.pictures["s1"].each[4].embedding.tolist() == PICTURES["s3"].embedding.tolist()
    embedding = snapshot.pictures["s1"].embedding
    assert restored.pictures["s1"].embedding.tobytes() == embedding.tobytes()


def test_pictures_under_other_numbers_are_another_content() -> None:
    def numbered(number: int) -> str:
        scores = PictureScores.combine({number: PICTURES["s2"], 5: PICTURES["s3"]})
        return Snapshot.from_sales(SALES, {"s1": scores}).id

    assert numbered(1) != numbered(2)


AFTER: list[tuple[dict[str, Sale], dict[str, PictureScores]]] = [
    (SALES | {"s1": sale("s1", price=98.0)}, PICTURES),
    (SALES | {"s4": sale("s4")}, PICTURES | {"s4": PICTURES["s2"]}),
    ({"s1": SALES["s1"], "s3": SALES["s3"]}, PICTURES),
    (SALES, {"s2": PICTURES["s2"]}),
    (SALES, PICTURES | {"s3": PICTURES["s2"]}),
    ({}, {}),
    (SALES, PICTURES),
]


@pytest.mark.parametrize(("sales", "pictures"), AFTER)
def test_what_differs_from_a_base_comes_back_with_it(
    sales: dict[str, Sale], pictures: dict[str, PictureScores]
) -> None:
    after = Snapshot.from_sales(sales, pictures)

    restored = Snapshot.from_bytes(
        after.to_bytes(base=SNAPSHOT), base_of={SNAPSHOT.id: SNAPSHOT}.__getitem__
    )

    assert (restored.id, restored.sales) == (after.id, after.sales)
    assert restored.pictures.keys() == after.pictures.keys()


def test_only_what_differs_is_written() -> None:
    after = Snapshot.from_sales(SALES | {"s1": sale("s1", price=98.0)}, PICTURES)
    content = after.to_bytes(base=SNAPSHOT)

    written = Arrays.from_bytes(content)

    assert len(written.octets("sales").splitlines()) == 1
    assert not len(written.vectors("embeddings"))
    assert (base_id_from(content), base_id_from(after.to_bytes())) == (SNAPSHOT.id, None)


def test_without_its_base_a_content_is_refused() -> None:
    content = SNAPSHOT.to_bytes(base=SNAPSHOT)
    message = f"a difference to {SNAPSHOT.id}, which was not found"

    with pytest.raises(ValueError, match=message):
        Snapshot.from_bytes(content)
    with pytest.raises(ValueError, match=message):
        Snapshot.from_bytes(content, base_of=lambda _: Snapshot.from_sales({}, {}))


@pytest.mark.parametrize("pictured", [[0, 3], [-1, 0], [0], [0, 1, 2]])
def test_pictures_that_do_not_match_the_sales_are_refused(pictured: list[int]) -> None:
    arrays = dict(Arrays.from_bytes(SNAPSHOT.to_bytes()).arrays)
    arrays["pictured"] = np.array(pictured)

    with pytest.raises(ValueError, match=r"pictures of 3 sales do not match"):
        Snapshot.from_bytes(Arrays(arrays).to_bytes())


@pytest.mark.parametrize("content", [b"", b"[]", Arrays({"sales": np.zeros(1)}).to_bytes()])
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Snapshot.from_bytes(content)


def test_the_hash_of_a_file_comes_back_and_an_older_file_of_arrays_has_none() -> None:
    """Answers do not depend on it, so the id does not either."""
    hashed = {"s3": replace(PICTURES["s3"], content="ab" * 32)}
    written = Snapshot.from_sales(SALES, hashed)
    arrays = dict(Arrays.from_bytes(written.to_bytes()).arrays)
    del arrays["contents"]

    now, before = map(Snapshot.from_bytes, (written.to_bytes(), Arrays(arrays).to_bytes()))

    assert [one.pictures["s3"].content for one in (now, before)] == ["ab" * 32, ""]
    assert written.id == Snapshot.from_sales(SALES, {"s3": PICTURES["s3"]}).id
