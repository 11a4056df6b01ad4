"""Reads the remittance, 835, leniently."""

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

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
    Amount,
    Period,
    Provider,
    Reference,
    read_adjustments,
    read_person,
    read_procedure,
    read_provider,
)
from groupclaim.x12.remittance import (
    BankTransfer,
    ClaimPayment,
    LinePayment,
    Payment,
    PaymentParty,
    ProviderAdjustment,
)
from groupclaim.x12.values import (
    npi_is_valid,
)


def read_835(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[Payment, ...], tuple[Problem, ...]]:
    """Every payment of the file, and what is wrong with the file.

    Lenient: unknown codes are kept as they are, segments without a field of their own in `unread`
    (statistics TS2 and TS3 on purpose), a broken transaction does not hide the next.
    """
    problems = Problems()
    payments = []
    for transaction in read_transactions(source, problems, limits):
        if transaction.set_id == "835":
            reader = _Reader(transaction, problems)
            claims = tuple(reader.claims())
            payments.append(reader.payment(claims))
    return tuple(payments), tuple(problems)


def stream_835(
    source: bytes | BinaryIO, problems: Problems, limits: Limits | None = None
) -> Iterator[ClaimPayment | Payment]:
    """As `read_835` for files of any size: the claims one by one, then their payment without them.

    Each `Payment` has empty `claims` and ends the claims that came before it.
    """
    for transaction in read_transactions(source, problems, limits):
        if transaction.set_id == "835":
            yield from read_transaction(transaction, problems)


def read_transaction(
    transaction: Transaction, problems: Problems
) -> Iterator[ClaimPayment | Payment]:
    """As `stream_835`, of one transaction."""
    reader = _Reader(transaction, problems)
    yield from reader.claims()
    yield reader.payment(())


