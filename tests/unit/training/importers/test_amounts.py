"""Numbers and currencies in texts as shops write them."""

from typing import Literal

import polars as pl
import pytest

from training.importers.amounts import currency_in, listed_currencies, number_in


def numbers(decimal: Literal[".", ","], *texts: str, is_amount: bool = True) -> list[str]:
    frame = pl.DataFrame({"text": texts})
    number = number_in(pl.col("text"), decimal=decimal, is_amount=is_amount)
    return frame.select(number)["text"].to_list()


@pytest.mark.parametrize(
    ("decimal", "text", "number"),
    [
        (",", "1.234,50 €", "1234.50"),
        (",", "€ 12,5", "12.5"),
        (",", "-1.234,50 EUR", "-1234.50"),
        (",", "- € 3", "-3"),
        (",", "€ -3,20", "-3.20"),
        (",", "1 234\u00a0567,8 Kč", "1234567.8"),
        (".", "$1,234.50", "1234.50"),
        (".", "CHF 1'234.50", "1234.50"),
        (".", "1’234 Fr.", "1234"),
        (".", "\N{MINUS SIGN}£0.99", "-0.99"),
        (".", "1e3", "1e3"),
        (".", "7", "7"),
        (",", "59,90 eur", "59.90"),
        (".", "Chf 5", "5"),
        (",", "7,25", "7.25"),
    ],
)
def test_a_number_is_read_without_what_stands_around_it(
    decimal: Literal[".", ","], text: str, number: str
) -> None:
    assert numbers(decimal, f" {text} ") == [number]


@pytest.mark.parametrize(
    ("decimal", "text", "mark"),
    [
        (",", "99.90", "of csv is a comma"),
        (",", "1,234.50 €", "of csv is a comma"),
        (",", "1.250.00", "of csv is a comma"),
        (".", "99,90", "is a point"),
        (".", "$1.234,50", "is a point"),
        (".", "1,23,456", "is a point"),
        (",", "0.125", "of csv is a comma"),
        (",", "-0.125.000", "of csv is a comma"),
        (".", "0,125", "is a point"),
        (".", "EUR 0,125", "is a point"),
    ],
)
def test_a_number_of_the_other_decimal_mark_says_so(
    decimal: Literal[".", ","], text: str, mark: str
) -> None:
    """Read as a mark of thousands, the point would make 9,990 of 99.90, and 125 of 0.125."""
    assert numbers(decimal, text) == [f"{text} (the decimal mark {mark})"]


@pytest.mark.parametrize("text", ["SKU 100", "ABC123", "100 PCS", "-XXX 5", "sku 5"])
def test_three_letters_that_are_no_currency_stay(text: str) -> None:
    """An article number would become a price."""
    frame = pl.DataFrame({"text": [text]})

    assert numbers(".", text) == [text]
    assert frame.select(currency_in(pl.col("text")))["text"].to_list() == [None]


def test_a_number_that_is_no_amount_has_no_currency() -> None:
    assert numbers(".", "TOP 3", "3 €", "1,234", is_amount=False) == ["TOP 3", "3 €", "1234"]


def test_what_is_no_number_stays_as_it_is() -> None:
    assert numbers(".", "two", "NAN", "EUR", "") == ["two", "NAN", "EUR", ""]


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("1.234,50 €", "EUR"),
        ("€12", "EUR"),
        ("-CHF 5", "CHF"),
        ("5 zł", "PLN"),
        ("$5", "$"),
        ("20 kr", "kr"),
        ("20 KR", None),
        ("HRK 20", "HRK"),
        ("59,90 eur", "EUR"),
        ("Chf 5", "CHF"),
        ("20", None),
        ("EUR", None),
    ],
)
def test_the_currency_of_an_amount_is_that_of_its_sign(text: str, currency: str | None) -> None:
    frame = pl.DataFrame({"text": [text]})

    assert frame.select(currency_in(pl.col("text")))["text"].to_list() == [currency]


def test_currencies_are_listed_by_name_with_their_numbers_of_amounts() -> None:
    found = pl.Series("currency", ["USD", None, "EUR", "USD"] + ["¥"] * 1_200)

    assert listed_currencies(found) == "EUR 1, USD 2, ¥ 1,200"
