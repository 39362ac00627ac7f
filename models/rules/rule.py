"""Rules of a merchandiser: when, which sales, and what is done with them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter, model_validator

from models.domain.event import MAX_AMOUNT, Name
from models.domain.times import Time
from models.rules.expression import (
    MAX_CHARS,
    Condition,
    ExpressionError,
    FieldComparison,
    read_expression,
)
from models.rules.field import FieldScope, RuleField

MAX_RULES: Final = 50  # chosen: each takes some microseconds an answer
MAX_PLACES: Final = 100  # as the longest slate of `GET /v1/recommendations`
# Chosen: at odds of 1 to 1,000, which are usual, this makes an even chance.
_MOST_ODDS: Final = 1_000.0

REQUEST: Final = "request"
"""Name of the rule of a request's filter."""

DISLIKED: Final = "disliked"
"""Name of the rule that hides what a customer disliked."""

HIDE_DISLIKED_DAYS: Final = 30
"""Days for which that rule hides unless another number is set.

Chosen: a month, in which most of the shown sales have closed.
"""

_TAKEN: Final = {
    REQUEST: "the filter of a request",
    DISLIKED: "what the customer disliked, see VITRINE_HIDE_DISLIKED_DAYS",
}

_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")

Expression = Annotated[str, Field(min_length=1, max_length=MAX_CHARS)]


class Exclude(BaseModel):
    """The sales are not shown."""

    model_config = _FROZEN

    kind: Literal["exclude"] = "exclude"


class Only(BaseModel):
    """No other sales are shown."""

    model_config = _FROZEN

    kind: Literal["only"] = "only"


class Pin(BaseModel):
    """The best of the sales is shown at a rank; if that is taken, at the next that is free."""

    model_config = _FROZEN

    kind: Literal["pin"] = "pin"
    rank: int = Field(ge=1, le=MAX_PLACES)


class Boost(BaseModel):
    """The sales are ordered as if their odds of being bought were so many times as large."""

    model_config = _FROZEN

    kind: Literal["boost"] = "boost"
    odds: float = Field(
        gt=0,
        ge=1 / _MOST_ODDS,
        le=_MOST_ODDS,
        description="Factor of the odds: above 1 it boosts, below 1 it buries.",
    )


class AtMost(BaseModel):
    """No more than so many of the sales are shown, in all or by each value of a field."""

    model_config = _FROZEN

    kind: Literal["at_most"] = "at_most"
    n: int = Field(ge=0, le=MAX_PLACES)
    per: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_CHARS,
        description="A text of sales, or an attribute that is one, as `destination` or "
        "`attribute['brand']`: the bound is of each of its values. Sales without one are not "
        "bounded.",
    )


class AtLeast(BaseModel):
    """So many of the sales are shown, while there are any that may be shown."""

    model_config = _FROZEN

    kind: Literal["at_least"] = "at_least"
    n: int = Field(ge=1, le=MAX_PLACES)


class Share(BaseModel):
    """This share of the impressions of all answers is theirs, at the least loss.

    Answers that lose least by it show more of the sales, in their last places.
    """

    model_config = _FROZEN

    kind: Literal["share"] = "share"
    of: float = Field(gt=0, lt=1, description="Share of impressions, as 0.2.")
    worth: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="What an impression of them may cost now, in expected outcomes. The service "
        "sets it by what it has shown.",
    )


Action = Annotated[
    Exclude | Only | Pin | Boost | AtMost | AtLeast | Share, Field(discriminator="kind")
]


