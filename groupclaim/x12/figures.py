"""The figures of any X12 file: envelope faults, and what its transactions add up to.

Made for a person or a program that wants to know whether a file is whole before anything is done
with it. Reads one interchange, transaction and claim at a time, so memory does not grow with the
file. Claims and payments go through the same readers as in earnest, the rest is counted.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

from groupclaim.x12 import (
    acknowledgment,
    authorization,
    claim_acknowledgment,
    claim_reader,
    eligibility,
    remittance_reader,
    status,
)
from groupclaim.x12.claim import ProfessionalClaim
from groupclaim.x12.core import (
    Interchange,
    Limits,
    Problem,
    Problems,
    Segment,
    Transaction,
    read_interchanges,
)
from groupclaim.x12.remittance import (
    ClaimPayment,
    Difference,
    Payment,
    balance_claim,
    balance_payment,
)
from groupclaim.x12.values import npi_is_valid, read_cents

# The section of CPT for psychiatric services: only its range, never a descriptor.
_BEHAVIORAL = re.compile(r"90(?:78[5-9]|79[0-9]|8[0-9]{2})")
# How `envelope_errors` names the problems of an envelope.
_ENVELOPE_ERRORS = {
    "se01_count": "SE01 count",
    "se02_number": "SE02!=ST02",
    "se_missing": "SE missing",
    "se_without_st": "SE without ST",
    "st02_duplicate": "duplicate ST02",
    "st_outside_group": "ST outside GS",
    "ge01_count": "GE01 count",
    "ge02_number": "GE02!=GS06",
    "ge_missing": "GE missing",
    "ge_without_gs": "GE without GS",
    "gs06_duplicate": "duplicate GS06",
    "iea01_count": "IEA01 count",
    "iea02_number": "IEA02!=ISA13",
    "iea_missing": "IEA missing",
    "isa13_duplicate": "duplicate ISA13",
    "isa_unreadable": "ISA unreadable",
    "delimiters_clash": "delimiters clash",
    "unterminated_segment": "unterminated segment",
    "segment_outside_transaction": "segment outside transaction",
}
_NOTES = {"isa_width": "ISA not 106 wide", "isa_missing": "no ISA"}


def file_figures(source: BinaryIO, limits: Limits | None = None) -> dict[str, Any]:
    """The figures of a file as JSON takes them: amounts as decimal text, counts as numbers.

    `interchanges` is 0 if nothing could be read. `problems` lists every fault of the envelope, of
    the content as the readers see it, and every sum of an 835 that does not come out; none of them
    quotes a value. Of a transaction whose guide has no reader here, only the envelope is judged.
    """
    problems = Problems()
    counted = _Counted(source)
    heads: list[Interchange] = []
    transactions: list[dict[str, Any]] = []
    faults: list[Problem] = []
    sets: Counter[str] = Counter()
    guides: Counter[str] = Counter()
    acknowledgments: list[str] = []
    for interchange in read_interchanges(counted, problems, limits):
        heads.append(interchange)
        for transaction in interchange:
            sets[transaction.set_id] += 1
            transactions.append(_transaction(transaction, problems, faults))
        guides.update(f"{group.functional_code} {group.version}" for group in interchange.groups)
        acknowledgments += ["*".join(ack.elements) for ack in interchange.acknowledgments]
    named = Counter(problem.code for problem in problems)
    if named["isa_missing"]:
        named["st_outside_group"] = 0  # the whole envelope is missing, which the notes say
    found: dict[str, Any] = {
        "interchanges": len(heads),
        "bytes": counted.bytes,
        "bom": counted.start.startswith(b"\xef\xbb\xbf"),
        "delimiters": list(
            dict.fromkeys(
                f"{d.element}{d.component}{d.segment}" for d in (one.delimiters for one in heads)
            )
        ),
        "gs": dict(guides),
        "st_count": dict(sets),
        "ta1": acknowledgments,
        "envelope_errors": {
            name: named[code] for code, name in _ENVELOPE_ERRORS.items() if named[code]
        },
        "notes": [note for code, note in _NOTES.items() if named[code]],
        "behavioral_codes": _added(one.get("behavioral_codes", {}) for one in transactions),
        "totals": _totals(transactions),
        "transactions": transactions,
        "problems": [
            asdict(problem)
            for problem in sorted([*problems, *faults], key=lambda one: one.segment_number)
        ],
    }
    if heads and heads[0].header.number:
        found["isa12"], found["isa15"] = heads[0].version, heads[0].header.get(15)
    return found


class _Counted:
    """A file that remembers how it began and how many bytes were read of it."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.bytes = 0
        self.start = b""

    def read(self, size: int = -1) -> bytes:
        chunk = self._source.read(size)
        self.start = self.start or chunk[:3]
        self.bytes += len(chunk)
        return chunk


