"""Customers worth a look, and the files that count as a sale's picture."""

from pathlib import Path

import polars as pl
import pytest

from app.web.shop_window import N_OF_A_KIND, known_customers, picture_path, picture_type


def write_events(folder: Path, rows: list[tuple[str, str, str]]) -> None:
    columns = ["customer_id", "type", "market"]
    pl.DataFrame(rows, schema=columns, orient="row").write_parquet(folder / "events.parquet")


def test_customers_are_chosen_by_what_they_did(tmp_path: Path) -> None:
    """Impressions say nothing of a customer; the market is that of the latest event."""
    buyer = [("b", "click", "fr"), ("b", "purchase", "DE ")]
    looker = [("l", "click", "fr")] * 3 + [("l", "impression", "uk")]
    unseen = [("u", "impression", "fr")] * 9
    write_events(tmp_path, [*buyer, *looker, ("n", "view", "uk"), *unseen])

    found = known_customers(tmp_path)

    assert [(one.kind, one.customer_id, one.n_events, one.n_purchases) for one in found] == [
        ("buys", "b", 2, 1),
        ("looks", "l", 3, 0),
        ("looks", "n", 1, 0),
        ("new", "n", 1, 0),
        ("new", "l", 3, 0),
    ]
    assert {(one.customer_id, one.market) for one in found} == {
        ("b", "de"),
        ("l", "fr"),
        ("n", "uk"),
    }
    assert {one.device for one in found} == {None}


def test_a_few_of_each_kind_are_enough(tmp_path: Path) -> None:
    write_events(tmp_path, [(f"c{n:03}", "purchase", "fr") for n in range(100)])

    assert [one.customer_id for one in known_customers(tmp_path)] == [
        f"c{n:03}" for n in range(N_OF_A_KIND)
    ]


def test_a_dataset_without_events_has_no_known_customers(tmp_path: Path) -> None:
    assert known_customers(tmp_path) == ()


def test_a_picture_is_a_file_below_images(tmp_path: Path) -> None:
    images = tmp_path / "images"
    (images / "sea").mkdir(parents=True)
    (images / "sea/a.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "secret.jpg").write_bytes(b"\xff\xd8\xff")
    (images / "link.jpg").symlink_to(tmp_path / "secret.jpg")

    assert picture_path(images, "sea/a.jpg") == images / "sea/a.jpg"
    for image in ("../secret.jpg", "link.jpg", str(tmp_path / "secret.jpg"), "sea", "gone.jpg"):
        assert picture_path(images, image) is None
    assert picture_path(images, "x" * 1_000) is None


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"<svg xmlns='x' onload='alert(1)'/>", None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(content: bytes, media_type: str | None) -> None:
    """What is no picture could be a page of this origin."""
    assert picture_type(content) == media_type
