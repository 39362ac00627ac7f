"""Mapping file: which columns and values of a shop's own files become those of the contract."""

from collections.abc import Mapping as AnyMapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal, Self, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from models.arrays.document import read_yaml
from models.dataset.encoding import Encoding
from models.dataset.schema import EVENTS, MAX_ATTRIBUTES, SALES
from models.domain.errors import UserError
from models.domain.event import WITHOUT_SALE, EventType

EPOCHS: Final = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
"""Microseconds in a tick of each form of epoch numbers."""

ISO: Final = "iso"
_SHIPPED: Final = files("training.importers") / "mappings"

Scalar = bool | int | float | str


class MappingError(UserError):
    """A mapping file that cannot be used, or does not fit the files."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _time_format(form: str) -> str:
    if form != ISO and form not in EPOCHS and "%" not in form:
        msg = f"{form!r} is none of {ISO}, {', '.join(EPOCHS)}, or a form such as '%d/%m/%Y %H:%M'"
        raise ValueError(msg)
    return form


TimeFormat = Annotated[str, AfterValidator(_time_format)]


class Value(_Part):
    """Where the values of a column come from; in the file a text, a list or a map.

    Attributes:
        columns: Columns of the source, or texts with columns in braces like ``{id}.jpg``. The
            first that has a value counts.
        constant: The same value for every row.
        values: New values by those of the column; others become missing.
        absolute: Whether the sign of numbers is left out, as of pieces given back.
    """

    columns: tuple[str, ...] = ()
    constant: Scalar | None = None
    values: dict[str, Scalar] | None = None
    absolute: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: object) -> object:
        if isinstance(given, str):
            return {"columns": (given,)}
        if isinstance(given, list):
            return {"columns": tuple(cast("list[object]", given))}
        if isinstance(given, dict) and "column" in given:
            named = dict(cast("dict[str, object]", given))
            values = named.pop("values", None)
            # YAML reads 0 and true as a number and a boolean; values are compared as texts.
            if isinstance(values, dict):
                values = {
                    str(key).lower() if isinstance(key, bool) else str(key): new
                    for key, new in cast("dict[object, object]", values).items()
                }
            return {"columns": (named.pop("column"),), "values": values, **named}
        return cast("object", given)

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if bool(self.columns) == (self.constant is not None):
            msg = "name a column, a list of columns, or {constant: …}"
            raise ValueError(msg)
        return self


class Condition(_Part):
    """Rule for the values of one column; all that is given must hold.

    Attributes:
        one_of: The value is one of these; in the file one value or a list.
        at_least: The value is a number, not below this.
        below: The value is a number below this.
        begins_with: The text begins with this.
        missing: Whether the value is missing.
    """

    one_of: tuple[Scalar, ...] | None = None
    at_least: float | None = None
    below: float | None = None
    begins_with: str | None = None
    missing: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: object) -> object:
        if isinstance(given, dict):
            return cast("object", given)
        one_of = cast("list[object]", given) if isinstance(given, list) else [given]
        return {"one_of": tuple(one_of)}


Values = dict[str, Value]
Conditions = dict[str, Condition]


class Each(_Part):
    """List of a row, of which each element becomes a row of its own.

    Its parts are columns ``LIST.FIELD``; ``LIST.position`` counts the elements from 1.

    Attributes:
        list_column: Column of the list: a list, a JSON list, or a text with a separator.
        separator: Text between the elements.
        pattern: Regular expression whose named groups are the fields of an element.
    """

    list_column: str = Field(alias="list")
    separator: str | None = Field(default=None, min_length=1)
    pattern: str | None = None


class Properties(_Part):
    """Rows that each hold one property of a sale or customer, by name.

    Attributes:
        name: Column with the name of the property.
        value: Column with its value.
        at: Column with the time of the row: of repeated properties the last counts.
    """

    name: str
    value: str
    at: str | None = None


class Section(_Part):
    """How the rows of one file become rows of one table.

    Attributes:
        where: Rows that are read; others are left to other sections.
        each: List that is unfolded.
        columns: The columns of the table.
        properties: Rows that are gathered by their sale or customer.
        time_format: Form of its times, if not that of the mapping.
    """

    where: Conditions = Field(default_factory=dict)
    each: Each | None = None
    columns: Values
    properties: Properties | None = None
    time_format: TimeFormat | None = None


class EventSection(Section):
    """How the rows of a file of events become events.

    Attributes:
        types: Types of events, each with the rows that it is made of. A row may be several.
        left_out: Rows that are left out on purpose, by a name that the report counts them by.
    """

    types: dict[EventType, Conditions] = Field(min_length=1)
    left_out: dict[str, Conditions] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _known_types(cls, given: object) -> object:
        # Strict models take an enumeration by its members only.
        if not isinstance(given, dict):
            return given
        section = dict(cast("dict[str, object]", given))
        types = section.get("types")
        if isinstance(types, dict):
            known = {each.value: each for each in EventType}
            named = cast("dict[str, object]", types)
            if unknown := [name for name in named if name not in known]:
                msg = f"{unknown[0]!r} is no type of event: there are {', '.join(known)}"
                raise ValueError(msg)
            section["types"] = {known[name]: rows or {} for name, rows in named.items()}
        return section

    @model_validator(mode="after")
    def _columns_of_events(self) -> Self:
        if self.properties is not None:
            msg = "properties are for sales and customers"
            raise ValueError(msg)
        _require(self.columns, "customer_id", "at")
        if self.types.keys() - WITHOUT_SALE:
            _require(self.columns, "sale_id")
        known = [column.name for column in EVENTS if column.name != "type"]
        for name in self.columns.keys() - known:
            alike = get_close_matches(name, known, n=1)
            hint = f", do you mean {alike[0]!r}" if alike else f"; there are {', '.join(known)}"
            msg = f"events have no column {name!r}{hint}"
            raise ValueError(msg)
        return self


def _require(columns: AnyMapping[str, object], *names: str) -> None:
    for name in names:
        if name not in columns:
            msg = f"columns must say where {name!r} comes from"
            raise ValueError(msg)


def _require_few_attributes(columns: AnyMapping[str, object]) -> None:
    n_attributes = len(columns.keys() - {column.name for column in SALES})
    if n_attributes > MAX_ATTRIBUTES:
        msg = f"sales have {n_attributes} columns beyond the contract, at most {MAX_ATTRIBUTES}"
        raise ValueError(msg)


class Csv(_Part):
    """Form of CSV files.

    Attributes:
        separator: Between the columns.
        decimal: The decimal mark of numbers; with a comma, points separate thousands.
        encoding: Of the text: UTF-8, a code page of Windows (``cp1250`` central Europe, ``cp1251``
            Cyrillic, ``cp1252`` western Europe, ``cp1253`` Greek, ``cp1254`` Turkish, ``cp1257``
            Baltic), or Latin-1 or -9.
    """

    separator: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    encoding: Encoding = "utf-8"


class Mapping(_Part):
    """Mapping of a shop's files to the dataset contract.

    Attributes:
        about: What it is for.
        time_zone: Zone of times that carry no offset; without it they are refused.
        time_format: ``iso``, an epoch in ``s``, ``ms``, ``us`` or ``ns``, or a form of strptime.
        currency: Currency of all sales.
        csv: Form of CSV files.
        events: One section a file of events, or several for one file.
        sales: The file of sales; without it sales are made of the events.
        sales_from_events: Columns of such sales, from the first event of each; beside a file of
            sales, of those that it lacks, which are left out otherwise.
        customers: The file of customers.
        rates: The file of rates of exchange.
    """

    about: str = ""
    time_zone: str | None = None
    time_format: TimeFormat = ISO
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$")
    csv: Csv = Csv()
    events: tuple[EventSection, ...]
    sales: Section | None = None
    sales_from_events: Values | None = None
    customers: Section | None = None
    rates: Section | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        try:
            return name if name is None else ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            msg = f"{name!r} is no time zone such as 'Europe/Paris' or 'UTC'"
            raise ValueError(msg) from exc

    @field_validator("events", mode="before")
    @classmethod
    def _one_or_several(cls, given: object) -> object:
        return tuple(cast("list[object]", given)) if isinstance(given, list) else (given,)

    @model_validator(mode="after")
    def _keys(self) -> Self:
        if self.sales is not None:
            _require(self.sales.columns, "sale_id")
        if self.customers is not None:
            _require(self.customers.columns, "customer_id")
        if self.rates is not None:
            _require(self.rates.columns, "currency", "rate", "at")
        columns = {**(self.sales.columns if self.sales else {}), **(self.sales_from_events or {})}
        _require_few_attributes(columns)
        if self.currency and "currency" in columns:
            msg = "currency is named twice: for the mapping and as a column of sales"
            raise ValueError(msg)
        return self


def shipped_mappings() -> list[str]:
    """Return the names of the mappings that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _SHIPPED.iterdir())


def shipped_text(name: str) -> str:
    """Return the text of a mapping of the package.

    Raises:
        MappingError: If there is none of this name.
    """
    if name not in shipped_mappings():
        msg = f"{name!r} is no mapping: give a file, or one of {', '.join(shipped_mappings())}"
        raise MappingError(msg)
    return (_SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")


def read_mapping(source: str) -> Mapping:
    """Read a mapping.

    Args:
        source: A YAML file, or the name of a mapping of the package.

    Raises:
        MappingError: If there is none, or it is not valid; with the place of each fault.
    """
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else shipped_text(source)
        return Mapping.model_validate(read_yaml(text.encode()))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        msg = f"{source} is no YAML: {exc}"
        raise MappingError(msg) from exc
    except ValidationError as exc:
        places = [
            f"  {'.'.join(map(str, fault['loc'])) or 'the file'}: "
            f"{fault['msg'].removeprefix('Value error, ')}"
            for fault in exc.errors()
        ]
        msg = "\n".join([f"{source} is no mapping:", *places])
        raise MappingError(msg) from exc
