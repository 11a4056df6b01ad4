"""The approval limits in force on a day: the practice's own, else those of ``approvals.toml``."""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from typing import Annotated

from pydantic import Field

from groupclaim.model.approval import ApprovalLimit, Decision, overlapping
from groupclaim.model.base import InputRefused, Record, parse
from groupclaim.policy.tables import packaged

_FILE = "approvals.toml"


class _Limits(Record):
    source: Annotated[str, Field(min_length=1)]
    verified: bool
    limit: tuple[ApprovalLimit, ...]


@cache
def packaged_limits() -> tuple[ApprovalLimit, ...]:
    """The limits that come with groupclaim."""
    text = (packaged() / _FILE).read_text(encoding="utf-8")
    found = parse(_Limits, tomllib.loads(text), _FILE).limit
    if twice := overlapping(found):
        raise InputRefused(_FILE, [f"{name}: two limits on one day" for name in twice])
    return found


def limit_for(
    decision: Decision, own: tuple[ApprovalLimit, ...], day: date
) -> ApprovalLimit | None:
    """What holds for ``decision`` on ``day``; None where nobody has said, and nobody may."""
    return next(
        (
            item
            for limits in (own, packaged_limits())
            for item in limits
            if item.decision is decision and item.in_force(day)
        ),
        None,
    )
