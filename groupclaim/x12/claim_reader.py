"""Reads the professional claim, 837P, leniently."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any, BinaryIO

from groupclaim.x12.claim import (
    Attachment,
    BillingGroup,
    BillingProvider,
    ClaimTransaction,
    Dependent,
    Facility,
    LineAdjudication,
    OtherPayer,
    Payer,
    ProfessionalClaim,
    ServiceLine,
    Subscriber,
)
from groupclaim.x12.core import (
    Limits,
    Problem,
    Problems,
    Segment,
    Transaction,
    read_transactions,
)
from groupclaim.x12.parts import (
    Address,
    Party,
    Person,
    Provider,
    read_address,
    read_adjustments,
    read_contact,
    read_dates,
    read_party,
    read_person,
    read_procedure,
    read_provider,
)
from groupclaim.x12.values import (
    read_whole,
)


def read_837p(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[ClaimTransaction, ...], tuple[Problem, ...]]:
    """Every 837 of the file with its claims, and what is wrong with the file.

    Lenient: a segment it does not know is kept in `unread`, a value it cannot read is reported, and
    a broken transaction does not hide the next. Of institutional and dental lines only code, charge
    and units are read.
    """
    problems = Problems()
    transactions = tuple(
        _Reader(transaction, problems).read()
        for transaction in read_transactions(source, problems, limits)
        if transaction.set_id == "837"
    )
    return transactions, tuple(problems)


def stream_837p(
    source: bytes | BinaryIO, problems: Problems, limits: Limits | None = None
) -> Iterator[ProfessionalClaim | ClaimTransaction]:
    """As `read_837p` for files of any size: the claims one by one, then their transaction, whose
    billing groups have none."""
    for transaction in read_transactions(source, problems, limits):
        if transaction.set_id == "837":
            yield from read_transaction(transaction, problems)


def read_transaction(
    transaction: Transaction, problems: Problems
) -> Iterator[ProfessionalClaim | ClaimTransaction]:
    """As `stream_837p`, of one transaction."""
    return _Reader(transaction, problems).stream()


class _Entity:
    """One NM1 with the segments that follow it, until the next loop begins."""

    __slots__ = ("address", "demographics", "known", "lines", "name", "references", "taxonomy")

    def __init__(self, name: Segment | None) -> None:
        self.name = name
        self.known = True
        self.lines: Segment | None = None
        self.address: Segment | None = None
        self.demographics: Segment | None = None
        self.taxonomy = ""
        self.references: dict[str, str] = {}

    def get(self, n: int) -> str:
        return self.name.get(n) if self.name is not None else ""

    def postal(self) -> Address | None:
        return read_address(self.lines, self.address)

    def provider(self) -> Provider:
        base = read_provider(self.name) if self.name is not None else Provider("", "", "")
        return replace(base, taxonomy=self.taxonomy) if self.taxonomy else base


class _Reader:
    """Reads one 837P. The loop a segment belongs to follows from what opened last."""

    def __init__(self, transaction: Transaction, problems: Problems) -> None:
        self.transaction = transaction
        self.problems = problems
        self.reference = ""
        self.unread: list[Segment] = []
        self.parties: dict[str, Party] = {}
        self.groups: list[tuple[_Entity, list[ProfessionalClaim]]] = []
        self.entity: _Entity | None = None
        self.billing_taxonomy = ""
        self.subscriber = _Entity(None)
        self.subscriber_info: Segment | None = None
        self.payer: Segment | None = None
        self.dependent: _Entity | None = None
        self.relationship = ""
        self.claim: dict[str, Any] | None = None
        self.providers: dict[str, _Entity] = {}
        self.lines: list[ServiceLine] = []
        self.line: dict[str, Any] | None = None
        self.line_rendering: _Entity | None = None
        self.others: list[OtherPayer] = []
        self.other: dict[str, Any] | None = None
        self.decisions: list[LineAdjudication] = []
        self.decision: dict[str, Any] | None = None
        self.handlers = {
            "NM1": self._nm1,
            "N3": self._n3,
            "N4": self._n4,
            "REF": self._ref,
            "HL": self._hl,
            "CLM": self._clm,
            "LX": self._lx,
            "SV1": self._sv1,
            "SV2": self._sv2,
            "SV3": self._sv3,
            "DTP": self._dtp,
            "HI": self._hi,
            "SBR": self._sbr,
            "DMG": self._dmg,
            "PRV": self._prv,
            "AMT": self._amt,
            "NTE": self._nte,
            "PWK": self._pwk,
            "CAS": self._cas,
            "SVD": self._svd,
            "PER": self._per,
            "BHT": self._bht,
            "PAT": self._pat,
            "OI": self._oi,
        }

    def read(self) -> ClaimTransaction:
        """The whole transaction."""
        for segment in self.transaction:
            self._take(segment)
        self._end_claim()
        return self._finished()

    def stream(self) -> Iterator[ProfessionalClaim | ClaimTransaction]:
        """Each claim when it ends, then the transaction without them."""
        for segment in self.transaction:
            self._take(segment)
            if segment[0][0] in ("HL", "CLM"):
                yield from self._ended()
        self._end_claim()
        yield from self._ended()
        yield self._finished()

    def _ended(self) -> Iterator[ProfessionalClaim]:
        # The claim that an HL*20 ends stands in the group before the new one.
        for _, claims in self.groups[-2:]:
            yield from claims
            claims.clear()

    def _take(self, segment: Segment) -> None:
        handler = self.handlers.get(segment[0][0])
        if handler is None or not handler(segment):
            self._keep(segment)

    def _finished(self) -> ClaimTransaction:
        transaction, interchange = self.transaction, self.transaction.interchange
        return ClaimTransaction(
            interchange.sender_id,
            interchange.receiver_id,
            interchange.control_number,
            transaction.group.control_number,
            transaction.control_number,
            transaction.guide,
            self.reference,
            self.parties.get("41"),
            self.parties.get("40"),
            tuple(
                BillingGroup(self._billing_provider(entity), tuple(claims))
                for entity, claims in self.groups
            ),
            transaction.complete,
            tuple(self.unread),
        )

    def _keep(self, segment: Segment) -> None:
        if segment[0][0] not in _TAGS_837:
            self.problems.report("segment_unknown", segment, "the 837 has no such segment")
        if self.line is not None:
            self.line["unread"].append(segment)
        elif self.claim is not None:
            self.claim["unread"].append(segment)
        else:
            self.unread.append(segment)

    @staticmethod
    def _billing_provider(entity: _Entity) -> BillingProvider:
        qualifier = next((q for q in ("EI", "SY") if q in entity.references), "EI")
        return BillingProvider(
            entity.get(3),
            entity.get(9) if entity.get(8) == "XX" else "",
            entity.references.get(qualifier, ""),
            entity.postal() or Address("", "", "", ""),
            entity.taxonomy,
            entity.get(4),
            qualifier,
        )

    # Loops open here.

    def _hl(self, segment: Segment) -> bool:
        self._end_claim()
        self.entity = None
        level = segment.get(3)
        if level == "20":
            self.billing_taxonomy = ""
            self.groups.append((_Entity(None), []))
        elif level == "22":
            self.subscriber, self.subscriber_info, self.payer = _Entity(None), None, None
            self.dependent = None
        elif level == "23":
            self.dependent, self.relationship = _Entity(None), ""
        return level in ("20", "22", "23")

    def _nm1(self, segment: Segment) -> bool:
        entity = self.entity = _Entity(segment)
        # What follows a name without a field of its own is kept with it.
        entity.known = self._take_name(segment, entity)
        return entity.known

    def _take_name(self, segment: Segment, entity: _Entity) -> bool:
        role = segment.get(1)
        if self.decision is not None:
            self._end_decision()
        if self.line is not None:
            if role == "82" and self.line_rendering is None:
                self.line_rendering = entity
                return True
            return False
        if self.other is not None:
            if role == "IL":
                self.other["insured"] = read_person(segment)
            elif role == "PR":
                self.other["name"], self.other["payer_id"] = segment.get(3), segment.get(9)
            return role in ("IL", "PR")
        if self.claim is not None:
            if role in ("DN", "82", "77", "DQ") and role not in self.providers:
                self.providers[role] = entity
                return True
            return False
        if role in ("41", "40"):
            self.parties[role] = read_party(segment)
        elif role == "85":
            entity.taxonomy = self.billing_taxonomy
            if not self.groups:
                self.groups.append((entity, []))
            else:
                self.groups[-1] = (entity, self.groups[-1][1])
        elif role == "IL":
            self.subscriber = entity
        elif role == "PR":
            self.payer = segment
        elif role == "QC":
            self.dependent = entity
        else:
            return False
        return True

    def _clm(self, segment: Segment) -> bool:
        self._end_claim()
        place = segment.components(5)
        self.claim = {
            "control_number": segment.get(1),
            "charge_cents": self.problems.cents(segment, 2),
            "place_of_service": place[0],
            "frequency": place[2] if len(place) > 2 else "",
            "accepts_assignment": segment.get(7),
            "benefits_assigned": segment.get(8),
            "release_of_information": segment.get(9),
            "delay_reason": segment.get(20),
            "diagnoses": (),
            "attachments": (),
            "unread": [],
        }
        self.providers, self.lines, self.others, self.entity = {}, [], [], None
        return True

    def _lx(self, segment: Segment) -> bool:
        self._end_line()
        self._end_other()
        self.entity = None
        self.line = {
            "line_control_number": "",
            "code": "",
            "charge_cents": 0,
            "service_date": None,
            "diagnosis_pointers": (),
            "unread": [],
        }
        return self.claim is not None

    def _sbr(self, segment: Segment) -> bool:
        if self.claim is None:
            self.subscriber_info = segment
        else:
            self._end_other()
            self.entity = None
            self.other = {
                "responsibility": segment.get(1),
                "relationship": segment.get(2),
                "group_number": segment.get(3),
                "filing_indicator": segment.get(9),
                "insured": Person("", "", ""),
                "name": "",
                "payer_id": "",
                "adjustments": (),
            }
        return True

    def _svd(self, segment: Segment) -> bool:
        if self.line is None:
            return False
        self._end_decision()
        code, modifiers = read_procedure(segment, 3, self.problems)
        self.decision = {
            "payer_id": segment.get(1),
            "paid_cents": self.problems.cents(segment, 2),
            "code": code,
            "modifiers": modifiers,
            "units": self.problems.quantity(segment, 5) or 0,
            "adjustments": (),
        }
        self.entity = None
        return True

    # Segments within a loop.

    def _bht(self, segment: Segment) -> bool:
        self.reference = segment.get(3)
        return True

    def _per(self, segment: Segment) -> bool:
        if self.entity is None or self.entity.get(1) != "41" or "41" not in self.parties:
            return False
        name, phone, email = read_contact(segment)
        if self.parties["41"].contact_name:
            return False
        self.parties["41"] = replace(
            self.parties["41"], contact_name=name, contact_phone=phone, contact_email=email
        )
        return True

    def _n3(self, segment: Segment) -> bool:
        if self.entity is None or not self.entity.known:
            return False
        self.entity.lines = segment
        return True

    def _n4(self, segment: Segment) -> bool:
        if self.entity is None or not self.entity.known:
            return False
        self.entity.address = segment
        return True

    def _dmg(self, segment: Segment) -> bool:
        if self.entity is None or self.other is not None:
            return False
        self.entity.demographics = segment
        return True

    def _prv(self, segment: Segment) -> bool:
        if self.entity is not None:
            self.entity.taxonomy = segment.get(3)
            return self.entity.known
        if segment.get(1) == "BI":
            self.billing_taxonomy = segment.get(3)
            return True
        return False

    def _pat(self, segment: Segment) -> bool:
        if self.dependent is None:
            return False
        self.relationship = segment.get(1)
        return True

    def _oi(self, segment: Segment) -> bool:
        return self.other is not None

    def _ref(self, segment: Segment) -> bool:
        qualifier, value = segment.get(1), segment.get(2)
        if self.line is not None:
            name = {"6R": "line_control_number", "G1": "authorization"}.get(qualifier)
            if name is None or self.entity is not None or self.decision is not None:
                return False
            self.line[name] = value
            return True
        if self.other is not None:
            if qualifier != "F8":
                return False
            self.other["payer_claim_number"] = value
            return True
        if self.claim is not None:
            name = _CLAIM_REFERENCES.get(qualifier)
            if name is None or self.entity is not None:
                return False
            self.claim[name] = value
            return True
        if self.entity is None:
            return False
        self.entity.references[qualifier] = value
        return self.entity.get(1) == "85" and qualifier in ("EI", "SY")

    def _dtp(self, segment: Segment) -> bool:
        qualifier = segment.get(1)
        if qualifier == "573":
            target = self.decision if self.decision is not None else self.other
            if target is None:
                return False
            period = read_dates(segment, self.problems)
            target["decided_on"] = period[0] if period else None
            return True
        if qualifier == "472" and self.line is not None:
            period = read_dates(segment, self.problems)
            if period is not None:
                self.line["service_date"] = period[0]
                self.line["last_service_date"] = period[1] if period[1] != period[0] else None
            return True
        return False

    def _hi(self, segment: Segment) -> bool:
        if self.claim is None or segment.components(1)[0] not in ("ABK", "ABF", "BK", "BF"):
            return False
        codes = [segment.components(n) for n in range(1, len(segment.parts))]
        self.claim["diagnoses"] += tuple(code[1] for code in codes if len(code) > 1)
        return True

    def _amt(self, segment: Segment) -> bool:
        qualifier, cents = segment.get(1), self.problems.cents(segment, 2)
        if self.decision is not None and qualifier == "EAF":
            self.decision["patient_open_cents"] = cents
        elif self.line is not None:
            return False
        elif self.other is not None and qualifier in _OTHER_AMOUNTS:
            self.other[_OTHER_AMOUNTS[qualifier]] = cents
        elif self.claim is not None and self.other is None and qualifier == "F5":
            self.claim["patient_paid_cents"] = cents
        else:
            return False
        return True

    def _nte(self, segment: Segment) -> bool:
        target = self.line if self.line is not None else self.claim
        if target is None or target.get("note"):
            return False
        target["note"] = segment.get(2)
        return True

    def _pwk(self, segment: Segment) -> bool:
        if self.claim is None or self.line is not None:
            return False
        attachment = Attachment(segment.get(1), segment.get(2), segment.get(6))
        self.claim["attachments"] += (attachment,)
        return True

    def _cas(self, segment: Segment) -> bool:
        target = self.decision if self.decision is not None else self.other
        if target is None or (self.decision is None and self.line is not None):
            return False
        target["adjustments"] += tuple(read_adjustments(segment, self.problems))
        return True

    def _sv1(self, segment: Segment) -> bool:
        if not self._open_service(segment) or self.line is None:
            return False
        pointers = [read_whole(text) for text in segment.components(7) if text]
        if None in pointers:
            self.problems.report(
                "number_invalid", segment, "SV107 holds no whole numbers", element="SV107"
            )
        self._service(segment, procedure=1, charge=2, units=4)
        self.line["place_of_service"] = segment.get(5)
        self.line["diagnosis_pointers"] = tuple(p for p in pointers if p is not None)
        return True

    def _sv2(self, segment: Segment) -> bool:
        """The line of an institutional claim: charge and code are read, the rest stays unread."""
        if self._open_service(segment):
            self._service(segment, procedure=2, charge=3, units=5)
        return False

    def _sv3(self, segment: Segment) -> bool:
        """The line of a dental claim, likewise."""
        if self._open_service(segment):
            self._service(segment, procedure=1, charge=2, units=6)
        return False

    def _open_service(self, segment: Segment) -> bool:
        if self.claim is not None and (self.line is None or "units" in self.line):
            self.problems.report("lx_missing", segment, "there is no LX before this line")
            self._lx(segment)
        return self.line is not None

    def _service(self, segment: Segment, *, procedure: int, charge: int, units: int) -> None:
        if self.line is None:
            return
        code, modifiers = read_procedure(segment, procedure, self.problems)
        quantity = self.problems.quantity(segment, units)
        self.line.update(
            code=code,
            modifiers=modifiers,
            charge_cents=self.problems.cents(segment, charge),
            units=0 if quantity is None else quantity,
        )

    # Loops close here.

    def _end_decision(self) -> None:
        if self.decision is not None:
            self.decisions.append(LineAdjudication(**self.decision))
            self.decision = None

    def _end_line(self) -> None:
        self._end_decision()
        if self.line is not None:
            self.line["unread"] = tuple(self.line["unread"])
            if self.line_rendering is not None:
                self.line["rendering"] = self.line_rendering.provider()
            self.lines.append(ServiceLine(**self.line, adjudications=tuple(self.decisions)))
            self.line, self.line_rendering, self.decisions = None, None, []

    def _end_other(self) -> None:
        if self.other is not None:
            self.others.append(OtherPayer(**self.other))
            self.other = None

    def _end_claim(self) -> None:
        self._end_line()
        self._end_other()
        claim = self.claim
        if claim is None:
            return
        claim["unread"] = tuple(claim["unread"])
        providers = self.providers
        facility = providers.get("77")
        info = self.subscriber_info
        payer = self.payer
        finished = ProfessionalClaim(
            **claim,
            subscriber=self._subscriber(),
            payer=Payer(
                payer.get(3) if payer else "",
                payer.get(9) if payer else "",
                info.get(9) if info else "",
                payer.get(8) if payer else "",
            ),
            lines=tuple(self.lines),
            rendering=providers["82"].provider() if "82" in providers else None,
            referring=providers["DN"].provider() if "DN" in providers else None,
            supervising=providers["DQ"].provider() if "DQ" in providers else None,
            facility=None
            if facility is None
            else Facility(
                facility.get(3), facility.get(9), facility.postal() or Address("", "", "", "")
            ),
            dependent=self._dependent(),
            responsibility=info.get(1) if info else "",
            insurance_type=info.get(5) if info else "",
            other_payers=tuple(self.others),
        )
        if not self.groups:
            self.groups.append((_Entity(None), []))
        self.groups[-1][1].append(finished)
        self.claim, self.lines, self.others, self.entity = None, [], [], None

    def _birth(self, entity: _Entity) -> tuple[date | None, str]:
        if entity.demographics is None:
            return None, ""
        return self.problems.day(entity.demographics, 2), entity.demographics.get(3)

    def _subscriber(self) -> Subscriber:
        entity, info = self.subscriber, self.subscriber_info
        birth_date, sex = self._birth(entity)
        return Subscriber(
            entity.get(3),
            entity.get(4),
            entity.get(9),
            birth_date,
            sex,
            entity.postal(),
            info.get(3) if info else "",
            entity.get(5),
        )

    def _dependent(self) -> Dependent | None:
        entity = self.dependent
        if entity is None:
            return None
        birth_date, sex = self._birth(entity)
        return Dependent(
            entity.get(3),
            entity.get(4),
            birth_date,
            sex,
            entity.postal(),
            self.relationship,
            entity.get(5),
        )


_CLAIM_REFERENCES = {
    "F8": "original_reference",
    "G1": "prior_authorization",
    "9F": "referral_number",
}
_OTHER_AMOUNTS = {"D": "paid_cents", "A8": "non_covered_cents", "EAF": "patient_open_cents"}
_TAGS = (
    "BHT NM1 N2 N3 N4 PER PRV CUR HL SBR PAT DMG REF CLM DTP CL1 PWK CN1 AMT K3 NTE CR1 CR2 CR3 CR4"
    " CR5 CR6 CRC HI HCP CAS OI MIA MOA LX SV1 SV2 SV3 SV5 QTY MEA PS1 LIN CTP SVD LQ FRM HSD TOO"
    " DN1 DN2 OIN"
)
_TAGS_837 = frozenset(_TAGS.split())
