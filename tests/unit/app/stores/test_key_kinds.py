"""Kinds of keys: the layout names them once, and nothing that needs them all forgets one."""

import re

import pytest

from app.stores import keys as layout
from app.stores.keys import PREFIXES
from tests.proofs import ROOT


def test_the_table_of_the_layout_names_every_kind_and_no_other() -> None:
    table = re.findall(r"^``([a-z]+):(?:\d+:)?\{", layout.__doc__ or "", re.MULTILINE)

    assert set(table) == set(PREFIXES)


def test_every_key_that_is_named_is_of_a_kind() -> None:
    names = [value for value in vars(layout).values() if isinstance(value, str)]
    keys = [name for name in names if re.match(r"^[a-z]+:\{", name)]
    customer = layout.CustomerKeys.for_customer("c1")
    keys += [getattr(customer, field) for field in customer.__slots__]

    assert {key.split(":")[0] for key in keys} <= set(PREFIXES)


@pytest.mark.parametrize("kind", PREFIXES)
def test_the_documented_user_may_use_every_kind(kind: str) -> None:
    page = (ROOT / "docs/store.md").read_text(encoding="utf-8")

    assert f"~{kind}:*" in page
    assert re.search(rf"^\| .*`{kind}:(\d+:)?\{{", page, re.MULTILINE)
