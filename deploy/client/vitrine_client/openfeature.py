"""OpenFeature provider: an experiment is a flag, and the variant of a visitor is its value."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, cast

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import GeneralError, TargetingKeyMissingError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from .answers import Visit
from .client import Client

_UNITS: Final = ("customer_id", "session_id", "device_id")
_ATTRIBUTES: Final = ("session_id", "device_id", "market", "device")


class VitrineProvider(AbstractProvider):
    """Variants of experiments as string flags of OpenFeature.

    The targeting key is the customer; ``session_id``, ``device_id``, ``market`` and ``device`` are
    attributes of the context. A visitor outside an experiment, and an unknown experiment, give the
    default value. Nothing is counted as shown.

    Args:
        client: Asks the service; the application closes it.
    """

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name="Vitrine")

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Return the name of the visitor's variant in an experiment.

        Raises:
            TargetingKeyMissingError: If the context has no customer, session or device.
            GeneralError: If the service gave no answer.
        """
        found = self._client.assignments(**_visit(evaluation_context))
        if found is None:
            msg = "no answer from Vitrine; the log `vitrine_client` says why"
            raise GeneralError(msg)
        variant = next((one for one in found if one["experiment"] == flag_key), None)
        if variant is None:
            return FlagResolutionDetails(default_value, reason=Reason.DEFAULT)
        name = variant["variant"]
        reason = Reason.STATIC if variant["forced"] else Reason.SPLIT
        metadata = {"unit": variant["unit"], "share_bp": variant["share_bp"]}
        return FlagResolutionDetails(name, reason=reason, variant=name, flag_metadata=metadata)

    async def resolve_string_details_async(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Return the same without blocking the event loop."""
        return await asyncio.to_thread(
            self.resolve_string_details, flag_key, default_value, evaluation_context
        )

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Refuse: a variant has a name."""
        _refuse(flag_key)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Refuse: a variant has a name."""
        _refuse(flag_key)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Refuse: a variant has a name."""
        _refuse(flag_key)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Refuse: a variant has a name."""
        _refuse(flag_key)


def _visit(context: EvaluationContext | None) -> Visit:
    context = context or EvaluationContext()
    given = {name: context.attributes.get(name) for name in _ATTRIBUTES}
    given["customer_id"] = context.targeting_key or None
    if all(given[name] is None for name in _UNITS):
        msg = "name the customer as targeting key, or `session_id` or `device_id` as attribute"
        raise TargetingKeyMissingError(msg)
    return cast("Visit", given)


def _refuse(experiment: str) -> NoReturn:
    msg = f"the value of {experiment!r} is the name of a variant: a string"
    raise TypeMismatchError(msg)
