"""The payers after the first, from the first one's 835 to the patient's balance.

P01 has Medicare first and Texas Medicaid second here. Medicare allows 30.85 of 60.00 (physician fee
schedule 2026, Austin): 20 % = 6.17 to the patient, 2 % of 24.68 = 0.49 sequestration, 24.19 paid,
29.15 taken off by contract.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from temporalio.exceptions import ApplicationError

from activities import composing, steps
from groupclaim import x12
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState, Stage
from groupclaim.model.claim import ClaimVersion
from groupclaim.model.identity import control_number
from groupclaim.model.intake import PracticeFile
from groupclaim.model.money import Cents
from groupclaim.store import audit, claims, files, ledger, patient_account, practice, remittances
from groupclaim.store.schema import claim_version
from groupclaim.x12.parts import Adjustment
from groupclaim.x12.remittance import ClaimPayment, LinePayment, Payment, PaymentParty
from tests.activities.house import SAMPLES, House
from tests.activities.test_denial import announced, choose

MEMBER = "888000111"
CUTS = (("CO", "45", 2915), ("PR", "2", 617), ("CO", "253", 49))
PAID = 2419
DECIDED = date(2026, 2, 18)


@dataclass
class Desk:
    house: House
    claim: str
    traces: list[str] = field(default_factory=list)

    @property
    def state(self) -> ClaimState:
        return self.house.states[self.claim]

    async def load(self, *covers: dict[str, Any], patient: str = "P01") -> None:
        """Put coverages of P01 on file beside or instead of those it has."""
        data = json.loads((SAMPLES / "practice.json").read_text())
        covers = tuple({**_COVER, **item} for item in covers)
        kept = {item["priority"] for item in covers}
        data["coverages"] = [
            item
            for item in data["coverages"]
            if item["patient"] != patient or item["priority"] not in kept
        ] + [{**item, "patient": patient} for item in covers]
        async with self.house.quietly() as tx:
            await practice.load_practice(tx, PracticeFile.model_validate_json(json.dumps(data)))

    async def post(
        self,
        version: int,
        amount: int,
        *cuts: tuple[str, str, int],
        cause: str = "CO-22",
        status: str = "1",
        remarks: tuple[str, ...] = (),
        line: str | None = "ours",
        day: date = DECIDED,
        reverse: bool = False,
    ) -> remittances.Posted:
        """A payment of one line; the claim is told of it as the announcement would."""
        sign = -1 if reverse else 1
        control = control_number(self.claim, version)
        paid = ClaimPayment(
            control_number=control,
            status="22" if reverse else status,
            charge_cents=sign * 6000,
            paid_cents=sign * amount,
            patient_responsibility_cents=sign * sum(c for g, _, c in cuts if g == "PR"),
            payer_claim_number=f"ICN{version}{status}",
            remark_codes=remarks,
            lines=(
                LinePayment(
                    "90853",
                    sign * 6000,
                    sign * amount,
                    adjustments=tuple(Adjustment(g, r, sign * c) for g, r, c in cuts),
                    line_control_number=f"{control}L1" if line == "ours" else "",
                ),
            ),
        )
        trace = f"T{len(self.traces) + 1}"
        self.traces.append(trace)
        payment = Payment(
            trace_number=trace,
            payer_identifier="1SIM",
            payment_date=day,
            paid_cents=amount,
            is_debit=reverse,
            payer=PaymentParty("Simulated", "SIM", "XV"),
            payee=PaymentParty("Practice", "1999900107", "XX"),
            claims=(paid,),
        )
        async with self.house.quietly() as tx:
            now = await self.house.clock.now()
            digest = await files.keep_file(
                tx, self.house.connection_id, "inbound", "835", trace, trace.encode(), now
            )
            registered = await remittances.register(tx, digest, (payment,), now)
            posted = await remittances.post(tx, registered.new[0], payment, now)
        assert posted.state == "posted"
        (found,) = posted.claims
        if found.posting in ("applied", "denied", "reversal"):
            denied = found.posting == "denied"
            await self.house.happens(
                self.claim,
                events.RemittancePosted(
                    at=now, key=trace, version=version, denied=denied,
                    cause=cause if denied else None,
                ),
            )  # fmt: skip
        return posted

    async def primary_pays(self, **how: Any) -> None:
        await self.post(1, PAID, *CUTS, **how)

    async def version(self, number: int) -> ClaimVersion:
        async with self.house.database.reading() as reading:
            return await claims.read_version(reading, self.claim, number)

    async def balance(self) -> ledger.Balance:
        async with self.house.database.reading() as reading:
            assert await ledger.verify(reading) == ()
            return await ledger.balance(reading, self.claim)

    async def goes_out(self) -> None:
        """The version that is ready is cut and sent."""
        batch = await self.house.cut(f"cut of version {self.state.version}")
        assert batch is not None
        await self.house.send(batch)
        assert self.state.stage is Stage.SUBMITTED


_COVER = {
    "payer": "texas-medicaid",
    "priority": 2,
    "member_id": MEMBER,
    "group_number": None,
    "relationship": "self",
    "from": "2025-01-01",
    "to": None,
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """P01's first claim is on its way to Medicare, a copay of nothing collected."""
    async with House(tmp_path, {"S1": ("P01", "P02")}) as house:
        made = Desk(house, await house.claim_of("S1", "P01"))
        await made.load({})
        await house.open_sessions()
        await house.hand_in()
        assert made.state.stage is Stage.READY
        await made.goes_out()
        yield made


