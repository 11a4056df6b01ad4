"""What goes wrong on demand: rules that spoil a number of requests and are then used up."""

import asyncio
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from groupclaim.simulator.clearinghouse import Clearinghouse, MailboxFile

Kind: TypeAlias = Literal[
    "slow",
    "lose_answer",
    "accept_then_503",
    "drop_before",
    "server_error",
    "throttle",
    "duplicate",
    "out_of_order",
    "malformed",
    "permission_denied",
    "partial_upload",
    "disk_full",
    "rename_undone",
    "changed_host_key",
]
TRANSPORT_KINDS: frozenset[Kind] = frozenset(
    {"slow", "lose_answer", "drop_before", "server_error", "throttle"}
)
_ON_MAILBOX: frozenset[Kind] = frozenset(
    {*TRANSPORT_KINDS, "duplicate", "out_of_order", "malformed", "permission_denied"}
)
_CHANNELS: dict[str, frozenset[Kind]] = {
    "eligibility": TRANSPORT_KINDS,
    "authorization": TRANSPORT_KINDS,
    "status": TRANSPORT_KINDS,
    "batch": TRANSPORT_KINDS
    | {"accept_then_503", "permission_denied", "partial_upload", "disk_full", "rename_undone"},
    "mailbox": _ON_MAILBOX,
    "connection": frozenset({"changed_host_key"}),
}


class FaultRule(BaseModel):
    """Spoil the next `times` requests of a channel.

    `seconds` is real time: how long `slow` waits, and what `throttle` asks for in Retry-After.

    Over SFTP only: `permission_denied`, `disk_full`, `partial_upload` (the connection is cut in the
    middle of the bytes), `rename_undone` (it is cut instead of renaming; `lose_answer` cuts it
    after renaming), and `changed_host_key` on `connection`. Over HTTP only: `throttle`, and
    `accept_then_503` on `batch` (taken, but a gateway answers that the service is unavailable).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: Literal["batch", "eligibility", "authorization", "status", "mailbox", "connection"]
    kind: Kind
    times: int = Field(ge=1, le=10_000)
    seconds: float = Field(default=1.0, ge=0, le=600)

    @model_validator(mode="after")
    def _happens_there(self) -> "FaultRule":
        if self.kind not in _CHANNELS[self.on]:
            raise ValueError(f"kind {self.kind} does not happen on {self.on}")
        return self


class FaultRules(BaseModel):
    """All rules in force, in the order in which they are tried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[FaultRule, ...]


class Faults:
    """The rules in force with what is left of them. One request uses up at most one rule's turn."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []

    def replace(self, rules: FaultRules) -> None:
        """Put these rules in force instead of all earlier ones."""
        self._rules = list(rules.rules)

    def left(self) -> FaultRules:
        """The rules that still have turns."""
        return FaultRules(rules=tuple(self._rules))

    def take(self, channel: str, kinds: frozenset[Kind]) -> FaultRule | None:
        """Use up one turn of the first rule for that channel of one of these kinds."""
        for position, rule in enumerate(self._rules):
            if rule.on == channel and rule.kind in kinds:
                if rule.times > 1:
                    self._rules[position] = rule.model_copy(update={"times": rule.times - 1})
                else:
                    del self._rules[position]
                return rule
        return None


async def look_into_mailbox(
    house: Clearinghouse, faults: Faults, kinds: frozenset[Kind]
) -> tuple[tuple[MailboxFile, ...], FaultRule | None]:
    """The mailbox as it is shown to one who looks, and the rule that spoils this look, if any.

    `kinds`: what else may spoil it than what happens to the files, which has happened on return.
    """
    files = await asyncio.to_thread(house.mailbox)
    possible: set[Kind] = {*kinds, "malformed"}
    if files:
        possible.add("duplicate")
    if len(files) > 1:
        possible.add("out_of_order")
    rule = faults.take("mailbox", frozenset(possible))
    if rule is not None and rule.kind == "duplicate":
        files = await asyncio.to_thread(house.repeat_newest_file)
    if rule is not None and rule.kind == "malformed":
        files = await asyncio.to_thread(house.add_garbage_file)
    if rule is not None and rule.kind == "out_of_order":
        files = files[::-1]
    return files, rule
