"""The payers' side of the simulated world, read from one JSON file and never changed afterwards.

It is the payers' truth, not the practice's: who is covered, under which member id, at what rate,
and what each payer really demands before it pays.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

Cents = Annotated[int, Field(ge=0, le=100_000_000)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9-]{0,29}$")]
ProcedureCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{5}$")]
Npi = Annotated[str, StringConstraints(pattern=r"^[12][0-9]{9}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]


class WorldError(ValueError):
    """The payers' file cannot be used; `problems` names every fault by its place in the file."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("payers file refused:\n" + "\n".join(f"- {line}" for line in problems))


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)


class Period(_Record):
    """Days from `first` to `last`, both included; no `last` means still running."""

    first: date = Field(alias="from")
    last: date | None = Field(alias="to")

    def __contains__(self, day: date) -> bool:
        return self.first <= day and (self.last is None or day <= self.last)

    def overlaps(self, other: "Period") -> bool:
        """True when at least one day lies in both periods."""
        return self.first in other or other.first in self


class MemberId(Period):
    """A member id and the days on which it is the one in force."""

    id: Identifier


class Review(_Record):
    """What a 278 is answered (HCR01) so many hours after the first one about the member came.

    A1 certified, A2 certified in part, A3 not certified, A4 pended. `number`, `units` and the days
    belong to what is certified, `reason` (free text) to what is not.
    """

    decision: Literal["A1", "A2", "A3", "A4"]
    after_hours: int = Field(ge=0, le=24 * 365)
    number: Identifier | None = None
    units: int | None = Field(default=None, ge=1)
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="to")
    reason: Annotated[str, StringConstraints(max_length=264)] = ""

    @property
    def certifies(self) -> bool:
        """True when the service may be given: in whole or in part."""
        return self.decision in ("A1", "A2")

    @model_validator(mode="after")
    def _is_whole(self) -> "Review":
        given = (self.number, self.units, self.first, self.last)
        if self.certifies and any(value is None for value in given):
            raise ValueError("a certification needs number, units, from and to")
        if not self.certifies and any(value is not None for value in given):
            raise ValueError("number, units, from and to are of a certification only")
        return self


class AuthorizationDemand(_Record):
    """What the payer says about prior authorization (EB11) and what its adjudication demands.

    `on_request` is played in order of time to whoever sends a 278; without it the payer takes none
    for this member: it says to call (HCR01 CT).
    """

    answered: Literal["Y", "N", "U"]
    required: bool
    on_request: tuple[Review, ...] = ()


class CarveOut(_Record):
    """Who administers and pays behavioural health in the payer's place."""

    administrator: Identifier
    member_id: Identifier


class MedicareAdvantage(_Record):
    """The plan that has taken Medicare's place for this member."""

    plan: Identifier
    member_id: Identifier


class Crossover(_Record):
    """The next payer, to which this one sends its decisions with the claim (domain 8.3)."""

    payer: Identifier
    member_id: Identifier


class Member(_Record):
    """A person insured by one payer."""

    member_ids: tuple[MemberId, ...] = Field(min_length=1)
    first_name: Name
    last_name: Name
    birth_date: date
    sex: Literal["F", "M", "U"]
    coverage: tuple[Period, ...]
    copay_cents: Cents
    coinsurance_percent: int = Field(ge=0, le=100)
    deductible_remaining_cents: Cents
    authorization: AuthorizationDemand
    carve_out: CarveOut | None = None
    medicare_advantage: MedicareAdvantage | None = None
    crossover: Crossover | None = None
    qmb: bool = False

    @property
    def key(self) -> str:
        """The first id ever issued: it stays the same when an id is reissued."""
        return min(self.member_ids, key=lambda issued: issued.first).id

    def id_on(self, day: date) -> str | None:
        """The member id in force on that day."""
        return next((issued.id for issued in self.member_ids if day in issued), None)

    def holds(self, member_id: str) -> bool:
        """True when this id was ever issued to this member."""
        return any(issued.id == member_id for issued in self.member_ids)

    def covered_on(self, day: date) -> bool:
        """True when the service date lies inside a coverage period."""
        return any(day in period for period in self.coverage)


