"""Rules for an outbound 837P that no validator has, each with its repair.

They follow 005010X222A1, the code sets it names, and 45 CFR 162.406 for the NPI.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from groupclaim.x12.core import Problem, Segment
from groupclaim.x12.values import (
    npi_is_valid,
    read_cents,
    read_date,
    read_period,
    read_quantity,
    read_whole,
)

# ICD-10-CM: letter, digit, then up to five letters or digits; the point is not transmitted.
_DIAGNOSIS = re.compile(r"[A-Z][0-9][0-9A-Z][0-9A-Z]{0,4}")
# CPT category I to III and HCPCS level II; only the form, the codes themselves are licensed.
_PROCEDURE = re.compile(r"[0-9]{4}[0-9A-Z]|[A-Z][0-9]{4}")
_MODIFIER = re.compile(r"[0-9A-Z]{2}")
_POST_OFFICE_BOX = re.compile(r"\b(?:P\W*O\W*|POST\W*OFFICE\W*)BOX\b", re.IGNORECASE)
_NAMED_BY_NPI = {"85": "2010AA", "82": "2310B", "DN": "2310A", "DQ": "2310D", "77": "2310C"}
# SBR01 and PAT01 open loops: pyx12 takes a wrong code for a segment out of place.
_RESPONSIBILITIES = frozenset("PSTABCDEFGHU")
_RELATIONSHIPS = frozenset({"01", "19", "20", "21", "39", "40", "53", "G8"})
_MOST_LINES = 50
_LONGEST_CLAIM_NUMBER = 20  # what a receiver must send back of CLM01 under HIPAA


@dataclass(slots=True)
class _OtherPayer:
    """An earlier payer of the claim (2320): AMT*D and claim-level adjustments, to be balanced."""

    header: Segment
    payer_id: str = ""
    paid_cents: int | None = None
    adjustment_cents: int | None = 0
    line_cents: int | None = None


@dataclass(slots=True)
class _Claim:
    """What has been seen of the claim in progress."""

    header: Segment
    charge_cents: int | None
    frequency: str
    has_original_reference: bool = False
    diagnosis_count: int = 0
    diagnoses: set[str] = field(default_factory=set)
    line_charges: list[int | None] = field(default_factory=list)
    line_numbers: set[str] = field(default_factory=set)
    other_payers: list[_OtherPayer] = field(default_factory=list)


@dataclass(slots=True)
class _Decision:
    """An earlier payer's decision on a line (2430), to be balanced."""

    header: Segment
    line_cents: int | None
    cents: int | None


def claim_problems(segments: Iterable[Segment]) -> Iterator[Problem]:
    """Problems of one 837P, given its segments from ST to before SE."""
    return _Rules(segments).run()


