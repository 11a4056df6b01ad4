"""What patients are owed about money: estimates in time, statements, refunds; each with its source.

Read from ``patient_rights.toml``. How a deadline is counted from it is in
:mod:`groupclaim.rules.patient_account`.
"""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Annotated

from pydantic import Field

from groupclaim.model.base import parse
from groupclaim.model.money import Cents
from groupclaim.policy.payer import Cited
from groupclaim.policy.tables import packaged

_Count = Annotated[int, Field(gt=0)]
_FILE = "patient_rights.toml"
_OTHER = "other"


class DaysToPay(Cited):
    """Days from a statement to its due date."""

    days_to_pay: _Count


class EstimateRule(Cited):
    """A service scheduled at least so many business days ahead is estimated within so many business
    days after it was scheduled."""

    scheduled_business_days_ahead: _Count
    business_days_to_give: _Count


class EstimateOnRequest(Cited):
    """Business days to give an estimate that a patient asked for."""

    business_days_to_give: _Count


class EstimatePeriod(Cited):
    """Months that one estimate of recurring services may reach ahead."""

    most_months: _Count


class EstimateDispute(Cited):
    """A bill so many cents above its estimate may be disputed, within days of the bill, for a
    fee."""

    cents_above: Annotated[Cents, Field(gt=0)]
    days_to_start: _Count
    fee_cents: Annotated[Cents, Field(ge=0)]


class DaysToReturn(Cited):
    """Days from knowing of a patient's money that is not ours to its return."""

    days: _Count


class CardNotice(Cited):
    """Days between telling a patient the amount and charging their card."""

    days: Annotated[int, Field(ge=0)]


class PatientRights(Cited):
    """Every rule of the file. ``estimate``: the earliest warning first."""

    source: str = _FILE
    verified: bool = False
    statement: DaysToPay
    card_notice: CardNotice
    estimate: Annotated[tuple[EstimateRule, ...], Field(strict=False, min_length=1)]
    estimate_on_request: EstimateOnRequest
    estimate_period: EstimatePeriod
    estimate_dispute: EstimateDispute
    refunds: dict[str, DaysToReturn]

    def refund(self, state: str) -> DaysToReturn:
        """The rule for money of patients where the service was given in ``state``."""
        return self.refunds.get(state, self.refunds[_OTHER])


@cache
def patient_rights() -> PatientRights:
    """The rules that come with groupclaim."""
    text = (packaged() / _FILE).read_text(encoding="utf-8")
    return parse(PatientRights, tomllib.loads(text), _FILE)