class Authorization(Period):
    """A prior authorization as the payer has it on file."""

    number: Identifier
    member_id: Identifier
    codes: tuple[ProcedureCode, ...] = Field(min_length=1)
    units: int = Field(ge=1)


class Rate(Period):
    """What the payer allows for a code on one day, for one rendering NPI or (no `npi`) anyone."""

    code: ProcedureCode
    npi: Npi | None
    cents: Cents


class RemittanceCopies(_Record):
    """How many different files deliver the payment of that date."""

    payment_date: date
    copies: int = Field(ge=1, le=5)


class Reversal(_Record):
    """A payment taken back on the date `on`, in the 835 of that day.

    `corrected_allowed_cents` is what the claim's first line is allowed in the correction that comes
    with it; without it the reversal stands alone.
    """

    member_id: Identifier
    service_date: date
    on: date
    corrected_allowed_cents: Cents | None


class Unbalanced(_Record):
    """A payment whose total (BPR02) is off by so many cents."""

    payment_date: date
    off_by_cents: Annotated[int, Field(ge=-100_000, le=100_000)]


class Withholding(_Record):
    """What is kept back from the payment of that date."""

    payment_date: date
    cents: Annotated[int, Field(gt=0, le=100_000_000)]


class Takeback(_Record):
    """Money asked back for one member's service, kept from later payments without a reversal.

    It is announced on a payment without cost (PLB WO and FB) and then taken (PLB FB).
    """

    announced_on: date
    cents: Annotated[int, Field(gt=0, le=100_000_000)]
    reference_member_id: Identifier
    service_date: date
    taken: tuple[Withholding, ...]


class Denial(_Record):
    """A service that the payer denies although nothing speaks against it, for `reason` (CARC) under
    group CO. What `stands` is denied in every version; else only the original is, and a
    replacement is priced. With `asks_documents` a replacement is priced only if it announces some
    (PWK) under a control number."""

    member_id: Identifier
    service_date: date
    reason: Annotated[str, StringConstraints(pattern=r"^[A-Z]?[0-9]{1,3}$")]
    stands: bool
    asks_documents: bool = False


class Delay(_Record):
    """A service about which the payer decides so many days later than about others."""

    member_id: Identifier
    service_date: date
    days: int = Field(ge=1, le=365)


