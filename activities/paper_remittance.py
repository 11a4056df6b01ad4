"""A remittance on paper, typed in: the 835 that the payer did not send.

It is written as an 835 and goes the way of every other, under the same sums; what was typed wrong
is told before anything is kept.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Literal

from pydantic import Field

from groupclaim import x12
from groupclaim.model.base import InputRefused, Name, Record, Reference
from groupclaim.model.claim import Modifier
from groupclaim.model.money import Cents

Group = Literal["CO", "PR", "OA", "PI", "CR"]
Code = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,5}$")]


class PaperAdjustment(Record):
    """Why less than the charge was paid: group code, reason code (CARC) and cents."""

    group: Group
    reason: Code
    cents: Cents


class PaperLine(Record):
    code: Annotated[str, Field(pattern=r"^[A-Z0-9]{5}$")]
    modifiers: Annotated[tuple[Modifier, ...], Field(max_length=4)] = ()
    service_date: date
    units: Annotated[int, Field(gt=0)] = 1
    charge_cents: Cents
    paid_cents: Cents
    allowed_cents: Cents | None = None
    adjustments: tuple[PaperAdjustment, ...] = ()
    remarks: tuple[Code, ...] = ()


class PaperClaim(Record):
    """``claim`` is the number as printed; ``status`` as in CLP02 (1, 2, 3 paid, 4 denied, 22
    reversal). Charge and payment are those of the lines."""

    claim: Reference
    status: Annotated[str, Field(pattern=r"^(1|2|3|4|19|20|21|22|23|25)$")]
    payer_claim_number: Annotated[str, Field(max_length=50)] = ""
    member_id: Annotated[str, Field(max_length=80)] = ""
    lines: Annotated[tuple[PaperLine, ...], Field(min_length=1)]


class PaperProviderAdjustment(Record):
    """Taken off the payment as a whole when above zero, added when below (PLB)."""

    reason: Annotated[str, Field(pattern=r"^[A-Z0-9]{2}$")]
    reference: Annotated[str, Field(max_length=50)] = ""
    cents: Cents


class PaperRemittance(Record):
    """``trace`` is the number of the check, or of the transfer; ``paid_cents`` its amount."""

    payer_name: Name
    payer_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{2,10}$")]
    trace: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,50}$")]
    payment_date: date
    paid_cents: Cents
    method: Literal["CHK", "ACH", "FWT", "NON"] = "CHK"
    claims: Annotated[tuple[PaperClaim, ...], Field(min_length=1)]
    provider_adjustments: tuple[PaperProviderAdjustment, ...] = ()


def as_835(paper: PaperRemittance, npi: str, name: str) -> bytes:
    """The 835 of what was typed in, the same bytes each time. ``npi`` and ``name``: the practice's.

    Raises :class:`InputRefused` with every sum that does not come out.
    """
    payment = x12.Payment(
        trace_number=paper.trace,
        payer_identifier=f"1{paper.payer_id}",
        payment_date=paper.payment_date,
        paid_cents=abs(int(paper.paid_cents)),
        is_debit=paper.paid_cents < 0,
        payer=x12.PaymentParty(paper.payer_name, paper.payer_id, "XV"),
        payee=x12.PaymentParty(name, npi, "XX"),
        claims=tuple(_claim(item) for item in paper.claims),
        provider_adjustments=tuple(
            x12.ProviderAdjustment(
                npi, item.reason, int(item.cents), item.reference,
                date(paper.payment_date.year, 12, 31),
            )
            for item in paper.provider_adjustments
        ),
        method=paper.method,
        handling_code="H" if paper.method == "NON" else "I",
    )  # fmt: skip
    differences = x12.balance(payment)
    if differences:
        raise InputRefused(
            "remittance",
            [f"{item.place}: {item.rule} differs by {Cents(item.cents)}" for item in differences],
        )
    envelope = x12.Envelope(
        sender_id="PAPER",
        receiver_id="PRACTICE",
        interchange_control_number=1,
        group_control_number=1,
        at=datetime.combine(paper.payment_date, time(), UTC),
        test=False,
    )
    try:
        return x12.build_835(envelope, (payment,), 1)
    except x12.X12WriteError as error:
        raise InputRefused("remittance", [str(error)]) from None


def _claim(item: PaperClaim) -> x12.ClaimPayment:
    lines = tuple(_line(line) for line in item.lines)
    return x12.ClaimPayment(
        control_number=item.claim,
        status=item.status,
        charge_cents=sum(line.charge_cents for line in lines),
        paid_cents=sum(line.paid_cents for line in lines),
        patient_responsibility_cents=sum(
            cut.cents for line in lines for cut in line.adjustments if cut.group_code == "PR"
        ),
        payer_claim_number=item.payer_claim_number,
        lines=lines,
        subscriber=x12.Person("", "", item.member_id) if item.member_id else None,
    )


def _line(item: PaperLine) -> x12.LinePayment:
    return x12.LinePayment(
        code=item.code,
        charge_cents=int(item.charge_cents),
        paid_cents=int(item.paid_cents),
        modifiers=item.modifiers,
        units=item.units,
        service_date=item.service_date,
        adjustments=tuple(
            x12.Adjustment(cut.group, cut.reason, int(cut.cents)) for cut in item.adjustments
        ),
        allowed_cents=None if item.allowed_cents is None else int(item.allowed_cents),
        remark_codes=item.remarks,
    )
