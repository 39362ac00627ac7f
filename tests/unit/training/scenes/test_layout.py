"""Labelled pictures are found where they lie."""

from pathlib import Path

import pytest

from training.scenes.layout import (
    TRAINING_LISTS,
    LabelledPaths,
    LayoutError,
    labelled_paths,
    list_beside,
    read_layout,
    read_list,
)


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def sun(root: Path) -> Path:
    """Lay pictures out as SUN397 does."""
    touch(root, "a/abbey/sun_1.jpg", "a/abbey/sun_2.jpg", "b/beach/sun_3.jpg")
    touch(root, "a/apartment_building/outdoor/sun_4.jpg", "stray.jpg")
    return root


def places(root: Path) -> Path:
    """Lay pictures out as Places365 does, the validation pictures in one folder."""
    touch(root, "a/airfield/00000001.jpg", "b/bedroom/00000001.jpg", "Places365_val_00000001.jpg")
    text = "/a/airfield 0\n/a/apartment_building/outdoor 1\n/b/bedroom 2\n"
    (root / "categories_places365.txt").write_text(text)
    return root


def listed(root: Path, text: str) -> LabelledPaths:
    file_list = root / "list.txt"
    file_list.write_text(text)
    return read_list(root, file_list)


def test_a_folder_is_a_label(tmp_path: Path) -> None:
    touch(tmp_path, "sea/2.jpg", "sea/1.PNG", "abbey/3.webp", "abbey/notes.txt")

    found = read_layout(tmp_path)

    assert found.labels == ("abbey", "sea")
    assert [path.name for path in found.paths] == ["3.webp", "1.PNG", "2.jpg"]
    assert found.targets.tolist() == [0, 1, 1]


def test_folders_of_first_letters_are_no_part_of_a_label(tmp_path: Path) -> None:
    touch(tmp_path, "a/abbey/1.jpg", "b/bakery/shop/1.jpg", "x/abbey/1.jpg")

    assert read_layout(tmp_path).labels == ("abbey", "bakery/shop", "x/abbey")


def test_one_label_is_not_enough(tmp_path: Path) -> None:
    touch(tmp_path, "sea/1.jpg")

    with pytest.raises(LayoutError, match="at least 2 labels are needed, got 1"):
        read_layout(tmp_path)


def test_formats_that_are_not_read_are_found_so_that_they_are_reported(tmp_path: Path) -> None:
    touch(tmp_path, "sea/1.JPEG", "sea/2.jfif", "sea/3.tif", "abbey/4.gif", "abbey/._4.jpg")

    assert [path.name for path in read_layout(tmp_path).paths] == [
        "4.gif",
        "1.JPEG",
        "2.jfif",
        "3.tif",
    ]


def test_labels_and_pictures_may_be_numbers(tmp_path: Path) -> None:
    touch(tmp_path, "0/1.jpg", "10/1.png", "1/10.jpg")

    assert read_layout(tmp_path).labels == ("0", "1", "10")


def test_a_picture_in_no_folder_has_no_label(tmp_path: Path) -> None:
    touch(tmp_path, "sea/1.jpg", "abbey/1.jpg", "stray.jpg")

    with pytest.raises(LayoutError, match=r"stray\.jpg lies in no folder that could be its label"):
        read_layout(tmp_path)


def test_labels_without_pictures_are_left_out() -> None:
    found = labelled_paths({"b": [Path("2"), Path("1")], "none": [], "a": [Path("3")]})

    assert found.labels == ("a", "b")
    assert found.paths == (Path("3"), Path("1"), Path("2"))


def test_a_partition_of_sun397_names_its_pictures(tmp_path: Path) -> None:
    text = "/a/abbey/sun_2.jpg\r\n/a/apartment_building/outdoor/sun_4.jpg\r\n\r\n"

    found = listed(sun(tmp_path), text)

    assert found.labels == ("abbey", "apartment_building/outdoor")
    assert [path.name for path in found.paths] == ["sun_2.jpg", "sun_4.jpg"]
    assert found.targets.tolist() == [0, 1]


def test_a_list_of_places365_gives_labels_by_number(tmp_path: Path) -> None:
    text = "Places365_val_00000001.jpg 1\n/b/bedroom/00000001.jpg 2\n/a/airfield/00000001.jpg 0\n"

    found = listed(places(tmp_path), text)

    assert found.labels == ("airfield", "apartment_building/outdoor", "bedroom")
    assert [path.parent.name for path in found.paths] == ["airfield", tmp_path.name, "bedroom"]


def test_the_categories_may_lie_beside_the_list(tmp_path: Path) -> None:
    root = places(tmp_path / "data_256")
    (root / "categories_places365.txt").rename(tmp_path / "categories_places365.txt")
    file_list = tmp_path / "places365_train_standard.txt"
    file_list.write_text("/a/airfield/00000001.jpg 0\n/b/bedroom/00000001.jpg 2\n")

    assert read_list(root, file_list).labels == ("airfield", "bedroom")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/a/abbey/sun_9.jpg", r"line 1: /a/abbey/sun_9\.jpg is no picture below"),
        ("/a/abbey/sun_1.jpg\n\n/a/abbey", "line 3: /a/abbey is no picture below"),
        ("../secret.jpg", r"line 1: \.\./secret\.jpg leads out of"),
        ("/a/abbey/sun_1.jpg\na/abbey/sun_1.jpg", "line 2: a/abbey/sun_1.jpg is listed twice"),
        ("/a/abbey/sun_1.jpg", r"list\.txt: pictures of at least 2 labels are needed, got 1"),
        ("", r"list\.txt: pictures of at least 2 labels are needed, got 0"),
        ("stray.jpg", "line 1: stray.jpg has neither a folder nor a number"),
        (f"/a/{'b' * 300}.jpg", "line 1: .* is no picture below"),
        ("/a/abbey/sun_1.jpg 0", "categories_places365.txt is not in"),
    ],
)
def test_a_list_that_does_not_fit_says_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        listed(sun(tmp_path), text)


def test_a_number_without_category_says_where(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"line 1: .* has no category 365"):
        listed(places(tmp_path), "/a/airfield/00000001.jpg 365\n")


@pytest.mark.parametrize("text", ["/a/airfield\n", "/a/airfield 0\n/b/bedroom 0\n"])
def test_categories_have_numbers_of_their_own(tmp_path: Path, text: str) -> None:
    root = places(tmp_path)
    (root / "categories_places365.txt").write_text(text)

    with pytest.raises(LayoutError, match="expected a category and its own number"):
        listed(root, "/a/airfield/00000001.jpg 0\n")


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(LayoutError, match="cannot be read as UTF-8 text"):
        read_list(tmp_path, tmp_path / "list.txt")


def test_the_usual_list_is_found_beside_the_pictures(tmp_path: Path) -> None:
    assert list_beside(tmp_path, TRAINING_LISTS) is None

    touch(tmp_path, "Training_01.txt")

    assert list_beside(tmp_path, TRAINING_LISTS) == tmp_path / "Training_01.txt"