def _transaction(
    transaction: Transaction, problems: Problems, faults: list[Problem]
) -> dict[str, Any]:
    """The figures of one transaction; what does not balance is added to `faults`."""
    raw = _Raw()
    transaction.watch(raw.look)
    if transaction.set_id == "835":
        figures = _payment(transaction, problems, faults)
    elif transaction.set_id == "837":
        figures = _claims(transaction, problems, raw)
    else:
        reader = _READERS.get(transaction.set_id)
        if reader is not None:
            for _ in reader(transaction, problems):
                pass
        transaction.skip()
        figures = raw.of_set(transaction.set_id)
    return {
        "st": transaction.set_id,
        "st02": transaction.control_number,
        "guide": transaction.guide or None,
        "segments": transaction.count,
        **figures,
    }


def _answers(transaction: Transaction, problems: Problems) -> Iterator[object]:
    """What a 277 says, by its guide."""
    if "X214" in transaction.guide:
        yield claim_acknowledgment.read_transaction(transaction, problems)
    elif "X213" not in transaction.guide:
        yield from status.read_responses(transaction, problems)


_READERS: dict[str, Callable[[Transaction, Problems], Iterator[object]]] = {
    "270": eligibility.read_inquiries,
    "271": eligibility.read_responses,
    "276": status.read_inquiries,
    "277": _answers,
    "278": authorization.read_events,
    "999": lambda transaction, problems: iter(
        [acknowledgment.read_transaction(transaction, problems)]
    ),
}


# --- 835 ----------------------------------------------------------------------------------------


def _payment(transaction: Transaction, problems: Problems, faults: list[Problem]) -> dict[str, Any]:
    amounts: Counter[str] = Counter()
    by_group: Counter[str] = Counter()
    by_code: Counter[str] = Counter()
    count_by_group: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    remarks: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    wrong: dict[str, list[str]] = {"line": [], "claim": [], "claim_lines": []}
    lines = place = 0
    differences: list[Difference] = []
    payment: Payment | None = None
    for record in remittance_reader.read_transaction(transaction, problems):
        if isinstance(record, Payment):
            payment = record
            break
        found = balance_claim(record, f"claims[{place}]")
        place += 1
        differences += found
        for level in {difference.level for difference in found}:
            wrong[level].append(record.control_number)
        lines += len(record.lines)
        statuses[record.status] += 1
        _add_claim(record, amounts)
        for line in record.lines:
            remarks.update(line.remark_codes)
            codes.update([line.code] if _BEHAVIORAL.fullmatch(line.code) else [])
        for adjustments in (record.adjustments, *(line.adjustments for line in record.lines)):
            for adjustment in adjustments:
                by_group[adjustment.group_code] += adjustment.cents
                by_code[f"{adjustment.group_code}-{adjustment.reason_code}"] += adjustment.cents
                count_by_group[adjustment.group_code] += 1
    if payment is None:
        return {}
    of_payment = balance_payment(payment, amounts["sum_clp04_paid"])
    differences += of_payment
    unreadable = [one for one in payment.doubts if one.code.startswith("amount_")]
    withheld = sum(adjustment.cents for adjustment in payment.provider_adjustments)
    for difference in differences[:_MOST_DIFFERENCES]:
        faults.append(_fault(difference, transaction))
    return {
        "claims": place,
        "service_lines": lines,
        "status": dict(statuses),
        "reversals": statuses["22"],
        "bpr01": payment.handling_code,
        "bpr02": _text(payment.paid_cents),
        "bpr02_expected": _text(amounts["sum_clp04_paid"] - withheld),
        "bpr04": payment.method,
        "trn02": payment.trace_number,
        **{name: _text(amounts[name]) for name in _SUMS_835},
        "sum_plb": _text(withheld),
        "plb": [[one.reason_code, _text(one.cents)] for one in payment.provider_adjustments],
        "cas_by_group": _texts(by_group),
        "cas_by_code": _texts(by_code),
        "cas_count_by_group": dict(count_by_group),
        "rarc": dict(remarks),
        "behavioral_codes": dict(codes),
        "transaction_balanced": not of_payment,
        "lines_out_of_balance": wrong["line"],
        "claims_out_of_balance": wrong["claim"],
        "claims_paid_ne_lines": wrong["claim_lines"],
        "balanced": not differences and not unreadable,
    }