class _Rules:
    def __init__(self, segments: Iterable[Segment]) -> None:
        self.segments = segments
        self.found: list[Problem] = []
        self.created: date | None = None
        self.level = ""
        self.role = ""
        self.claim: _Claim | None = None
        self.in_line = False
        self.other_payer = False
        self.claim_numbers: set[str] = set()
        self.subscriber_info: Segment | None = None
        self.subscriber: dict[str, Segment] = {}
        self.is_dependent = False
        self.birth_date: date | None = None
        self.line_charge: int | None = None
        self.decision: _Decision | None = None

    def run(self) -> Iterator[Problem]:
        handlers = {
            "BHT": self._bht,
            "HL": self._hl,
            "SBR": self._sbr,
            "PAT": self._pat,
            "NM1": self._nm1,
            "N3": self._n3,
            "N4": self._n4,
            "DMG": self._dmg,
            "CLM": self._clm,
            "REF": self._ref,
            "HI": self._hi,
            "LX": self._lx,
            "SV1": self._sv1,
            "DTP": self._dtp,
            "AMT": self._amt,
            "SVD": self._svd,
            "CAS": self._cas,
        }
        for segment in self.segments:
            handler = handlers.get(segment[0][0])
            if handler is not None:
                handler(segment)
        self._end_claim()
        return iter(self.found)

    def _add(self, code: str, at: Segment, loop: str, element: str, text: str, repair: str) -> None:
        self.found.append(Problem(code, at.number, at.offset, text, loop, at.tag, element, repair))

    # Header and hierarchy.

    def _bht(self, segment: Segment) -> None:
        self.created = read_date(segment.get(4))

    def _hl(self, segment: Segment) -> None:
        self._end_claim()
        self.level, self.role = segment.get(3), ""
        if self.level == "22":
            self.subscriber_info, self.subscriber = None, {"HL": segment}
            self.is_dependent, self.birth_date = False, None
        elif self.level == "23":
            self.is_dependent, self.birth_date = True, None
            info = self.subscriber_info
            if info is not None and info.get(2):
                self._add(
                    "subscriber_relationship",
                    info,
                    "2000B",
                    "SBR02",
                    "SBR02 says that the subscriber is the patient, but a patient follows",
                    "empty SBR02 or take out the patient",
                )

    def _pat(self, segment: Segment) -> None:
        if segment.get(1) not in _RELATIONSHIPS:
            self._add(
                "element_code",
                segment,
                "2000C",
                "PAT01",
                "the value is not among the codes of the guide",
                "use a listed code",
            )

    def _sbr(self, segment: Segment) -> None:
        if segment.get(1) not in _RESPONSIBILITIES:
            self._add(
                "element_code",
                segment,
                "2000B" if self.claim is None else "2320",
                "SBR01",
                "the value is not among the codes of the guide",
                "use a listed code",
            )
        if self.claim is not None:
            self._end_decision()
            self.other_payer, self.in_line, self.role = True, False, ""
            self.claim.other_payers.append(_OtherPayer(segment))
        elif self.level == "22":
            self.subscriber_info = segment

    def _nm1(self, segment: Segment) -> None:
        self._end_decision()
        self.role = segment.get(1)
        if self.role in _NAMED_BY_NPI and not self.other_payer:
            loop = "2420A" if self.in_line and self.role == "82" else _NAMED_BY_NPI[self.role]
            if segment.get(8) == "XX":
                if not npi_is_valid(segment.get(9)):
                    self._add(
                        "npi_invalid",
                        segment,
                        loop,
                        "NM109",
                        "the NPI is not ten digits with a correct check digit",
                        "correct the NPI",
                    )
            elif self.role in ("85", "82"):
                self._add(
                    "npi_missing",
                    segment,
                    loop,
                    "NM109",
                    "the NPI is missing",
                    "give the NPI with qualifier XX",
                )
        elif self.other_payer and self.role == "PR" and self.claim is not None:
            self.claim.other_payers[-1].payer_id = segment.get(9)
        elif self.role == "IL" and self.claim is None:
            self.subscriber["NM1"] = segment
            if segment.get(8) != "MI" or not segment.get(9):
                self._add(
                    "member_id_missing",
                    segment,
                    "2010BA",
                    "NM109",
                    "the member id of the subscriber is missing",
                    "give the member id with qualifier MI",
                )

    def _n3(self, segment: Segment) -> None:
        if self.claim is None and self.role == "IL":
            self.subscriber["N3"] = segment
        if (
            self.claim is None
            and self.role == "85"
            and _POST_OFFICE_BOX.search(f"{segment.get(1)} {segment.get(2)}")
        ):
            self._add(
                "billing_post_office_box",
                segment,
                "2010AA",
                "N301",
                "the billing provider's address is a post office box",
                "give the street address; a box belongs to the pay-to address",
            )

    def _n4(self, segment: Segment) -> None:
        if self.claim is None and self.role == "IL":
            self.subscriber["N4"] = segment
        loop = {"85": "2010AA", "77": "2310C"}.get(self.role)
        if loop is None or segment.get(4) not in ("", "US"):
            return
        zip_code = segment.get(3)
        if not (len(zip_code) == 9 and zip_code.isdecimal() and zip_code.isascii()):
            self._add(
                "zip_not_nine_digits",
                segment,
                loop,
                "N403",
                "the ZIP code is not nine digits",
                "give ZIP+4 without hyphen",
            )

    def _dmg(self, segment: Segment) -> None:
        if self.claim is not None:
            return
        loop = "2010CA" if self.is_dependent else "2010BA"
        if self.role == "IL":
            self.subscriber["DMG"] = segment
        birth_date = read_date(segment.get(2))
        if birth_date is None:
            return  # the guide's own check has it
        if self.created is not None and birth_date > self.created:
            self._add(
                "birth_date_future",
                segment,
                loop,
                "DMG02",
                "the birth date is after the date of the file",
                "correct the birth date",
            )
        self.birth_date = birth_date

    # The claim.

    def _clm(self, segment: Segment) -> None:
        self._end_claim()
        self._patient(segment)
        number = segment.get(1)
        if number in self.claim_numbers:
            self._add(
                "claim_number_duplicate",
                segment,
                "2300",
                "CLM01",
                "the claim number occurs twice in the transaction",
                "give each claim its own number",
            )
        self.claim_numbers.add(number)
        if len(number) > _LONGEST_CLAIM_NUMBER:
            self._add(
                "claim_number_length",
                segment,
                "2300",
                "CLM01",
                f"the claim number exceeds {_LONGEST_CLAIM_NUMBER} characters, which is all "
                "that must come back",
                "shorten it",
            )
        charge = self._amount(segment, 2, "2300", "CLM02")
        place = segment.components(5)
        frequency = place[2] if len(place) > 2 else ""
        if frequency not in ("1", "7", "8"):
            self._add(
                "frequency_invalid",
                segment,
                "2300",
                "CLM05-3",
                "the frequency is none of 1, 7, 8",
                "1 for an original, 7 to replace, 8 to void",
            )
        self.claim = _Claim(segment, charge, frequency)
        self.in_line = self.other_payer = False
        self.role = ""

    def _patient(self, claim: Segment) -> None:
        """Who the patient is, judged where the claim begins."""
        info = self.subscriber_info
        if self.is_dependent or info is None:
            return
        if info.get(2) != "18":
            self._add(
                "subscriber_relationship",
                info,
                "2000B",
                "SBR02",
                "no patient follows, and SBR02 does not say that the subscriber is it",
                "write 18, or add the patient",
            )
        name = self.subscriber.get("NM1", claim)
        for tag in ("N3", "N4", "DMG"):
            if tag not in self.subscriber:
                self._add(
                    "subscriber_demographics_missing",
                    name,
                    "2010BA",
                    tag,
                    f"the subscriber is the patient, but has no {tag}",
                    f"add {tag}",
                )

    def _amount(self, segment: Segment, n: int, loop: str, element: str) -> int | None:
        cents = read_cents(segment.get(n))
        if cents is None:
            self._add(
                "amount_invalid",
                segment,
                loop,
                element,
                "not an amount with at most two decimals",
                "correct the amount",
            )
        elif cents < 0:
            self._add(
                "amount_negative",
                segment,
                loop,
                element,
                "the amount is negative",
                "amounts of a claim are zero or more",
            )
        return cents

    def _ref(self, segment: Segment) -> None:
        claim, qualifier = self.claim, segment.get(1)
        if claim is None:
            return
        if qualifier == "F8" and not self.in_line and not self.other_payer and segment.get(2):
            claim.has_original_reference = True
        elif qualifier == "6R" and self.in_line:
            if segment.get(2) in claim.line_numbers:
                self._add(
                    "line_number_duplicate",
                    segment,
                    "2400",
                    "REF02",
                    "the line control number occurs twice in the claim",
                    "give each line its own number",
                )
            claim.line_numbers.add(segment.get(2))

    def _hi(self, segment: Segment) -> None:
        claim = self.claim
        if claim is None:
            return
        for n in range(1, len(segment.parts)):
            qualifier, *rest = segment.components(n)
            if qualifier not in ("ABK", "ABF"):
                continue
            claim.diagnosis_count += 1
            code = rest[0] if rest else ""
            if not _DIAGNOSIS.fullmatch(code):
                self._add(
                    "diagnosis_form",
                    segment,
                    "2300",
                    f"HI{n:02d}-2",
                    "not the form of an ICD-10-CM code without decimal point",
                    "write letter, digit, and up to five more characters, no point",
                )
            if code in claim.diagnoses:
                self._add(
                    "diagnosis_duplicate",
                    segment,
                    "2300",
                    f"HI{n:02d}-2",
                    "the diagnosis occurs twice",
                    "take one out",
                )
            claim.diagnoses.add(code)

    # Lines.

    def _lx(self, segment: Segment) -> None:
        self._end_decision()
        self.in_line, self.other_payer, self.role, self.line_charge = True, False, "", None

    def _sv1(self, segment: Segment) -> None:
        claim = self.claim
        if claim is None:
            return
        procedure = segment.components(1)
        code = procedure[1] if len(procedure) > 1 else ""
        if procedure[0] == "HC" and not _PROCEDURE.fullmatch(code):
            self._add(
                "procedure_form",
                segment,
                "2400",
                "SV101-2",
                "not the form of a CPT or HCPCS code",
                "correct the code",
            )
        for n, modifier in enumerate(procedure[2:6], 3):
            if modifier and not _MODIFIER.fullmatch(modifier):
                self._add(
                    "modifier_form",
                    segment,
                    "2400",
                    f"SV101-{n}",
                    "a modifier is two letters or digits",
                    "correct the modifier",
                )
        self.line_charge = self._amount(segment, 2, "2400", "SV102")
        claim.line_charges.append(self.line_charge)
        units = read_quantity(segment.get(4))
        if units is None or units <= 0:
            self._add(
                "units_not_positive",
                segment,
                "2400",
                "SV104",
                "the units are not a number above zero",
                "give the units",
            )
        self._pointers(segment, claim)

    def _pointers(self, segment: Segment, claim: _Claim) -> None:
        pointers = segment.components(7)
        numbers = [n for text in pointers if (n := read_whole(text)) is not None]
        if len(numbers) < len(pointers) or len(numbers) > 4 or len(set(numbers)) < len(numbers):
            self._add(
                "diagnosis_pointer_form",
                segment,
                "2400",
                "SV107",
                "not one to four different whole numbers",
                "point at diagnoses of HI",
            )
        elif not all(1 <= number <= claim.diagnosis_count for number in numbers):
            self._add(
                "diagnosis_pointer_absent",
                segment,
                "2400",
                "SV107",
                "points at a diagnosis that the claim does not have",
                "point at diagnoses of HI, counted from 1",
            )

    def _dtp(self, segment: Segment) -> None:
        if segment.get(1) != "472" or not self.in_line:
            return
        period = read_period(segment.get(2), segment.get(3))
        if period is None:
            return  # the guide's own check has it
        first, last = period
        if last < first:
            self._add(
                "service_date_order",
                segment,
                "2400",
                "DTP03",
                "the service ends before it begins",
                "correct the dates",
            )
        if self.created is not None and last > self.created:
            self._add(
                "service_date_future",
                segment,
                "2400",
                "DTP03",
                "the service date is after the date of the file",
                "bill after the service",
            )
        if self.birth_date is not None and first < self.birth_date:
            self._add(
                "service_before_birth",
                segment,
                "2400",
                "DTP03",
                "the service date is before the patient's birth date",
                "correct one of the two dates",
            )

    def _amt(self, segment: Segment) -> None:
        claim, qualifier = self.claim, segment.get(1)
        if claim is None or self.in_line:
            return
        if self.other_payer:
            if qualifier == "D":
                claim.other_payers[-1].paid_cents = read_cents(segment.get(2))
        elif qualifier == "F5":
            self._amount(segment, 2, "2300", "AMT02")

    # Coordination of benefits.

    def _svd(self, segment: Segment) -> None:
        self._end_decision()
        if self.in_line and self.claim is not None:
            paid = read_cents(segment.get(2))
            self.decision = _Decision(segment, self.line_charge, paid)
            for payer in self.claim.other_payers:
                if payer.payer_id == segment.get(1) and paid is not None:
                    payer.line_cents = (payer.line_cents or 0) + paid

    def _cas(self, segment: Segment) -> None:
        amounts = [read_cents(segment.get(n)) for n in range(3, len(segment.parts), 3)]
        # An amount that cannot be read is the guide's to report; there is no sum with it.
        total = None if None in amounts else sum(cents or 0 for cents in amounts)
        if self.decision is not None:
            if self.decision.cents is not None:
                self.decision.cents = None if total is None else self.decision.cents + total
        elif self.other_payer and self.claim is not None:
            payer = self.claim.other_payers[-1]
            if payer.adjustment_cents is not None:
                payer.adjustment_cents = None if total is None else payer.adjustment_cents + total

    def _end_decision(self) -> None:
        decision, self.decision = self.decision, None
        if (
            decision is not None
            and decision.cents is not None
            and decision.line_cents is not None
            and decision.cents != decision.line_cents
        ):
            self._add(
                "coordination_balance",
                decision.header,
                "2430",
                "SVD02",
                "paid and adjustments of the earlier payer do not add up to the line charge",
                "copy payment and adjustments from that payer's remittance",
            )

    def _end_claim(self) -> None:
        self._end_decision()
        claim, self.claim = self.claim, None
        self.in_line = self.other_payer = False
        if claim is None:
            return
        header = claim.header
        charges = [cents for cents in claim.line_charges if cents is not None]
        complete = len(charges) == len(claim.line_charges) and claim.charge_cents is not None
        if charges and complete and sum(charges) != claim.charge_cents:
            self._add(
                "charge_balance",
                header,
                "2300",
                "CLM02",
                "the total charge is not the sum of the line charges",
                "correct the total or the lines",
            )
        for payer in claim.other_payers:
            known = None not in (payer.paid_cents, payer.line_cents, payer.adjustment_cents)
            lines, adjustments = payer.line_cents or 0, payer.adjustment_cents or 0
            if known and payer.paid_cents != lines - adjustments:
                self._add(
                    "coordination_balance",
                    payer.header,
                    "2320",
                    "AMT02",
                    "the amount an earlier payer paid is not the sum of what it paid on the "
                    "lines less its adjustments of the claim",
                    "copy payment and adjustments from that payer's remittance",
                )
        if len(claim.line_charges) > _MOST_LINES:
            self._add(
                "too_many_lines",
                header,
                "2300",
                "CLM01",
                f"the claim has more than {_MOST_LINES} lines",
                "split the claim",
            )
        if claim.frequency in ("7", "8") and not claim.has_original_reference:
            self._add(
                "original_reference_missing",
                header,
                "2300",
                "REF02",
                "a replacement or void does not name the payer's claim number",
                "add REF*F8 with the number of the payer's remittance",
            )
