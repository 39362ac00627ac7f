"""Rule expressions, such as ``category == "ski" and price < 500``: read without running them."""

import ast
import io
import operator
import re
import tokenize
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from models.catalogue.attributes import MAX_LENGTH
from models.domain.sale import AttributeValue
from models.rules.field import FIELDS, TEXTS, FieldColumn, FieldScope, RuleField, Subject

MAX_CHARS: Final = 1_000  # chosen, as that of the texts of attributes
MAX_COMPARISONS: Final = 50  # chosen: each takes some microseconds an answer
MAX_DEPTH: Final = 10  # chosen: what a reader can follow

_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")

_SHOWN: Final = 60
"""Characters of an expression that an error quotes."""

Literal = str | float


class ExpressionError(ValueError):
    """An expression that cannot be read."""


class Operator(StrEnum):
    """Comparison of a field with a value."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    IN = "in"
    NOT_IN = "not in"


_OPERATORS: Final[Mapping[type[ast.cmpop], Operator]] = {
    ast.Eq: Operator.EQUAL,
    ast.NotEq: Operator.NOT_EQUAL,
    ast.Lt: Operator.LESS,
    ast.LtE: Operator.AT_MOST,
    ast.Gt: Operator.MORE,
    ast.GtE: Operator.AT_LEAST,
    ast.In: Operator.IN,
    ast.NotIn: Operator.NOT_IN,
}
_TURNED: Final = {
    Operator.EQUAL: Operator.EQUAL,
    Operator.NOT_EQUAL: Operator.NOT_EQUAL,
    Operator.LESS: Operator.MORE,
    Operator.AT_MOST: Operator.AT_LEAST,
    Operator.MORE: Operator.LESS,
    Operator.AT_LEAST: Operator.AT_MOST,
}
"""The same comparison with its sides exchanged."""

_NEGATED: Final = {Operator.NOT_EQUAL: Operator.EQUAL, Operator.NOT_IN: Operator.IN}
_COMPARED: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.MORE: operator.gt,
    Operator.AT_LEAST: operator.ge,
}
"""Comparisons of numbers, and of arrays of numbers."""

_WORDS: Final = {"true": True, "false": False}
_WHOLE: Final = {"hour": range(24), "weekday": range(1, 8), "is_new": range(2)}
"""Values of fields that have few."""


class Condition(Protocol):
    """A node of an expression."""

    def matches(self, subject: Subject) -> NDArray[np.bool_]:
        """Return whether it holds, one a candidate or one for all: ``(n,)`` or ``()``."""
        ...

    def comparisons(self) -> "Iterator[FieldComparison]":
        """Yield the comparisons that it consists of."""
        ...


@dataclass(frozen=True, slots=True)
class FieldComparison:
    """Comparison of a field with values; an unknown value equals none, and is not less or more.

    Attributes:
        field: The field.
        operator: The comparison.
        values: What it is compared with: one, or a list for `Operator.IN` and its negation.
    """

    field: RuleField
    operator: Operator
    values: tuple[Literal, ...]

    def matches(self, subject: Subject) -> NDArray[np.bool_]:
        """Return whether it holds; see `Condition`."""
        if self.field.is_of_visit:
            return np.asarray(self._holds_for(subject.value(self.field)))
        column = subject.column(self.field)
        compare = _COMPARED.get(self.operator)
        if compare is not None:
            return compare(column.numbers, float(self.values[0]))
        found = self._equal(column)
        return ~found if self.operator in _NEGATED else found

    def _holds_for(self, value: AttributeValue) -> bool:
        compare = _COMPARED.get(self.operator)
        if compare is not None:
            if value is None or isinstance(value, str):
                return False
            return bool(compare(value, float(self.values[0])))
        # A text equals no number in Python either.
        return (value in self.values) is not (self.operator in _NEGATED)

    def comparisons(self) -> "Iterator[FieldComparison]":
        """Yield itself."""
        yield self

    def _equal(self, column: FieldColumn) -> NDArray[np.bool_]:
        found = np.zeros(len(column.codes), dtype=np.bool_)
        for value in self.values:
            if isinstance(value, str):
                code = column.code.get(value)
                if code is not None:
                    found |= column.codes == code
            else:
                found |= column.numbers == value
        return found


@dataclass(frozen=True, slots=True)
class Every:
    """Conditions that all hold."""

    parts: tuple[Condition, ...]

    def matches(self, subject: Subject) -> NDArray[np.bool_]:
        """Return whether all hold; see `Condition`."""
        found = self.parts[0].matches(subject)
        for part in self.parts[1:]:
            found = found & part.matches(subject)
        return found

    def comparisons(self) -> Iterator[FieldComparison]:
        """Yield those of its parts."""
        return (one for part in self.parts for one in part.comparisons())


@dataclass(frozen=True, slots=True)
class Either:
    """Conditions of which one holds at least."""

    parts: tuple[Condition, ...]

    def matches(self, subject: Subject) -> NDArray[np.bool_]:
        """Return whether any holds; see `Condition`."""
        found = self.parts[0].matches(subject)
        for part in self.parts[1:]:
            found = found | part.matches(subject)
        return found

    def comparisons(self) -> Iterator[FieldComparison]:
        """Yield those of its parts."""
        return (one for part in self.parts for one in part.comparisons())


@dataclass(frozen=True, slots=True)
class Not:
    """A condition that does not hold."""

    part: Condition

    def matches(self, subject: Subject) -> NDArray[np.bool_]:
        """Return whether it does not hold; see `Condition`."""
        return ~self.part.matches(subject)

    def comparisons(self) -> Iterator[FieldComparison]:
        """Yield those of its part."""
        return self.part.comparisons()


def read_expression(text: str) -> Condition:
    """Read an expression.

    The grammar is a part of Python's: comparisons of a field with values, ``and``, ``or``, ``not``
    and parentheses. A name that no `FIELDS` has is an attribute of sales; others are written
    ``attribute["board type"]`` and ``customer["tier"]``. A field alone is a flag that is true.

    Raises:
        ExpressionError: Says what cannot be read, and what can.
    """
    if len(text) > MAX_CHARS:
        msg = f"an expression has at most {MAX_CHARS:,} characters, this one {len(text):,}"
        raise ExpressionError(msg)
    try:
        _require_plain_tokens(text.strip())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in texts, which are none of ours
            tree = ast.parse(text.strip(), mode="eval").body
    except ExpressionError:
        raise
    except (SyntaxError, ValueError, MemoryError, RecursionError, tokenize.TokenError) as exc:
        at = f" at character {exc.offset}" if isinstance(exc, SyntaxError) and exc.offset else ""
        msg = f'{_quoted(text)} is no expression{at}: write one such as category == "ski"'
        raise ExpressionError(msg) from exc
    condition = _condition(tree, text, depth=0)
    n_comparisons = sum(1 for _ in condition.comparisons())
    if n_comparisons > MAX_COMPARISONS:
        msg = f"{_quoted(text)} has {n_comparisons} comparisons, at most {MAX_COMPARISONS} are read"
        raise ExpressionError(msg)
    return condition


def _require_plain_tokens(text: str) -> None:
    """Refuse what Python reads and a merchandiser does not mean: comments, texts side by side."""
    before = None
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_text = token.type == tokenize.STRING
        if is_text and before == tokenize.STRING:
            msg = f"{_quoted(text)}: a comma is missing in front of {token.string}"
            raise ExpressionError(msg)
        if token.type == tokenize.COMMENT:
            msg = f"{_quoted(text)}: {token.string!r} is a comment: leave it out"
            raise ExpressionError(msg)
        if token.type == tokenize.NUMBER and not _NUMBER.fullmatch(token.string):
            msg = f"{_quoted(text)}: write the number {token.string} in digits, as in 499.5"
            raise ExpressionError(msg)
        if token.type == tokenize.NAME and normalize("NFKC", token.string) != token.string:
            msg = f"{_quoted(text)}: write the name {token.string} as attribute[{token.string!r}]"
            raise ExpressionError(msg)
        before = token.type


def _condition(node: ast.expr, text: str, *, depth: int) -> Condition:
    if depth > MAX_DEPTH:
        msg = f"{_quoted(text)} has conditions within conditions more than {MAX_DEPTH} deep"
        raise ExpressionError(msg)
    match node:
        case ast.BoolOp(op=op, values=values):
            parts = tuple(_condition(one, text, depth=depth + 1) for one in values)
            return Every(parts) if isinstance(op, ast.And) else Either(parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Not(_condition(operand, text, depth=depth + 1))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = [left, *comparators]
            pairs = zip(sides, ops, sides[1:], strict=False)
            found = tuple(_comparison(one, op, other, text) for one, op, other in pairs)
            return found[0] if len(found) == 1 else Every(found)
        case ast.Name() | ast.Subscript():
            field = _field(node, text)
            _require_kind(field, 1.0, text)
            return FieldComparison(field, Operator.EQUAL, (1.0,))
        case _:
            part = _quoted(ast.get_source_segment(text.strip(), node) or text)
            msg = f"{part} is no condition: compare a field with a value, as in price < 500"
            raise ExpressionError(msg)


def _comparison(left: ast.expr, op: ast.cmpop, right: ast.expr, text: str) -> FieldComparison:
    relation = _OPERATORS.get(type(op))
    if relation is None:
        msg = f"{_quoted(text)}: 'is' is not read: compare with == or !="
        raise ExpressionError(msg)
    if not _is_field(left) and _is_field(right) and relation in _TURNED:
        left, right, relation = right, left, _TURNED[relation]
    if not _is_field(left):
        msg = f"{_quoted(text)} compares two values: one side has to be a field"
        raise ExpressionError(msg)
    field = _field(left, text)
    is_list = relation in {Operator.IN, Operator.NOT_IN}
    if is_list != isinstance(right, ast.List | ast.Tuple):
        msg = f'{_quoted(text)}: "in" is followed by a list, as in category in ["ski", "spa"]'
        if not is_list:
            msg = f"{_quoted(text)}: only 'in' compares with a list"
        raise ExpressionError(msg)
    given = right.elts if isinstance(right, ast.List | ast.Tuple) else [right]
    values = tuple(_value(one, field, text) for one in given)
    for value in values:
        _require_kind(field, value, text)
        if relation not in {Operator.EQUAL, Operator.IN, *_NEGATED} and isinstance(value, str):
            msg = f"{_quoted(text)}: texts are compared with ==, != and in alone"
            raise ExpressionError(msg)
    return FieldComparison(field, relation, values)


def _is_field(node: ast.expr) -> bool:
    return isinstance(node, ast.Subscript) or (isinstance(node, ast.Name) and node.id not in _WORDS)


def _field(node: ast.expr, text: str) -> RuleField:
    match node:
        case ast.Name(id=name) if name not in _WORDS:
            return FIELDS.get(name) or RuleField(name, FieldScope.SALE, is_attribute=True)
        case ast.Subscript(
            value=ast.Name(id="attribute" | "customer" as table),
            slice=ast.Constant(value=str() as name),
        ) if len(name) <= MAX_LENGTH:
            scope = FieldScope.CUSTOMER if table == "customer" else FieldScope.SALE
            return RuleField(name, scope, is_attribute=True)
        case _:
            msg = f'{_quoted(text)}: fields are names, attribute["name"] or customer["name"]'
            raise ExpressionError(msg)


def _value(node: ast.expr, field: RuleField, text: str) -> Literal:
    match node:
        case ast.Constant(value=str() as value):
            # As `models.domain.event.Market` reads markets.
            return value.strip().lower() if field is FIELDS["market"] else value
        case ast.Constant(value=bool() | int() | float() as value):
            return _finite(value, text)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -_finite(value, text)
        case ast.Name(id=name) if name in _WORDS:
            return float(_WORDS[name])
        case _:
            part = _quoted(ast.get_source_segment(text.strip(), node) or text)
            msg = f"{part} is no value: write a number, true, false, or a text in quotes"
            if isinstance(node, ast.Name):
                msg += f', as "{node.id}"'
            raise ExpressionError(msg)


def _finite(value: float, text: str) -> float:
    try:
        found = float(value)
    except OverflowError:
        found = np.inf
    if not np.isfinite(found):
        msg = f"{_quoted(text)} has a number that is too large"
        raise ExpressionError(msg)
    return found


def _require_kind(field: RuleField, value: Literal, text: str) -> None:
    if field.is_attribute:
        return
    known = _WHOLE.get(field.name)
    if known is not None and value not in known:
        msg = f"{_quoted(text)}: {field} is a whole number from {known[0]} to {known[-1]}"
        raise ExpressionError(msg)
    is_text = field.name in TEXTS
    if is_text != isinstance(value, str):
        wanted = "a text in quotes" if is_text else "a number, true or false"
        msg = f"{_quoted(text)}: {field} is compared with {wanted}"
        raise ExpressionError(msg)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