_SUMS_835 = (
    "sum_clp03_charge", "sum_clp04_paid", "sum_clp05_patient", "sum_svc02", "sum_svc03"
)  # fmt: skip
_MOST_DIFFERENCES = 1_000


def _add_claim(claim: ClaimPayment, amounts: Counter[str]) -> None:
    amounts["sum_clp03_charge"] += claim.charge_cents
    amounts["sum_clp04_paid"] += claim.paid_cents
    amounts["sum_clp05_patient"] += claim.patient_responsibility_cents
    amounts["sum_svc02"] += sum(line.charge_cents for line in claim.lines)
    amounts["sum_svc03"] += sum(line.paid_cents for line in claim.lines)


def _fault(difference: Difference, transaction: Transaction) -> Problem:
    header = transaction.header
    return Problem(
        f"balance_{difference.level}",
        header.number,
        header.offset,
        f"{difference.place}: {difference.rule} differs by {difference.cents} cents",
        segment=difference.rule[:3],
        element=difference.rule[:5],
    )


# --- 837 ----------------------------------------------------------------------------------------


def _claims(transaction: Transaction, problems: Problems, raw: "_Raw") -> dict[str, Any]:
    charges = line_charges = count = lines = dependents = subscribers = 0
    references = authorizations = without_diagnosis = 0
    frequencies: Counter[str] = Counter()
    places: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    unequal: list[str] = []
    for claim in claim_reader.read_transaction(transaction, problems):
        if not isinstance(claim, ProfessionalClaim):
            break
        of_lines = sum(line.charge_cents for line in claim.lines)
        count += 1
        lines += len(claim.lines)
        charges += claim.charge_cents
        line_charges += of_lines
        if of_lines != claim.charge_cents:
            unequal.append(claim.control_number)
        # A claim under no subscriber's level is nobody's.
        level = raw.claim_levels.pop(0) if raw.claim_levels else ""
        dependents += level == "23"
        subscribers += level == "22"
        references += bool(claim.original_reference)
        authorizations += bool(claim.prior_authorization)
        without_diagnosis += not claim.diagnoses
        frequencies[claim.frequency] += 1
        places[claim.place_of_service] += 1
        codes.update(line.code for line in claim.lines if _BEHAVIORAL.fullmatch(line.code))
    return {
        "claims": count,
        "lines": lines,
        "sum_clm02": _text(charges),
        "sum_line_charge": _text(line_charges),
        "claims_charge_ne_lines": unequal,
        "claims_patient_is_subscriber": subscribers,
        "claims_patient_is_dependent": dependents,
        "claims_with_ref_f8": references,
        "claims_with_ref_g1": authorizations,
        "claims_without_dx": without_diagnosis,
        "frequency": dict(frequencies),
        "pos": dict(places),
        "behavioral_codes": dict(codes),
        "hl_levels": dict(raw.levels),
        "npi_total": raw.npis,
        "npi_bad_check_digit": raw.bad_npis,
    }


# --- the others, counted ------------------------------------------------------------------------