async def test_the_next_payer_is_told_every_figure_of_the_first(desk: Desk) -> None:
    await desk.primary_pays()
    assert (desk.state.stage, desk.state.version, desk.state.payer) == (Stage.READY, 2, 2)
    version = await desk.version(2)
    assert (version.payer_sequence, version.frequency) == (2, "1")
    async with desk.house.database.reading() as reading:
        billing = await practice.read_practice(reading)
        connection = await practice.read_connection(reading, desk.house.connection_id)
    claim = composing.professional_claim(version, billing)
    frame = composing.envelope(connection, billing, 1, 1, await desk.house.clock.now(), test=True)
    content = composing.batch_bytes(frame, billing, (claim,), 1, "CHECK")
    assert x12.check_outbound(content) == ()
    segments = content.decode().split("~")
    wanted = [
        "SBR*S*18*******MC",
        f"NM1*IL*1*INVENTED*TESTA****MI*{MEMBER}",
        "NM1*PR*2*SIMULATED TEXAS MEDICAID*****PI*SIMTXM",
        f"CLM*{control_number(desk.claim, 2)}*60***11:B:1*Y*A*Y*Y",
        "SBR*P*18*******MB",
        "AMT*D*24.19",
        "OI***Y***Y",
        "NM1*IL*1*INVENTED*TESTA****MI*1SS0SS0SS01",
        "NM1*PR*2*SIMULATED MEDICARE PART B*****PI*SIMMB",
        "REF*F8*ICN11",
        "SV1*HC:90853*60*UN*1***1",
        "SVD*SIMMB*24.19*HC:90853**1",
        "CAS*CO*45*29.15**253*0.49",
        "CAS*PR*2*6.17",
        "DTP*573*D8*20260218",
    ]
    places = [segments.index(item) for item in wanted]
    assert places == sorted(places)


async def test_the_patient_owes_what_the_last_payer_left(desk: Desk) -> None:
    await desk.primary_pays()
    await desk.goes_out()
    # Medicaid allows 27.19 in all: 24.19 of it came before, it pays 1.00 and leaves 2.00.
    await desk.post(2, 100, ("OA", "23", 5383), ("CO", "45", 317), ("PR", "3", 200), status="2")
    assert (desk.state.stage, desk.state.reason) == (Stage.PATIENT_BALANCE, "PATIENT_BALANCE_DUE")
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (0, 200)


async def test_a_next_payer_that_takes_the_rest_off_closes_the_claim(desk: Desk) -> None:
    await desk.primary_pays()
    await desk.goes_out()
    await desk.post(2, 0, ("OA", "23", 5383), ("CO", "45", 617), status="2")
    assert desk.state.stage is Stage.CLOSED
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (0, 0)


