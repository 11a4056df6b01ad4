"""What goes wrong on demand: rules that spoil a number of requests and are then used up."""

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind: TypeAlias = Literal[
    "slow",
    "lose_answer",
    "drop_before",
    "server_error",
    "throttle",
    "duplicate",
    "out_of_order",
    "malformed",
]
TRANSPORT_KINDS: frozenset[Kind] = frozenset(
    {"slow", "lose_answer", "drop_before", "server_error", "throttle"}
)


class FaultRule(BaseModel):
    """Spoil the next `times` requests of a channel.

    `seconds` is real time: how long `slow` waits, and what `throttle` asks for in Retry-After.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: Literal["batch", "eligibility", "mailbox"]
    kind: Kind
    times: int = Field(ge=1, le=10_000)
    seconds: float = Field(default=1.0, ge=0, le=600)

    @model_validator(mode="after")
    def _mailbox_kinds_stay_there(self) -> "FaultRule":
        if self.kind not in TRANSPORT_KINDS and self.on != "mailbox":
            raise ValueError(f"kind {self.kind} happens on mailbox only")
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