class Payer(_Record):
    """One payer: its members, its prices, its pace and its moods.

    `says_primary_always`: its remittances say "processed as primary" whatever its place was.
    `voids`: what it does about a claim with frequency 8: it takes its payment back by a `reversal`
    (CLP02 22) or, without one, by keeping it from its next payment (`takeback`, PLB WO); or it
    takes no such claim and wants a `letter`.
    """

    payer_id: Identifier
    name: Name
    filing_indicator: Literal["MB", "MC", "CI", "16"]
    acknowledges_after_hours: int = Field(ge=1)
    pays_after_days: int = Field(ge=1)
    members: tuple[Member, ...]
    authorizations: tuple[Authorization, ...]
    rates: tuple[Rate, ...]
    sequestration_basis_points: int = Field(ge=0, le=10_000)
    remittance_copies: tuple[RemittanceCopies, ...]
    reversals: tuple[Reversal, ...] = ()
    unbalanced: tuple[Unbalanced, ...] = ()
    takebacks: tuple[Takeback, ...] = ()
    denials: tuple[Denial, ...] = ()
    delays: tuple[Delay, ...] = ()
    says_primary_always: bool = False
    voids: Literal["reversal", "takeback", "letter"] = "reversal"

    def member_with(self, member_id: str) -> Member | None:
        """The member to whom this id was ever issued."""
        return next((member for member in self.members if member.holds(member_id)), None)

    def member_named(
        self, first_name: str, last_name: str, birth_date: date, sex: str
    ) -> Member | None:
        """The only member with this name, birth date and sex; none when several answer to it."""
        found = [
            member
            for member in self.members
            if member.first_name.casefold() == first_name.strip().casefold()
            and member.last_name.casefold() == last_name.strip().casefold()
            and (member.birth_date, member.sex) == (birth_date, sex)
        ]
        return found[0] if len(found) == 1 else None

    def rate_cents(self, code: str, rendering_npi: str, day: date) -> int | None:
        """The rate of that service date; one for the rendering NPI goes before one for anyone."""
        rates = [rate for rate in self.rates if rate.code == code and day in rate]
        in_force = {rate.npi: rate.cents for rate in rates}
        return in_force.get(rendering_npi, in_force.get(None))

    def authorized(self, number: str, member: Member, code: str, day: date) -> bool:
        """True when that number stands for the member's service of that day: on file, or one that
        the payer gives on request, which nobody can know before it is given."""
        on_file = any(
            entry.number == number
            and member.holds(entry.member_id)
            and code in entry.codes
            and day in entry
            for entry in self.authorizations
        )
        return on_file or any(
            review.number == number
            and review.first is not None
            and review.last is not None
            and review.first <= day <= review.last
            for review in member.authorization.on_request
            if review.certifies
        )

    def off_by_cents(self, payment_date: date) -> int:
        """By how much the payment of that date is out of balance."""
        return sum(
            entry.off_by_cents for entry in self.unbalanced if entry.payment_date == payment_date
        )

    def denial_of(
        self, member: Member, day: date, frequency: str, documents: Collection[str] = ()
    ) -> str | None:
        """The reason for which the member's service of that day is denied, if it is for nothing.
        `documents`: the control numbers of those that the claim announces."""
        return next(
            (
                entry.reason
                for entry in self.denials
                if entry.service_date == day
                and member.holds(entry.member_id)
                and (
                    entry.stands
                    or frequency == "1"
                    or (entry.asks_documents and not any(documents))
                )
            ),
            None,
        )

    def days_to_pay(self, member: Member, days: Iterable[date]) -> int:
        """Days from receipt to payment of a claim for services of those days."""
        served = frozenset(days)
        later = (
            entry.days
            for entry in self.delays
            if entry.service_date in served and member.holds(entry.member_id)
        )
        return self.pays_after_days + max(later, default=0)

    def copies_of(self, payment_date: date) -> int:
        """The number of files that deliver the payment of that date."""
        for entry in self.remittance_copies:
            if entry.payment_date == payment_date:
                return entry.copies
        return 1


class World(_Record):
    """All payers behind the clearinghouse; `seed` flavours every number that they invent."""

    seed: int
    payers: tuple[Payer, ...] = Field(min_length=1)

    def payer(self, payer_id: str) -> Payer | None:
        """The payer with this id."""
        return next((payer for payer in self.payers if payer.payer_id == payer_id), None)


def load_world(path: Path) -> World:
    """Read the payers' file. Raises WorldError with all its problems, OSError when unreadable."""
    return parse_world(path.read_bytes())


def parse_world(content: bytes) -> World:
    """Read the payers' file from its bytes. Raises WorldError with all its problems."""
    try:
        world = World.model_validate_json(content)
    except ValidationError as error:
        raise WorldError(
            [
                f"{'.'.join(str(part) for part in problem['loc']) or 'file'}: {problem['msg']}"
                for problem in error.errors(include_input=False, include_url=False)
            ]
        ) from None
    problems = list(_contradictions(world))
    if problems:
        raise WorldError(problems)
    return world