@pytest.mark.parametrize(("status", "remarks"), [("19", ()), ("1", ("MA18",)), ("1", ("N89",))])
async def test_a_crossover_is_awaited_thirty_days(
    desk: Desk, status: str, remarks: tuple[str, ...]
) -> None:
    await desk.primary_pays(status=status, remarks=remarks)
    assert desk.state.stage is Stage.CROSSOVER
    assert desk.state.due_at is not None
    assert desk.state.due_at.astimezone().date() - DECIDED in (
        timedelta(days=30),
        timedelta(days=29),
    )
    # The next payer answers under the number that the first one was billed with.
    await desk.post(1, 617, ("OA", "23", 5383), status="2")
    assert desk.state.stage is Stage.CLOSED
    assert (await desk.balance()).patient_open == 0
    assert desk.state.version == 1


async def test_a_crossover_that_never_comes_is_billed_by_us(desk: Desk) -> None:
    await desk.primary_pays(status="19")
    due_at = desk.state.due_at
    assert due_at is not None
    await desk.house.move_to(due_at)
    await desk.house.happens(desk.claim, events.DeadlinePassed(at=due_at))
    assert (desk.state.stage, desk.state.version) == (Stage.READY, 2)


async def test_nothing_left_is_nothing_to_bill(desk: Desk) -> None:
    await desk.post(1, 3036, ("CO", "45", 2915), ("CO", "253", 49))
    # Medicare paid all of 30.85 but sequestration: 30.36 + 0.49. The patient owes nothing.
    assert desk.state.version == 1
    assert (await desk.balance()).patient_open == 0


async def test_a_qualified_beneficiary_owes_nothing_and_medicaid_is_billed(desk: Desk) -> None:
    await desk.primary_pays(remarks=("N782",))
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (617, 0)
    assert (desk.state.stage, desk.state.payer) == (Stage.READY, 2)
    await desk.goes_out()
    await desk.post(2, 617, ("OA", "23", 5383), status="2")
    assert desk.state.stage is Stage.CLOSED


async def test_a_first_payer_that_changes_its_decision_has_the_next_corrected(desk: Desk) -> None:
    await desk.primary_pays()
    await desk.goes_out()
    await desk.post(2, 617, ("OA", "23", 5383), status="2")
    assert desk.state.stage is Stage.CLOSED
    await desk.post(1, PAID, *CUTS, reverse=True)
    # Corrected: 31.85 allowed, 6.37 to the patient, 0.51 sequestration, 24.97 paid.
    await desk.post(1, 2497, ("CO", "45", 2815), ("PR", "2", 637), ("CO", "253", 51))
    assert desk.state.hold is not None
    assert desk.state.hold.code == "OVERPAYMENT_REVIEW"  # the contract says 30.85
    await _release(desk, "OVERPAYMENT_REVIEW")
    assert desk.state.hold is not None
    assert desk.state.hold.code == "COORDINATION_REVIEW"
    await _release(desk, "COORDINATION_REVIEW")
    version = await desk.version(desk.state.version)
    assert (version.payer_sequence, version.frequency) == (2, "7")
    assert version.original_reference == "ICN22"
    assert version.prior[0].paid == 2497


async def _gives_up(desk: Desk, request: str = "click-1") -> steps.DecisionRecorded:
    """As a person does at the console; the claim is told of it unless it is refused."""
    what = steps.ClaimWriteOff(
        claim_number=desk.claim, version=desk.state.version, by="R. Lee",
        reason="no answer to three calls", request=request,
    )  # fmt: skip
    done: steps.DecisionRecorded = await desk.house.perform(steps.RECORD_WRITE_OFF, what)
    if done.refused is None:
        event = events.WrittenOff(at=done.at, key=f"write_off:{request}", unsent=done.unsent)
        await desk.house.happens(desk.claim, event)
    return done


async def _given_up(desk: Desk) -> list[tuple[str, object]]:
    async with desk.house.database.reading() as reading:
        return [
            (entry.actor, entry.detail["cents"])
            for entry in await audit.entries(reading, desk.claim)
            if entry.action == "write_off_claim"
        ]


async def _passes(desk: Desk, days: int) -> None:
    await desk.house.move_to(await desk.house.clock.now() + timedelta(days=days))


