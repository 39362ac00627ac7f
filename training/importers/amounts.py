"""Numbers in texts: decimal marks, marks of thousands, and signs of currencies."""

import re
from typing import Final, Literal

import polars as pl

SIGNS: Final = {"€": "EUR", "£": "GBP", "₹": "INR", "zł": "PLN", "Kč": "CZK", "Ft": "HUF"}
"""Currencies by the sign that only they have."""

SHARED_SIGNS: Final = ("$", "¥", "kr", "Fr.")
"""Signs that several currencies have."""

_SIGN: Final = "|".join(("[A-Z]{3}", *map(re.escape, (*SIGNS, *SHARED_SIGNS))))
_BEFORE: Final = rf"^([+-]?)\s*(?:{_SIGN})\s*([+-]?[0-9])"
_AFTER: Final = rf"([0-9])\s*(?:{_SIGN})$"
_GAPS: Final = " '’\u00a0\u202f"  # as in 1 234,50 and 1'234.50
# Points only between thousands: dates such as 14.07.2025 and numbers such as 99.90 are none.
_WITH_COMMA: Final = rf"^[+-]?([0-9]+|[0-9]{{1,3}}([.{_GAPS}][0-9]{{3}})+)(,[0-9]+)?$"
_WITH_POINT: Final = rf"^[+-]?([0-9]+|[0-9]{{1,3}}([,{_GAPS}][0-9]{{3}})+)(\.[0-9]+)?$"


def number_in(text: pl.Expr, *, decimal: Literal[".", ","]) -> pl.Expr:
    """Return numbers in texts as texts with a decimal point, without what stands around them.

    ``1.234,50 €`` and ``CHF 1'234.50`` are ``1234.50``. Another text that has the mark of
    thousands says what the decimal mark is; others stay as they are.

    Args:
        text: The texts, null where there is none.
        decimal: The decimal mark; a comma where that is a point, and the other way round, stands
            between thousands.
    """
    bare = text.str.strip_chars().str.replace("^\N{MINUS SIGN}", "-")
    bare = bare.str.replace(_BEFORE, "${1}${2}").str.replace(_AFTER, "${1}")
    other, form = (".", _WITH_COMMA) if decimal == "," else (",", _WITH_POINT)
    number = bare.str.replace_all(f"[{other}{_GAPS}]", "").str.replace(",", ".", literal=True)
    name = "of csv is a comma" if decimal == "," else "is a point"
    refused = pl.format("{} (the decimal mark {})", text, pl.lit(name))
    is_refused = bare.str.contains(other, literal=True)
    is_number = bare.str.contains(form)
    return pl.when(is_number).then(number).when(is_refused).then(refused).otherwise(bare)


def is_number_with_comma(text: pl.Expr) -> pl.Expr:
    """Return which texts are numbers with a decimal comma."""
    return text.str.contains(_WITH_COMMA)


def currency_in(text: pl.Expr) -> pl.Expr:
    """Return the currency of each amount: three letters, or a sign that several have.

    Null without either.
    """
    bare = text.str.strip_chars()
    sign = pl.coalesce(
        bare.str.extract(rf"^[+-]?\s*({_SIGN})\s*[+-]?[0-9]"),
        bare.str.extract(rf"[0-9]\s*({_SIGN})$"),
    )
    return sign.replace(SIGNS)