class SlateRule(BaseModel):
    """Rule: when it holds, which sales it is about, and what is done with them."""

    model_config = _FROZEN

    name: Name
    when: Expression | None = Field(
        default=None,
        description="Condition on market, device, hour, weekday, is_new and attributes of the "
        "customer; unset: always.",
    )
    where: Expression | None = Field(
        default=None, description="Condition on the sales; unset: all of them, of `at_most` alone."
    )
    action: Action
    starts_at: Time | None = None
    ends_at: Time | None = Field(default=None, description="Exclusive; unset: never.")
    budget: float | None = Field(
        default=None,
        gt=0,
        le=MAX_AMOUNT,
        description="Expected outcomes that it may cost in all, by its price; then it stops. "
        "Unset: any number.",
    )
    dry_run: bool = Field(
        default=False, description="The rule changes no answer: only what it would cost is said."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            msg = f"rule {self.name} must end after its start {self.starts_at.isoformat()}"
            raise ValueError(msg)
        if self.where is None and isinstance(
            self.action, Exclude | Only | Pin | Boost | AtLeast | Share
        ):
            msg = f"rule {self.name} needs `where`: which sales it is about"
            raise ValueError(msg)
        if self.dry_run and isinstance(self.action, Share):
            msg = (
                f"rule {self.name} guarantees a share over answers, which no dry run delivers: "
                "let it run in an experiment, or price an `at_least`"
            )
            raise ValueError(msg)
        for given in ("when", "where"):
            try:
                condition = self.condition if given == "where" else self.occasion
            except ExpressionError as exc:
                msg = f"`{given}` of rule {self.name}: {exc}"
                raise ValueError(msg) from exc
            if condition is not None and given == "when":
                self._require_occasion(condition)
        if isinstance(self.action, AtMost) and self.action.per is not None:
            self._require_text(self.action.per)
        return self

    @cached_property
    def occasion(self) -> Condition | None:
        """Condition on the customer and the moment; None for always."""
        return None if self.when is None else read_expression(self.when)

    @cached_property
    def condition(self) -> Condition | None:
        """Condition on the sales; None for all."""
        return None if self.where is None else read_expression(self.where)

    @cached_property
    def per(self) -> RuleField | None:
        """The field by whose values the sales are bounded."""
        if not isinstance(self.action, AtMost) or self.action.per is None:
            return None
        return next(read_expression(f'{self.action.per} == ""').comparisons()).field

    @property
    def fields(self) -> frozenset[RuleField]:
        """All fields that its conditions read."""
        conditions = [one for one in (self.occasion, self.condition) if one is not None]
        read = {one.field for condition in conditions for one in condition.comparisons()}
        return frozenset(read if self.per is None else {*read, self.per})

    @cached_property
    def is_of_sales(self) -> bool:
        """Whether its `where` matches the same sales for any customer at any time."""
        condition = self.condition
        return condition is None or all(one.field.is_of_sales for one in condition.comparisons())

    def runs_at(self, now: datetime) -> bool:
        """Return whether it runs at a time: from its start, before its end."""
        return (self.starts_at is None or self.starts_at <= now) and (
            self.ends_at is None or now < self.ends_at
        )

    def _require_occasion(self, condition: Condition) -> None:
        for one in condition.comparisons():
            if one.field.scope not in {FieldScope.MOMENT, FieldScope.CUSTOMER}:
                msg = (
                    f"`when` of rule {self.name} is about the customer and the moment, and "
                    f"{one.field} is of a sale: put it into `where`"
                )
                raise ValueError(msg)

    def _require_text(self, per: str) -> None:
        try:
            condition = read_expression(f'{per} == ""')
        except ExpressionError:
            condition = None
        if (
            not isinstance(condition, FieldComparison)
            or condition.field.scope is not FieldScope.SALE
        ):
            msg = (
                f"rule {self.name} bounds by {per!r}: name one field of sales that is a text, as "
                "destination, category or attribute['brand']"
            )
            raise ValueError(msg)


class SlateRules(RootModel[tuple[SlateRule, ...]]):
    """Rules in the order of their precedence: of two that cannot both hold, the first does."""

    model_config = ConfigDict(frozen=True)

    root: Annotated[tuple[SlateRule, ...], Field(max_length=MAX_RULES)] = ()

    @model_validator(mode="after")
    def _have_names(self) -> Self:
        names = [rule.name for rule in self.root]
        for taken, meaning in _TAKEN.items():
            if taken in names:
                msg = f"no rule may have the name {taken!r}: it stands for {meaning}"
                raise ValueError(msg)
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            msg = f"rules must have distinct names, got {', '.join(repeated)} more than once"
            raise ValueError(msg)
        for rule in self.root:
            if isinstance(rule.action, Share) and rule.action.worth:
                msg = f"leave `worth` of rule {rule.name} out: the service sets it in each answer"
                raise ValueError(msg)
        return self

    def __len__(self) -> int:
        """Return the number of rules."""
        return len(self.root)

    @cached_property
    def live(self) -> tuple[SlateRule, ...]:
        """The rules that are no dry run."""
        return tuple(rule for rule in self.root if not rule.dry_run)

    @cached_property
    def live_json(self) -> str | None:
        """The same without a request's filter as JSON, as exposure records hold them, or None."""
        kept = tuple(rule for rule in self.live if rule.name != REQUEST)
        given = SlateRules.model_construct(kept)
        return given.model_dump_json(exclude_none=True) if given.root else None

    @cached_property
    def of_later_rows(self) -> Self:
        """The rules that hold in every row of a page: pins and guarantees are of its first."""
        kept = [one for one in self.root if not isinstance(one.action, Pin | AtLeast | Share)]
        return self.model_construct(tuple(kept))

    def without(self, names: Collection[str]) -> Self:
        """Return the same rules without some."""
        return self.model_construct(tuple(one for one in self.root if one.name not in names))

    def worth(self, worths: Sequence[float]) -> Self:
        """Return the same rules, in which impressions of shares may cost so much, one a rule."""
        changed = [
            rule.model_copy(update={"action": rule.action.model_copy(update={"worth": worth})})
            if isinstance(rule.action, Share)
            else rule
            for rule, worth in zip(self.root, worths, strict=True)
        ]
        return self.model_construct(tuple(changed))

    def behind(self, rule: SlateRule) -> Self:
        """Return the same rules with another one in front of them."""
        return self.model_construct((rule, *self.root))

    @staticmethod
    @lru_cache(maxsize=64)  # chosen: answers between two changes of a plan share their rules
    def from_record(text: str) -> "SlateRules":
        """Read `live_json`, which may hold a rule of the service's own.

        Raises:
            ValueError: If it is none of this software.
        """
        return SlateRules.model_construct(_RULES.validate_json(text))


@lru_cache(maxsize=256)  # chosen: a website has a few dozen filters
def request_filter(text: str) -> SlateRule:
    """Return the rule of a request that shows no other sales than its condition matches.

    Raises:
        ExpressionError: If it is no condition on sales.
    """
    _ = read_expression(text)
    return SlateRule(name=REQUEST, where=text, action=Only())


@lru_cache(maxsize=1)  # of the settings
def disliked_rule(days: int) -> SlateRule:
    """Return the rule that hides what a customer disliked for so many days."""
    return SlateRule(name=DISLIKED, where=f"days_since_dislike < {days}", action=Exclude())


_RULES: Final[TypeAdapter[tuple[SlateRule, ...]]] = TypeAdapter(tuple[SlateRule, ...])

NO_RULES: Final = SlateRules()