async def test_what_a_second_payer_never_decides_is_given_up_after_its_time(desk: Desk) -> None:
    await desk.primary_pays()
    await desk.goes_out()
    early = await _gives_up(desk)
    assert "its payer may still decide until" in (early.refused or "")
    assert (await desk.balance()).patient_open == 617
    await _passes(desk, 60)
    done = await _gives_up(desk)
    assert (done.refused, done.unsent) == (None, False)
    # The 20 % that Medicare left was Medicaid's to pay: the practice's loss, not the patient's.
    assert await _given_up(desk) == [("R. Lee", 617)]
    assert (desk.state.ended, desk.state.stage) == (True, Stage.CLOSED)
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (0, 0)
    again = await _gives_up(desk, "click-2")
    assert again.refused == "nothing is open with its payer"
    # What people put on file later does not have it wait for that payer again.
    now = await desk.house.clock.now()
    await desk.house.happens(desk.claim, events.FactLearned(at=now, fact="coverage"))
    assert desk.state.stage is Stage.CLOSED


async def test_what_the_patient_paid_for_a_second_payer_goes_back(desk: Desk) -> None:
    await desk.primary_pays()
    await desk.goes_out()
    async with desk.house.database.transaction() as tx:
        now = await desk.house.clock.now()
        await ledger.book_patient_payment(tx, desk.claim, Cents(200), "R7", now)
    await _passes(desk, 60)
    await _gives_up(desk)
    assert await _given_up(desk) == [("R. Lee", 617)]
    assert desk.state.hold is not None
    assert desk.state.hold.code == "REFUND_DUE"
    assert (await desk.balance()).patient_open == -200


async def test_a_second_payer_that_pays_after_all_is_looked_at(desk: Desk) -> None:
    await desk.primary_pays()
    await desk.goes_out()
    await _passes(desk, 60)
    await _gives_up(desk)
    await desk.post(2, 617, ("OA", "23", 5383), status="2")
    assert desk.state.hold is not None
    assert desk.state.hold.code == "OVERPAYMENT_REVIEW"  # more than is open: it was given up
    assert (await desk.balance()).payer_open == -617
    await _release(desk, "OVERPAYMENT_REVIEW")
    assert desk.state.stage is Stage.CLOSED
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (0, 0)


async def test_a_qualified_beneficiarys_share_that_medicaid_never_decides(desk: Desk) -> None:
    await desk.primary_pays(remarks=("N782",))
    await desk.goes_out()
    await _passes(desk, 60)
    await _gives_up(desk)
    assert await _given_up(desk) == [("R. Lee", 617)]
    assert desk.state.stage is Stage.CLOSED
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (0, 0)


async def test_a_second_payer_that_cannot_be_billed_is_given_up(desk: Desk) -> None:
    """Its claim cannot be made: nothing has gone to it, and nothing ever will."""
    await desk.load({"payer": "medicare-part-b", "priority": 2})
    await desk.primary_pays()
    assert desk.state.hold is not None
    assert (desk.state.stage, desk.state.hold.code) == (Stage.CLAIM_BUILD, "CLAIM_REFUSED")
    await _gives_up(desk)
    assert await _given_up(desk) == [("R. Lee", 617)]
    assert desk.state.stage is Stage.CLOSED
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (0, 0)


async def _release(desk: Desk, code: str) -> None:
    now = await desk.house.clock.now()
    await desk.house.happens(desk.claim, events.HoldReleased(at=now, key=f"{code}{now}", code=code))


async def test_a_remittance_whose_lines_are_not_ours_is_not_told_on(desk: Desk) -> None:
    posted = await desk.post(1, PAID, *CUTS, line=None)
    assert posted.claims[0].posting == "applied"
    assert desk.state.version == 2  # one line of the same code and charge: it is ours