class _Raw:
    """Counts the segments of one transaction as they go by."""

    def __init__(self) -> None:
        self.tags: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self.level = ""
        self.claim_levels: list[str] = []
        self.npis = self.bad_npis = 0
        self.begin: str | None = None
        self.cents: Counter[str] = Counter()
        self.lists: dict[str, list[Any]] = {"hcr": [], "um": [], "qty": [], "ref_1k": []}
        self.codes: dict[str, Counter[str]] = {
            name: Counter() for name in ("aaa", "eq", "eb01", "eb03", "stc01", "ik5_or_ak5")
        }
        self.texts: dict[str, str] = {}

    def look(self, segment: Segment) -> None:
        tag, get = segment.tag, segment.get
        self.tags[tag] += 1
        if tag == "HL":
            self.level = get(3)
            self.levels[self.level] += 1
        elif tag == "CLM":
            self.claim_levels.append(self.level)
        elif tag == "NM1" and get(8) == "XX":
            self.npis += 1
            self.bad_npis += not npi_is_valid(get(9))
        elif tag == "BHT":
            self.begin = "*".join((get(1), get(2), get(6)))
        elif tag in ("AK1", "AK9"):
            self.texts[tag.lower()] = "*".join(segment.parts[1:5])
        else:
            self._look_at_content(segment)

    def _look_at_content(self, segment: Segment) -> None:
        tag, get, codes = segment.tag, segment.get, self.codes
        if tag in ("IK5", "AK5"):
            codes["ik5_or_ak5"][get(1)] += 1
        elif tag == "AAA":
            codes["aaa"][get(3)] += 1
        elif tag == "EQ":
            codes["eq"].update(segment.repeats(1) or [""])
        elif tag == "EB":
            codes["eb01"][get(1)] += 1
            codes["eb03"][get(3)] += 1
        elif tag in ("HCR", "UM"):
            self.lists[tag.lower()].append("*".join(segment.parts[1:4]))
        elif tag == "STC":
            codes["stc01"][":".join(segment.components(1)[:2])] += 1
            self.cents["sum_stc04"] += read_cents(get(4)) or 0
        elif tag == "AMT" and get(1) == "T3":
            self.cents["amt_t3"] += read_cents(get(2)) or 0
        elif tag == "QTY":
            self.lists["qty"].append([get(1), get(2)])
        elif tag == "REF" and get(1) == "1K":
            self.lists["ref_1k"].append(get(2))

    def of_set(self, set_id: str) -> dict[str, Any]:
        """The figures of a transaction that is neither claim nor payment."""
        tags = self.tags
        found: dict[str, Any] = {"bht": self.begin, "hl_levels": dict(self.levels)}
        values: dict[str, Any] = {
            **{name: dict(codes) for name, codes in self.codes.items()},
            **self.lists,
            **{name: _text(self.cents[name]) for name in ("amt_t3", "sum_stc04")},
            **{name: self.texts.get(name, "") for name in ("ak1", "ak9")},
            **{name: tags[name.upper()] for name in _COUNTED},
            "sv": tags["SV1"] + tags["SV2"] + tags["SV3"],
            "patient_or_subscriber_hl": sum(self.levels[code] for code in ("22", "23", "PT")),
        }
        return {**found, **{name: values[name] for name in _FIGURES.get(set_id, ())}}


_COUNTED = ("ak2", "ctx", "eb", "hsd", "ik3", "ik4", "stc", "svc", "trn")
_STATUS = ("amt_t3", "patient_or_subscriber_hl", "qty", "ref_1k", "stc", "stc01", "sum_stc04",
           "svc", "trn")  # fmt: skip
_FIGURES = {
    "270": ("aaa", "eq", "trn"),
    "271": ("aaa", "eb", "eb01", "eb03", "trn"),
    "276": _STATUS,
    "277": _STATUS,
    "278": ("aaa", "hcr", "hsd", "sv", "trn", "um"),
    "999": ("ak1", "ak2", "ak9", "ctx", "ik3", "ik4", "ik5_or_ak5"),
}


# --- totals -------------------------------------------------------------------------------------


def _totals(transactions: list[dict[str, Any]]) -> dict[str, Any]:
    """Per kind, over all transactions of the file; of claims and payments only."""
    found: dict[str, Any] = {}
    paid = [one for one in transactions if one["st"] == "835"]
    if paid:
        found["835"] = {
            "transactions": len(paid),
            **{name: sum(one[name] for one in paid) for name in ("claims", "reversals")},
            "denials_status4": sum(one["status"].get("4", 0) for one in paid),
            "plb_adjustments": sum(len(one["plb"]) for one in paid),
            "sum_bpr02": _sum(one["bpr02"] for one in paid),
            **{
                name: _sum(one[name] for one in paid)
                for name in ("sum_clp03_charge", "sum_clp04_paid", "sum_plb")
            },
            "cas_by_group": {
                group: _sum(one["cas_by_group"].get(group, "0") for one in paid)
                for group in dict.fromkeys(g for one in paid for g in one["cas_by_group"])
            },
            "balanced": all(one["balanced"] for one in paid),
            "unbalanced_transactions": sum(not one["balanced"] for one in paid),
        }
    billed = [one for one in transactions if one["st"] == "837"]
    if billed:
        found["837"] = {
            "transactions": len(billed),
            "claims": sum(one["claims"] for one in billed),
            "lines": sum(one["lines"] for one in billed),
            "claims_charge_ne_lines": sum(len(one["claims_charge_ne_lines"]) for one in billed),
            "sum_clm02": _sum(one["sum_clm02"] for one in billed),
            "sum_line_charge": _sum(one["sum_line_charge"] for one in billed),
        }
    return found


def _text(cents: int) -> str:
    """Dollars and cents; a plain 0 for nothing."""
    sign, amount = ("-" if cents < 0 else ""), abs(cents)
    return f"{sign}{amount // 100}.{amount % 100:02d}" if cents else "0"


def _texts(cents: Counter[str]) -> dict[str, str]:
    return {name: _text(amount) for name, amount in cents.items()}


def _sum(texts: Iterator[str]) -> str:
    return _text(sum(read_cents(text) or 0 for text in texts))


def _added(counts: Iterator[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)
