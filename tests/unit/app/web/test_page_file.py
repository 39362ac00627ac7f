"""Files of the pages: those of others are as published, ours need nothing from elsewhere."""

import re
from hashlib import sha256

import pytest

from app.web.page_file import MEDIA_TYPES, STATIC, page_files

# Of swagger-ui-dist 5.35.0, as npm has it.
PUBLISHED = {
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "NOTICE": "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui-bundle.js.LICENSE.txt": (
        "37eb6e7e59aed57b2c1acf076574b818ea07b74265717e0bd67b59e0baf9abbb"
    ),
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}
OURS = sorted(
    name
    for path in STATIC.rglob("*.*")
    if not (name := path.relative_to(STATIC).as_posix()).startswith("swagger/")
)


def test_swagger_ui_is_the_one_that_was_published() -> None:
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in STATIC.glob("swagger/*")}

    assert found == PUBLISHED


@pytest.mark.parametrize("name", OURS)
def test_our_files_name_no_other_site_and_make_no_nodes_from_text(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8").replace("http://www.w3.org/", "")

    assert re.findall(r"(?:https?:)?//[\w-]+\.\w+", text) == []
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", text) == []


def test_every_file_has_a_type_and_a_name_by_its_content() -> None:
    files = page_files()

    # Types are for the websites that copy the script, and no page asks for them.
    assert {*OURS} - {"vitrine.d.ts"} <= files.keys()
    assert {file.media_type for file in files.values()} <= {*MEDIA_TYPES.values()}
    assert len({file.etag for file in files.values()}) == len(files)