async def test_another_payer_found_first_afterwards_is_billed_first(desk: Desk) -> None:
    await desk.load({"payer": "sample-mutual", "priority": 3, "member_id": "NOBODY1"})
    await desk.post(1, PAID, *CUTS)
    await desk.goes_out()
    await desk.post(2, 100, ("OA", "23", 5383), ("CO", "45", 317), ("PR", "3", 200), status="2")
    assert (desk.state.stage, desk.state.version) == (Stage.READY, 3)  # the third payer's turn
    version = await desk.version(3)
    assert [item.paid for item in version.prior] == [PAID, 100]
    assert version.payer_sequence == 3
    await desk.goes_out()
    await desk.post(3, 0, ("OA", "23", 5800), ("PR", "3", 200), status="3")
    assert desk.state.stage is Stage.PATIENT_BALANCE
    # It turns out that the third should have been the first.
    medicare = {"payer": "medicare-part-b", "member_id": "1SS0SS0SS01"}
    mutual = {"payer": "sample-mutual", "member_id": "NOBODY1"}
    before, since = {"to": "2026-01-31"}, {"from": "2026-02-01"}
    await desk.load(
        {**medicare, "priority": 1, **before},
        {"priority": 2, **before},
        {**mutual, "priority": 3, **before},
        {**mutual, "priority": 1, **since},
        {**medicare, "priority": 2, **since},
        {"priority": 3, **since},
    )
    now = await desk.house.clock.now()
    await desk.house.happens(desk.claim, events.FactLearned(at=now, fact="coverage"))
    assert desk.state.hold is not None
    assert desk.state.hold.code == "PAYER_ORDER"


async def test_a_beneficiary_known_from_the_answer_owes_nothing_though_the_835_says_so(
    desk: Desk,
) -> None:
    version = await desk.version(1)
    answer = version.parties.answer
    assert answer is not None
    known = answer.model_copy(update={"qualified_medicare_beneficiary": True})
    parties = version.parties.model_copy(update={"answer": known})
    made = version.model_copy(update={"parties": parties})
    async with desk.house.quietly() as tx:
        await tx.execute(
            update(claim_version)
            .filter_by(claim_number=desk.claim, version=1)
            .values(document=tx.seal(claim_version, made))
        )
    await desk.primary_pays()
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (617, 0)
    assert (desk.state.stage, desk.state.payer) == (Stage.READY, 2)
    await desk.goes_out()
    await desk.post(2, 0, ("OA", "23", 5383), ("CO", "45", 617), status="2")
    assert desk.state.stage is Stage.CLOSED
    assert (await desk.balance()).patient_open == 0


async def test_what_the_patient_paid_too_much_goes_back_by_a_day(desk: Desk) -> None:
    async with desk.house.quietly() as tx:
        now = await desk.house.clock.now()
        await ledger.book_patient_payment(tx, desk.claim, Cents(700), "desk", now)
    await desk.primary_pays()
    await desk.goes_out()
    await desk.post(2, 617, ("OA", "23", 5383), status="2")
    assert desk.state.hold is not None
    assert desk.state.hold.code == "REFUND_DUE"
    async with desk.house.database.reading() as reading:
        found = await claims.read_findings(reading, desk.claim, "settle_balance")
    # Known on the 3rd of February 2026 in Austin: 30 days later is the 5th of March.
    assert "7.00 too much: it goes back by 2026-03-05" in found[0].sentence
    assert found[0].source is not None
    assert "1661.005" in found[0].source.citation


async def test_what_the_next_payer_denies_is_not_the_patients_before_a_person_has_looked(
    desk: Desk,
) -> None:
    await desk.primary_pays()
    await desk.goes_out()
    await desk.post(2, 0, ("OA", "23", 5383), ("CO", "197", 617), status="4")
    assert desk.state.stage is Stage.CORRECTION
    assert desk.state.hold is not None
    async with desk.house.database.reading() as reading:
        patient_id = desk.house.database.keyring.patient_id("P01")
        (line,) = await patient_account.account(reading, patient_id)
    assert not line.settled


async def test_a_next_payers_denial_that_is_written_off_leaves_the_patient_nothing(
    desk: Desk,
) -> None:
    """Medicare left 6.17; Medicaid denies it under CO: what CO takes off is nobody's to pay."""
    await desk.primary_pays()
    await desk.goes_out()
    await desk.post(2, 0, ("OA", "23", 5383), ("CO", "197", 617), status="4", cause="CO-197")
    await choose(desk.house, desk.claim, "write_off")
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (0, 0)
    await announced(desk.house, desk.claim)
    assert desk.state.stage is Stage.CLOSED


