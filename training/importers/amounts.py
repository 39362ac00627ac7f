"""Numbers in texts: decimal marks, marks of thousands, and signs of currencies."""

import re
from typing import Final, Literal

import polars as pl

SIGNS: Final = {"€": "EUR", "£": "GBP", "₹": "INR", "zł": "PLN", "Kč": "CZK", "Ft": "HUF"}
"""Currencies by the sign that only they have."""

SHARED_SIGNS: Final = ("$", "¥", "kr", "Fr.")
"""Signs that several currencies have."""

# ISO 4217, in use or replaced since 2010, without metals and units of account. Other capitals are
# no currency: an article number SKU 100 is no price.
_CODES: Final = (
    "AED|AFN|ALL|AMD|ANG|AOA|ARS|AUD|AWG|AZN|BAM|BBD|BDT|BGN|BHD|BIF|BMD|BND|BOB|BRL|BSD|BTN|"
    "BWP|BYN|BYR|BZD|CAD|CDF|CHF|CLP|CNY|COP|CRC|CUC|CUP|CVE|CZK|DJF|DKK|DOP|DZD|EEK|EGP|ERN|"
    "ETB|EUR|FJD|FKP|GBP|GEL|GHS|GIP|GMD|GNF|GTQ|GYD|HKD|HNL|HRK|HTG|HUF|IDR|ILS|INR|IQD|IRR|"
    "ISK|JMD|JOD|JPY|KES|KGS|KHR|KMF|KPW|KRW|KWD|KYD|KZT|LAK|LBP|LKR|LRD|LSL|LTL|LVL|LYD|MAD|"
    "MDL|MGA|MKD|MMK|MNT|MOP|MRO|MRU|MUR|MVR|MWK|MXN|MYR|MZN|NAD|NGN|NIO|NOK|NPR|NZD|OMR|PAB|"
    "PEN|PGK|PHP|PKR|PLN|PYG|QAR|RON|RSD|RUB|RWF|SAR|SBD|SCR|SDG|SEK|SGD|SHP|SLE|SLL|SOS|SRD|"
    "SSP|STD|STN|SVC|SYP|SZL|THB|TJS|TMT|TND|TOP|TRY|TTD|TWD|TZS|UAH|UGX|USD|UYU|UZS|VED|VEF|"
    "VES|VND|VUV|WST|XAF|XCD|XCG|XOF|XPF|YER|ZAR|ZMK|ZMW|ZWG|ZWL"
)
# `eur` is EUR, as in the column `currency`; a sign has one spelling.
_SIGN: Final = "|".join((f"(?i:{_CODES})", *map(re.escape, (*SIGNS, *SHARED_SIGNS))))
_BEFORE: Final = rf"^([+-]?)\s*(?:{_SIGN})\s*([+-]?[0-9])"
_AFTER: Final = rf"([0-9])\s*(?:{_SIGN})$"
_GAPS: Final = " '’\u00a0\u202f"  # as in 1 234,50 and 1'234.50
# Points only between thousands: dates such as 14.07.2025 and numbers such as 99.90 are none. No
# thousands begin with 0: that of 0.125 is the decimal point.
_WITH_COMMA: Final = rf"^[+-]?([0-9]+|[1-9][0-9]{{0,2}}([.{_GAPS}][0-9]{{3}})+)(,[0-9]+)?$"
_WITH_POINT: Final = rf"^[+-]?([0-9]+|[1-9][0-9]{{0,2}}([,{_GAPS}][0-9]{{3}})+)(\.[0-9]+)?$"


def number_in(text: pl.Expr, *, decimal: Literal[".", ","], is_amount: bool) -> pl.Expr:
    """Return numbers in texts as texts with a decimal point, without what stands around them.

    ``1.234,50 €`` and ``CHF 1'234.50`` are ``1234.50``, if they are amounts. Another text that has
    the mark of thousands says what the decimal mark is; others stay as they are.

    Args:
        text: The texts, null where there is none.
        decimal: The decimal mark; a comma where that is a point, and the other way round, stands
            between thousands.
        is_amount: Whether a currency may stand around them.
    """
    bare = text.str.strip_chars().str.replace("^\N{MINUS SIGN}", "-")
    if is_amount:
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
    """Return the currency of each amount: its code in capitals, or a sign that several have.

    Null without either.
    """
    bare = text.str.strip_chars()
    sign = pl.coalesce(
        bare.str.extract(rf"^[+-]?\s*({_SIGN})\s*[+-]?[0-9]"),
        bare.str.extract(rf"[0-9]\s*({_SIGN})$"),
    )
    code = sign.str.extract("^([A-Za-z]{3})$").str.to_uppercase()
    return pl.coalesce(code, sign.replace(SIGNS))


def listed_currencies(found: pl.Series) -> str:
    """Return currencies with their numbers of amounts as a text, by name; see `currency_in`."""
    counts = found.drop_nulls().value_counts().sort("currency").iter_rows()
    return ", ".join(f"{currency} {n:,}" for currency, n in counts)