class _Reader:
    """Reads one 835. Claim and line in progress are dictionaries of the fields of their records."""

    def __init__(self, transaction: Transaction, problems: Problems) -> None:
        self.transaction = transaction
        self.problems = problems
        self.numbers: set[int] = set()
        self.under_header = False
        self.head: dict[str, Any] = {
            "trace_number": "",
            "payer_identifier": "",
            "payment_date": None,
            "paid_cents": 0,
        }
        self.parties: dict[str, PaymentParty] = {}
        self.party = ""
        self.plb: list[ProviderAdjustment] = []
        self.unread: list[Segment] = []
        self.claim: dict[str, Any] | None = None
        self.claim_header: Segment | None = None
        self.line: dict[str, Any] | None = None
        self.lines: list[LinePayment] = []
        self.n3: Segment | None = None
        self.seen: set[str] = set()
        self.handlers = {
            "SVC": self._svc,
            "CAS": self._cas,
            "NM1": self._nm1,
            "REF": self._ref,
            "DTM": self._dtm,
            "AMT": self._amt,
            "LQ": self._lq,
            "MOA": self._moa,
            "MIA": self._mia,
            "BPR": self._bpr,
            "TRN": self._trn,
            "N1": self._n1,
            "N3": self._n3,
            "N4": self._n4,
            "PER": self._per,
            "PLB": self._plb,
            "LX": self._lx,
        }

    def claims(self) -> Iterator[ClaimPayment]:
        handlers = self.handlers
        for segment in self.transaction:
            tag = segment[0][0]
            if tag == "CLP":
                if self.claim is not None:
                    yield self._finished()
                self._clp(segment)
                continue
            if tag in ("LX", "PLB") and self.claim is not None:
                yield self._finished()
            handler = handlers.get(tag)
            if handler is None or not handler(segment):
                self._keep(segment)
        if self.claim is not None:
            yield self._finished()
        self._end()

    def payment(self, claims: tuple[ClaimPayment, ...]) -> Payment:
        """The payment, once all its claims were taken."""
        transaction, interchange = self.transaction, self.transaction.interchange
        nobody = PaymentParty("")
        return Payment(
            **self.head,
            payer=self.parties.get("PR", nobody),
            payee=self.parties.get("PE", nobody),
            claims=claims,
            provider_adjustments=tuple(self.plb),
            complete=transaction.complete,
            sender_id=interchange.sender_id,
            receiver_id=interchange.receiver_id,
            interchange_control_number=interchange.control_number,
            control_number=transaction.control_number,
            guide=transaction.guide,
            problems=tuple(
                self.problems.of_segments(transaction.header.number, transaction.last_number)
            ),
            unread=tuple(self.unread),
        )

    def _end(self) -> None:
        for tag in ("BPR", "TRN"):
            if tag not in self.seen:
                self.problems.report(
                    f"{tag.lower()}_missing", self.transaction.header, f"the 835 has no {tag}"
                )
        for role, whom in (("PR", "payer"), ("PE", "payee")):
            if role not in self.parties:
                self.problems.report(
                    "n1_missing", self.transaction.header, f"the 835 does not name its {whom}"
                )

    def _keep(self, segment: Segment) -> None:
        if segment[0][0] not in _TAGS_835:
            self.problems.report("segment_unknown", segment, "the 835 has no such segment")
        if self.line is not None:
            self.line.setdefault("unread", []).append(segment)
        elif self.claim is not None:
            self.claim.setdefault("unread", []).append(segment)
        else:
            self.unread.append(segment)

    def _finish_line(self) -> None:
        line = self.line
        if line is not None:
            for name in _LISTS:
                if name in line:
                    line[name] = tuple(line[name])
            self.lines.append(LinePayment(**line))
            self.line = None

    def _finished(self) -> ClaimPayment:
        self._finish_line()
        claim = self.claim or {}
        for name in _LISTS:
            if name in claim:
                claim[name] = tuple(claim[name])
        self.claim = None
        lines, self.lines = tuple(self.lines), []
        finished = ClaimPayment(**claim, lines=lines)
        self._judge(finished)
        return finished

    def _judge(self, claim: ClaimPayment) -> None:
        """What only shows once the whole claim is read."""
        header = self.claim_header
        if header is None:
            return
        if claim.patient is None:
            self.problems.report("patient_missing", header, "the claim does not name its patient")
        shares = sum(
            adjustment.cents
            for adjustments in (claim.adjustments, *(line.adjustments for line in claim.lines))
            for adjustment in adjustments
            if adjustment.group_code == "PR"
        )
        if shares != claim.patient_responsibility_cents:
            self.problems.report(
                "clp05_balance",
                header,
                "CLP05 is not the sum of the adjustments with group code PR",
                element="CLP05",
            )

    # The head of the transaction.

    def _bpr(self, segment: Segment) -> bool:
        self.seen.add("BPR")
        self.head.update(
            handling_code=segment.get(1),
            paid_cents=self.problems.cents(segment, 2),
            is_debit=segment.get(3) == "D",
            method=segment.get(4),
            payment_date=self.problems.day(segment, 16),
        )
        get = segment.get
        if get(7) or get(13):
            self.head["bank"] = BankTransfer(get(7), get(9), get(13), get(15), get(5))
        return True

    def _trn(self, segment: Segment) -> bool:
        self.seen.add("TRN")
        self.head.update(trace_number=segment.get(2), payer_identifier=segment.get(3))
        return True

    def _n1(self, segment: Segment) -> bool:
        role = segment.get(1)
        if role not in ("PR", "PE") or self.claim is not None:
            return False
        self.party, self.n3 = role, None
        if segment.get(3) == "XX" and not npi_is_valid(segment.get(4)):
            self.problems.report("npi_invalid", segment, "not an NPI", element="N104")
        self.parties[role] = PaymentParty(segment.get(2), segment.get(4), segment.get(3))
        return True

    def _n3(self, segment: Segment) -> bool:
        self.n3 = segment
        return bool(self.party)

    def _n4(self, segment: Segment) -> bool:
        if not self.party:
            return False
        first, second = (self.n3.get(1), self.n3.get(2)) if self.n3 else ("", "")
        address = Address(first, segment.get(1), segment.get(2), segment.get(3), second)
        self.parties[self.party] = replace(self.parties[self.party], address=address)
        return True

    def _per(self, segment: Segment) -> bool:
        if not self.party or self.parties[self.party].contact_name:
            return False
        phone = segment.get(4) if segment.get(3) == "TE" else ""
        self.parties[self.party] = replace(
            self.parties[self.party], contact_name=segment.get(2), contact_phone=phone
        )
        return True

    def _lx(self, segment: Segment) -> bool:
        self.party = ""
        self.under_header = True
        return True

    def _plb(self, segment: Segment) -> bool:
        self.party = ""
        period = self.problems.day(segment, 2)
        for n in range(3, min(len(segment.parts), 15), 2):
            reason = segment.components(n)
            if not reason[0] and not segment.get(n + 1):
                continue
            if not segment.get(n + 1):
                self.problems.report(
                    "amount_missing",
                    segment,
                    "a PLB reason has no amount",
                    element=f"PLB{n + 1:02d}",
                )
            self._code(_PROVIDER_REASONS, reason[0], "plb03_unknown", segment, n)
            self.plb.append(
                ProviderAdjustment(
                    segment.get(1),
                    reason[0],
                    self.problems.cents(segment, n + 1),
                    reason[1] if len(reason) > 1 else "",
                    period,
                )
            )
        return True

    # Claims.

    def _clp(self, segment: Segment) -> None:
        self.party = ""
        cents, parts = self.problems.cents, segment.up_to(9)
        number, status, payer_number = parts[1], parts[2], parts[7]
        self.claim = {
            "control_number": number,
            "status": status,
            "charge_cents": cents(segment, 3),
            "paid_cents": cents(segment, 4),
            "patient_responsibility_cents": cents(segment, 5),
            "filing_indicator": parts[6],
            "payer_claim_number": payer_number,
            "place_of_service": parts[8],
            "frequency": parts[9],
        }
        self.claim_header = segment
        report = self.problems.report
        if not number:
            report("clp01_missing", segment, "CLP01 is empty", element="CLP01")
        if not self.under_header:
            report("lx_missing", segment, "there is no LX before this claim")
            self.under_header = True
        self._code(_STATUSES, status, "clp02_unknown", segment, 2)
        # Of a file with a million claims, the numbers themselves would fill the memory.
        key = hash((number, payer_number, status))
        if key in self.numbers:
            report("clp_duplicate", segment, "claim number, payer's number and status occur twice")
        self.numbers.add(key)

    def _code(self, known: Container[str], value: str, code: str, segment: Segment, n: int) -> None:
        """Keep a code that is not in the list as it is, but say so."""
        if value not in known:
            element = f"{segment.tag}{n:02d}"
            self.problems.report(code, segment, f"{element} is not a known code", element=element)

    def _cas(self, segment: Segment) -> bool:
        target = self.line if self.line is not None else self.claim
        if target is None:
            return False
        found = read_adjustments(segment, self.problems)
        self._code(_GROUPS, segment.get(1), "cas01_unknown", segment, 1)
        for n, adjustment in enumerate(found):
            if not _ADJUSTMENT_REASON.fullmatch(adjustment.reason_code):
                self.problems.report(
                    "carc_form",
                    segment,
                    "not the form of a claim adjustment reason code",
                    element=f"CAS{n * 3 + 2:02d}",
                )
        if "adjustments" in target:
            target["adjustments"] += found
        else:
            target["adjustments"] = found
        return True

    def _nm1(self, segment: Segment) -> bool:
        claim = self.claim
        if claim is None or self.line is not None:
            return False
        role = segment.get(1)
        name = _CLAIM_NAMES.get(role)
        if name is None or name in claim:
            return False
        if role == "82":
            claim[name] = read_provider(segment)
        elif role in ("TT", "PR"):
            claim[name] = PaymentParty(segment.get(3), segment.get(9), segment.get(8))
        else:
            claim[name] = read_person(segment)
        return True

    def _moa(self, segment: Segment) -> bool:
        return self._claim_remarks(segment, range(3, 8))

    def _mia(self, segment: Segment) -> bool:
        return self._claim_remarks(segment, (5, 20, 21, 22, 23))

    def _claim_remarks(self, segment: Segment, places: Iterable[int]) -> bool:
        if self.claim is None:
            return False
        codes = [segment.get(n) for n in places if segment.get(n)]
        self.claim.setdefault("remark_codes", []).extend(codes)
        return True

    def _ref(self, segment: Segment) -> bool:
        _, qualifier, value, *_ = segment.up_to(2)
        line = self.line
        if line is not None and qualifier == "6R" and "line_control_number" not in line:
            line["line_control_number"] = value
            return True
        if line is not None and qualifier == "HPI" and "rendering" not in line:
            line["rendering"] = Provider("", "", value)
            return True
        reference = Reference(qualifier, value)
        if line is not None:
            line.setdefault("references", []).append(reference)
        elif self.claim is not None:
            self.claim.setdefault("references", []).append(reference)
        elif self.party:
            party = self.parties[self.party]
            self.parties[self.party] = replace(party, references=(*party.references, reference))
        else:
            return False
        return True

    def _dtm(self, segment: Segment) -> bool:
        qualifier, day = segment.get(1), self.problems.day(segment, 2)
        if day is None:
            return False
        line, claim = self.line, self.claim
        if line is not None:
            if qualifier in ("472", "150"):
                line["service_date"] = day
            elif qualifier == "151":
                line["last_service_date"] = day
            else:
                line.setdefault("dates", []).append(Period(qualifier, day, day))
        elif claim is not None:
            name = _CLAIM_DATES.get(qualifier)
            if name is not None:
                claim[name] = day
            else:
                claim.setdefault("dates", []).append(Period(qualifier, day, day))
        elif qualifier == "405":
            self.head["production_date"] = day
        else:
            return False
        return True

    def _amt(self, segment: Segment) -> bool:
        target = self.line if self.line is not None else self.claim
        if target is None:
            return False
        qualifier, cents = segment.get(1), self.problems.cents(segment, 2)
        if self.line is not None and qualifier == "B6":
            self.line["allowed_cents"] = cents
        else:
            target.setdefault("amounts", []).append(Amount(qualifier, cents))
        return True

    # Lines.

    def _svc(self, segment: Segment) -> bool:
        if self.claim is None:
            self.problems.report("svc_without_clp", segment, "there is no CLP before this SVC")
            return False
        self._finish_line()
        problems, parts = self.problems, segment.up_to(7)
        code, modifiers = read_procedure(segment, 1, problems)
        units = problems.quantity(segment, 5)
        self.line = {
            "code": code,
            "charge_cents": problems.cents(segment, 2),
            "paid_cents": problems.cents(segment, 3),
            "modifiers": modifiers,
            # SVC05 is left out when one unit was paid.
            "units": 1 if units is None else units,
            "revenue_code": parts[4],
            "code_qualifier": parts[1].partition(segment.delimiters.component)[0],
        }
        if parts[6]:
            code, modifiers = read_procedure(segment, 6, self.problems)
            self.line.update(submitted_code=code, submitted_modifiers=modifiers)
        if parts[7]:
            self.line["submitted_units"] = problems.quantity(segment, 7)
        return True

    def _lq(self, segment: Segment) -> bool:
        _, qualifier, code, *_ = segment.up_to(2)
        if self.line is None or qualifier not in ("HE", "RX"):
            return False
        if qualifier == "HE" and not _REMARK.fullmatch(code):
            self.problems.report(
                "rarc_form",
                segment,
                "not the form of a remittance advice remark code",
                element="LQ02",
            )
        self.line.setdefault("remark_codes", []).append(code)
        return True