def _contradictions(world: World) -> Iterable[str]:
    """Faults that no single field shows. Members are named by position: no personal data."""
    yield from _repeated("payers.payer_id", (payer.payer_id for payer in world.payers))
    for number, payer in enumerate(world.payers):
        place = f"payers.{number}"
        # Received in the day's last minute, a claim must still be acknowledged before the
        # remittance of 06:00 UTC speaks about it.
        if payer.acknowledges_after_hours > (payer.pays_after_days - 1) * 24 + 6:
            yield (
                f"{place}.acknowledges_after_hours: would acknowledge claims after paying them;"
                " lower it or raise pays_after_days"
            )
        holders = Counter(
            member_id
            for member in payer.members
            for member_id in {issued.id for issued in member.member_ids}
        )
        for position, member in enumerate(payer.members):
            spot = f"{place}.members.{position}"
            yield from _reversed_or_overlapping(f"{spot}.member_ids", member.member_ids)
            yield from _reversed_or_overlapping(f"{spot}.coverage", member.coverage)
            if any(holders[issued.id] > 1 for issued in member.member_ids):
                yield f"{spot}.member_ids: an id is issued to another member too"
            if member.copay_cents and member.coinsurance_percent:
                yield f"{spot}: has both copay_cents and coinsurance_percent; one must be 0"
            hours = [review.after_hours for review in member.authorization.on_request]
            if hours != sorted(set(hours)):
                yield f"{spot}.authorization.on_request: after_hours must rise"
            yield from _elsewhere(f"{spot}.carve_out.administrator", world, member.carve_out)
            yield from _elsewhere(
                f"{spot}.medicare_advantage.plan", world, member.medicare_advantage
            )
            yield from _elsewhere(f"{spot}.crossover.payer", world, member.crossover)
        yield from _repeated(
            f"{place}.authorizations.number", (entry.number for entry in payer.authorizations)
        )
        for position, authorization in enumerate(payer.authorizations):
            spot = f"{place}.authorizations.{position}"
            yield from _reversed_or_overlapping(spot, [authorization])
            if payer.member_with(authorization.member_id) is None:
                yield f"{spot}.member_id: no member of this payer holds it"
        groups = sorted({(rate.code, rate.npi or "") for rate in payer.rates})
        for code, npi in groups:
            same = [rate for rate in payer.rates if (rate.code, rate.npi or "") == (code, npi)]
            yield from _reversed_or_overlapping(f"{place}.rates ({code}, {npi or 'any'})", same)
        yield from _repeated(
            f"{place}.remittance_copies.payment_date",
            (entry.payment_date.isoformat() for entry in payer.remittance_copies),
        )
        yield from _repeated(
            f"{place}.unbalanced.payment_date",
            (entry.payment_date.isoformat() for entry in payer.unbalanced),
        )
        for position, reversal in enumerate(payer.reversals):
            if payer.member_with(reversal.member_id) is None:
                yield f"{place}.reversals.{position}.member_id: no member of this payer holds it"
        for position, denial in enumerate(payer.denials):
            if payer.member_with(denial.member_id) is None:
                yield f"{place}.denials.{position}.member_id: no member of this payer holds it"
        for position, delay in enumerate(payer.delays):
            if payer.member_with(delay.member_id) is None:
                yield f"{place}.delays.{position}.member_id: no member of this payer holds it"
        for position, takeback in enumerate(payer.takebacks):
            spot = f"{place}.takebacks.{position}"
            if payer.member_with(takeback.reference_member_id) is None:
                yield f"{spot}.reference_member_id: no member of this payer holds it"
            if sum(entry.cents for entry in takeback.taken) > takeback.cents:
                yield f"{spot}.taken: more than is asked back"
            if any(entry.payment_date <= takeback.announced_on for entry in takeback.taken):
                yield f"{spot}.taken: before it is announced"


def _elsewhere(
    place: str, world: World, other: CarveOut | MedicareAdvantage | Crossover | None
) -> Iterable[str]:
    """What is wrong with the one who pays in a payer's place, or after it."""
    match other:
        case None:
            return
        case CarveOut():
            payer_id = other.administrator
        case MedicareAdvantage():
            payer_id = other.plan
        case Crossover():
            payer_id = other.payer
    payer = world.payer(payer_id)
    if payer is None:
        yield f"{place}: no payer has this id"
    elif payer.member_with(other.member_id) is None:
        yield f"{place}: that payer has no member with the member_id given"


def _reversed_or_overlapping(place: str, periods: Sequence[Period]) -> Iterable[str]:
    if any(period.last is not None and period.last < period.first for period in periods):
        yield f"{place}: a period ends before it begins"
    if any(one.overlaps(other) for one, other in combinations(periods, 2)):
        yield f"{place}: periods overlap"


def _repeated(place: str, values: Iterable[str]) -> Iterable[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{place}: {value} appears {count} times"
