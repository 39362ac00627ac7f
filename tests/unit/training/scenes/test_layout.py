"""Labelled pictures are found where they lie."""

from pathlib import Path

import pytest

from training.scenes.layout import LayoutError, labelled_paths, read_layout


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


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


def test_labels_without_pictures_are_left_out() -> None:
    found = labelled_paths({"b": [Path("2"), Path("1")], "none": [], "a": [Path("3")]})

    assert found.labels == ("a", "b")
    assert found.paths == (Path("3"), Path("1"), Path("2"))