# The forms of the code lists, which change three times a year; which codes are in force on a day is
# for the dated tables of the policies to say.
_ADJUSTMENT_REASON = re.compile(r"[0-9]{1,3}|[A-Z][0-9]{1,2}")
_REMARK = re.compile(r"(?:N|M|MA)[0-9]{1,3}")
_GROUPS = frozenset({"CO", "OA", "PI", "PR", "CR"})
_STATUSES = frozenset({"1", "2", "3", "4", "19", "20", "21", "22", "23", "25"})
_REASONS = (
    "50 51 72 90 AH AM AP B2 B3 BD BN C5 CR CS CT CV CW DM E3 FB FC GO HM IP IR IS J1 L3 L6 LE LS"
    " OA OB PI PL RA RE SL TL WO WU"
)
_PROVIDER_REASONS = frozenset(_REASONS.split())
_CLAIM_DATES = {"050": "received_on", "036": "coverage_expired_on"}
_CLAIM_NAMES = {
    "QC": "patient",
    "IL": "subscriber",
    "74": "corrected",
    "82": "rendering",
    "TT": "crossover_payer",
    "PR": "corrected_payer",
}
_LISTS = ("adjustments", "references", "amounts", "dates", "remark_codes", "unread")
_TAGS = (
    "BPR NTE TRN CUR REF DTM N1 N2 N3 N4 PER RDM LX TS2 TS3 CLP CAS NM1 MIA MOA AMT QTY SVC LQ PLB"
)
_TAGS_835 = frozenset(_TAGS.split())