# --- what reaches the patient after two payers


async def test_what_the_second_payer_takes_off_is_nobodys_and_its_share_the_patients(
    desk: Desk,
) -> None:
    """Medicare left 6.17. Medicaid pays 1.00 of it, takes 3.17 off under CO and leaves 2.00:
    60.00 = 24.19 + 0.49 + 29.15 of Medicare, 1.00 + 3.17 of Medicaid, 2.00 of the patient."""
    await desk.primary_pays()
    await desk.goes_out()
    cuts = (("OA", "23", 5383), ("CO", "45", 317), ("PR", "3", 200))
    await desk.post(2, 100, *cuts, status="2")
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (0, 200)
    assert desk.state.stage is Stage.PATIENT_BALANCE


@pytest.mark.parametrize("group", ["CO", "OA", "PI", "CR"])
async def test_no_group_but_pr_of_a_second_payer_reaches_the_patient(
    desk: Desk, group: str
) -> None:
    """Medicaid pays 1.00 and takes the other 5.17 off under this group."""
    await desk.primary_pays()
    await desk.goes_out()
    await desk.post(2, 100, ("OA", "23", 5383), (group, "45", 517), status="2")
    left = await desk.balance()
    assert left.patient_open == 0


async def test_a_second_payers_denial_under_pr_may_be_asked_of_the_patient(desk: Desk) -> None:
    """Medicaid does not cover it: the 6.17 that Medicare left are the patient's, once."""
    await desk.primary_pays()
    await desk.goes_out()
    await desk.post(2, 0, ("OA", "23", 5383), ("PR", "204", 617), status="4", cause="PR-204")
    await choose(desk.house, desk.claim, "bill_patient")
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (0, 617)


async def test_a_second_payers_denial_under_co_is_never_asked_of_the_patient(desk: Desk) -> None:
    await desk.primary_pays()
    await desk.goes_out()
    await desk.post(2, 0, ("OA", "23", 5383), ("CO", "197", 617), status="4", cause="CO-197")
    with pytest.raises(ApplicationError, match="only what carries group code PR"):
        await choose(desk.house, desk.claim, "bill_patient")


@pytest.mark.parametrize("remark", ["N781", "N782", "N783"])
async def test_a_beneficiarys_share_is_not_the_patients_when_medicaid_denies_it(
    desk: Desk, remark: str
) -> None:
    """What Medicare says may not be collected is not theirs, whoever denies it afterwards."""
    await desk.primary_pays(remarks=(remark,))
    await desk.goes_out()
    await desk.post(2, 0, ("OA", "23", 5383), ("PR", "204", 617), status="4", cause="PR-204")
    given = steps.DenialChoice(
        claim_number=desk.claim, denial=1, choice="bill_patient", by="R. Lee", reason="x",
        request="r1",
    )  # fmt: skip
    recorded = await desk.house.perform(steps.RECORD_DENIAL_CHOICE, given)
    assert "may not be collected" in (recorded.refused or "")
    assert (await desk.balance()).patient_open == 0
    await choose(desk.house, desk.claim, "write_off")
    left = await desk.balance()
    assert (left.payer_open, left.patient_open) == (0, 0)
    await announced(desk.house, desk.claim)
    assert desk.state.stage is Stage.CLOSED
    assert (await desk.balance()).patient_open == 0


@pytest.mark.parametrize("remark", ["N781", "N782", "N783"])
async def test_a_beneficiary_whom_medicaid_leaves_a_share_owes_nothing(
    desk: Desk, remark: str
) -> None:
    """Medicaid pays 1.00, takes 3.17 off and says PR-3 2.00, with the same remark."""
    await desk.primary_pays(remarks=(remark,))
    await desk.goes_out()
    cuts = (("OA", "23", 5383), ("CO", "45", 317), ("PR", "3", 200))
    await desk.post(2, 100, *cuts, status="2", remarks=(remark,))
    assert (await desk.balance()).patient_open == 0
