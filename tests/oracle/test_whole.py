"""The judge on the whole practice: what the small one does not have, one fault at a time."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from .intake import read_intake
from .made_world import IDENTITY_KEY, WHOLE, LoggedFile, World, make_world
from .test_judge import (
    alone,
    broken,
    claim,
    drop,
    money,
    moves,
    payment_file,
    rewrite,
    rewrite_claim,
    send,
    sent,
    standing,
    verdict_on,
)
from .wire import LogEntry, authorization_reviews, eligibility_inquiries, payments


def logged(world: World, name: str) -> LoggedFile:
    return next(f for f in world.files if f.name == name)


def paid_by(world: World, remittance_id: str) -> LoggedFile:
    return logged(world, f"835-{remittance_id}-0")


def in_claim(file: LoggedFile, control_number: str, old: str, new: str, nth: int = 0) -> None:
    """Change the first segment holding ``old`` behind the nth CLP of a claim."""
    starts = [i for i, s in enumerate(file.segments) if s.startswith(f"CLP*{control_number}*")]
    index = next(i for i, s in enumerate(file.segments) if i >= starts[nth] and old in s)
    file.segments[index] = file.segments[index].replace(old, new)


# --- reversals and corrections -----------------------------------------------------------------


def reversal_not_posted(world: World) -> None:
    """The reversal of S2/P20 is recorded, and none of its money moves."""
    for row in moves(world, "S2/P20", remittance_id="SIMPLC-2026-04-20"):
        if row["debit"] == "payer_receivable" and row["kind"] != "underpayment":
            drop(world, "transfer", row)


def reversal_taken_for_a_denial(world: World) -> None:
    """S1/P04 goes out again as a replacement after the reversal."""
    file = sent(world, "S1/P04")
    number = claim(world, "S1/P04")
    segments = [
        s.replace(f"{number}A", f"{number}B").replace("B:1*", "B:7*")
        for s in alone(world, "S1/P04")
    ]
    index = next(i for i, s in enumerate(segments) if s.startswith("CLM*"))
    segments.insert(index + 1, f"REF*F8*ICN{number}A")
    send(world, segments, file, timedelta(days=70), "accepted")


def reversed_payment_written_off(world: World) -> None:
    number = claim(world, "S1/P04")
    world.transfer("contractual", "payer_receivable", 6000, number, "SIMTXM-2026-04-13", "CO-45")


def payer_never_reversed(world: World) -> None:
    """The 835 corrects S2/P20 without reversing it; the books say that it did both."""
    file, number = paid_by(world, "SIMPLC-2026-04-20"), claim(world, "S2/P20")
    start = next(i for i, s in enumerate(file.segments) if s.startswith(f"CLP*{number}A*22*"))
    del file.segments[start : start + 4]
    rewrite(file, "BPR*I*35.30", "BPR*I*59.30")


def payer_never_corrected(world: World) -> None:
    file, number = paid_by(world, "SIMPLC-2026-04-20"), claim(world, "S2/P20")
    start = next(i for i, s in enumerate(file.segments) if f"*ICN{number}AR*" in s)
    del file.segments[start : start + 4]
    rewrite(file, "BPR*I*35.30", "BPR*I*17.30")


def closed_though_reversed(world: World) -> None:
    standing(world, "S1/P04")["stage"] = "closed"


def remittance_of_the_reversal_forgotten(world: World) -> None:
    row = world.rows("remittance_claim", claim_number=claim(world, "S1/P04"), status="22")[0]
    drop(world, "remittance_claim", row)


def allowed_not_taken_back(world: World) -> None:
    money(world, "S1/P04")["allowed_cents"] = 2520


# --- provider-level adjustments ----------------------------------------------------------------


def takeback_not_recorded(world: World) -> None:
    for row in world.rows("provider_adjustment", remittance_id="SIMMCO-2026-04-20"):
        drop(world, "provider_adjustment", row)


def takeback_with_the_wrong_sign(world: World) -> None:
    for row in world.rows("provider_adjustment", remittance_id="SIMMCO-2026-04-20"):
        row["cents"] = -row["cents"]


def takeback_off_the_claim_paid(world: World) -> None:
    """S12/P53 is credited with what arrived, not with what was paid on it."""
    payment = moves(world, "S12/P53", debit="clearing")[0]
    payment["cents"] -= 1500
    taken = world.rows("transfer", remittance_id="SIMMCO-2026-04-20", debit="unapplied")[0]
    drop(world, "transfer", taken)


def takeback_off_the_claim_it_names(world: World) -> None:
    taken = world.rows("transfer", remittance_id="SIMMCO-2026-04-20", debit="unapplied")[0]
    taken["claim_number"] = claim(world, "S5/P27")


def takeback_written_off(world: World) -> None:
    taken = world.rows("transfer", remittance_id="SIMMCO-2026-04-20", debit="unapplied")[0]
    taken["debit"] = "write_off"


def takeback_never_came(world: World) -> None:
    file = paid_by(world, "SIMMCO-2026-04-22")
    file.segments = [s for s in file.segments if not s.startswith("PLB")]
    rewrite(file, "BPR*I*15", "BPR*I*24")


# --- suspense ----------------------------------------------------------------------------------


def unbalanced_payment_posted(world: World) -> None:
    row = world.rows("remittance", id="SIMVAM-2026-04-08")[0]
    row.update(state="posted", difference_cents=0)


def part_of_a_suspended_payment_posted(world: World) -> None:
    number = claim(world, "S11/P40")
    world.transfer("clearing", "payer_receivable", 2600, number, "SIMVAM-2026-04-08", "payment")


def suspended_payment_lost(world: World) -> None:
    drop(world, "remittance", world.rows("remittance", id="SIMVAM-2026-04-08")[0])
    for table in ("remittance_claim", "remittance_line", "remittance_adjustment"):
        for row in world.rows(table, remittance_id="SIMVAM-2026-04-08"):
            drop(world, table, row)


def suspended_payment_shown_as_paid(world: World) -> None:
    money(world, "S11/P40")["paid_cents"] = 2600


def payment_balanced_after_all(world: World) -> None:
    """The payer's slip did not happen; the product says that it did."""
    rewrite(paid_by(world, "SIMVAM-2026-04-08"), "BPR*I*78.01", "BPR*I*78")
    world.rows("remittance", id="SIMVAM-2026-04-08")[0]["paid_cents"] = 7800


# --- a patient who may not be asked ------------------------------------------------------------


def protected_share_to_the_patient(world: World) -> None:
    moves(world, "S5/P25", debit="other_adjustment")[0]["debit"] = "patient_receivable"


def protected_share_as_patient_responsibility(world: World) -> None:
    """The payer says PR with N782 instead of OA-209, and the product bills it."""
    number = claim(world, "S5/P25")
    in_claim(payment_file(world, "S5/P25"), f"{number}A", "CAS*OA*209", "CAS*PR*2")
    row = world.rows("remittance_adjustment", reason_code="209")[0]
    row.update(group_code="PR", reason_code="2")
    protected_share_to_the_patient(world)


def protected_patient_shown_a_balance(world: World) -> None:
    money(world, "S5/P25")["patient_open_cents"] = 617


def other_adjustment_without_ground(world: World) -> None:
    """What a patient left open is cleared as if the payer had said so."""
    number = claim(world, "S6/P60")
    world.transfer("other_adjustment", "patient_receivable", 1500, number, None, "courtesy")


# --- authorization by 278 ----------------------------------------------------------------------


def granted_number_left_off(world: World) -> None:
    rewrite_claim(world, "S5/P33", "REF*G1*", "REF*X9*")


def number_of_another(world: World) -> None:
    rewrite_claim(world, "S5/P33", "REF*G1*MCOAUTH0033", "REF*G1*SMAAUTH0032")


def sent_before_the_grant(world: World) -> None:
    logged(world, "278-S5/P32-A1").at += timedelta(days=10)


def sent_while_pended(world: World) -> None:
    """No grant is ever heard."""
    world.files.remove(logged(world, "278-S5/P32-A1"))


def never_asked_for_authorization(world: World) -> None:
    world.files.remove(logged(world, "278-S8/P34"))


def grant_about_somebody_else(world: World) -> None:
    file = logged(world, "278-S5/P33-A1")
    rewrite(file, "NOTATHING*PHANTASIA", "SOMEBODY*ELSE")
    rewrite(file, "MCO500000033", "MCO500000999")


def exhausted_authorization_used(world: World) -> None:
    """S6/P35 is sent with the number that has no unit left."""
    like = sent(world, "S6/P60")
    old, new = claim(world, "S6/P60"), claim(world, "S6/P35")
    segments = [s.replace(old, new) for s in alone(world, "S6/P60")]
    for former, later in (
        ("BALANCER*OPENWIN", "TABULARASA*BLANKINA"),
        ("PLC900000160", "SMU700000035"),
        ("19731101*M", "19761112*F"),
        ("PLACEBO HEALTH PLAN*****PI*SIMPLC", "SAMPLE MUTUAL INSURANCE*****PI*SIMSMU"),
    ):
        segments = [s.replace(former, later) for s in segments]
    index = next(i for i, s in enumerate(segments) if s.startswith("CLM*"))
    segments.insert(index + 1, "REF*G1*SMUAUTH0035")
    send(world, segments, like, timedelta(hours=1), "accepted")


# --- carve-out, Medicare Advantage -------------------------------------------------------------


def billed_to_the_payer_on_file(world: World) -> None:
    start = f"CLM*{claim(world, 'S6/P36')}A*"
    file = sent(world, "S6/P36")
    index = next(i for i, s in enumerate(file.segments) if s.startswith(start))
    file.segments[index - 1] = file.segments[index - 1].replace("SIMFBH", "SIMSMU")


def member_id_of_the_payer_on_file(world: World) -> None:
    rewrite(sent(world, "S6/P36"), "FBH600000036", "SMU700000036")


def advantage_member_billed_to_medicare(world: World) -> None:
    file = sent(world, "S5/P26")
    rewrite(file, "*MI*SMA300000026", "*MI*1SS0SS0SS26")
    index = next(
        i for i, s in enumerate(file.segments) if s.startswith(f"CLM*{claim(world, 'S5/P26')}")
    )
    file.segments[index - 1] = file.segments[index - 1].replace("SIMMAP", "SIMMB")


def administrator_never_asked(world: World) -> None:
    world.files.remove(logged(world, "270-S6/P36-SIMFBH"))


def administrator_asked_too_late(world: World) -> None:
    logged(world, "270-S6/P36-SIMFBH").at += timedelta(days=30)


# --- taking part from elsewhere ----------------------------------------------------------------


def remote_part_billed_as_in_the_room(world: World) -> None:
    rewrite_claim(world, "S8/P02", "***10:B:", "***11:B:")


def room_billed_as_remote(world: World) -> None:
    rewrite_claim(world, "S8/P01", "***11:B:", "***10:B:")


def video_modifier_for_medicare(world: World) -> None:
    rewrite_claim(world, "S8/P02", "HC:90853*", "HC:90853:95*")


def telephone_billed_as_video(world: World) -> None:
    rewrite_claim(world, "S8/P46", "HC:90853:93", "HC:90853:95")


def telephone_modifier_left_off(world: World) -> None:
    rewrite_claim(world, "S8/P46", "HC:90853:93", "HC:90853")


def modifier_for_somebody_in_the_room(world: World) -> None:
    rewrite_claim(world, "S8/P39", "HC:90853*", "HC:90853:95*")


# --- supervised clinician, individual therapy the same day -------------------------------------


def associate_billed_as_rendering(world: World) -> None:
    npi = next(
        c["npi"]
        for c in json.loads((WHOLE / "practice.json").read_text())["clinicians"]
        if c["ref"] == "C3"
    )
    rewrite_claim(world, "S7/P09", "XX*1999900214", f"XX*{npi}")


def individual_line_left_off(world: World) -> None:
    file = sent(world, "S6/P38")
    index = next(i for i, s in enumerate(file.segments) if "HC:90834:59" in s)
    del file.segments[index - 1 : index + 2]


def modifier_on_the_group_line(world: World) -> None:
    rewrite_claim(world, "S6/P38", "HC:90853*", "HC:90853:59*")
    rewrite_claim(world, "S6/P38", "HC:90834:59*", "HC:90834*")


def overlapping_line_billed(world: World) -> None:
    file = sent(world, "S8/P39")
    start = next(i for i, s in enumerate(file.segments) if claim(world, "S8/P39") in s)
    end = next(i for i, s in enumerate(file.segments) if i > start and s.startswith("DTP*472"))
    line = ["LX*2", "SV1*HC:90834:59*140*UN*1***1", "DTP*472*D8*20260305"]
    file.segments[end + 1 : end + 1] = line


# --- attendance corrected, notes held, roster amended ------------------------------------------


def absence_found_and_forgotten(world: World) -> None:
    standing(world, "S6/P57").update(reason=None, stage="closed")


def absence_makes_it_not_billable(world: World) -> None:
    standing(world, "S6/P57").update(standing="not_billable", reason="NO_SHOW")


def sent_after_the_correction(world: World) -> None:
    file, segments = sent(world, "S6/P57"), alone(world, "S6/P57")
    mine = next(i for i, s in enumerate(file.segments) if "WASNTHERE" in s)
    start = max(i for i in range(mine) if file.segments[i].startswith("HL*1*"))
    del file.segments[start : start + len(segments)]
    send(world, segments, file, timedelta(days=25), "accepted")


def absence_reversed_in_the_books(world: World) -> None:
    number = claim(world, "S6/P57")
    world.transfer("payer_receivable", "unapplied", 2400, number, None, "refund_due")


def clone_billed(world: World) -> None:
    like = sent(world, "S7/P44")
    old, new = claim(world, "S7/P44"), claim(world, "S7/P41")
    segments = [s.replace(old, new) for s in alone(world, "S7/P44")]
    for former, later in (
        ("LETTERGAP*QUILLON", "TWINLETTER*COPIA"),
        ("1SS0SS0SS44", "1SS0SS0SS41"),
        ("19550330*M", "19560704*F"),
        ("F411", "F4010"),
    ):
        segments = [s.replace(former, later) for s in segments]
    send(world, segments, like, timedelta(hours=1), "accepted")
    standing(world, "S7/P41").update(standing="billed", reason=None, stage="accepted")


def added_participant_missing(world: World) -> None:
    drop(world, "participant_standing", standing(world, "S6/P37"))


FAULTS: list[tuple[Callable[[World], None], set[str]]] = [
    (reversal_not_posted, {"I4", "EXPECTED"}),
    (reversal_taken_for_a_denial, {"I1", "EXPECTED"}),
    (reversed_payment_written_off, {"I4", "EXPECTED"}),
    (payer_never_reversed, {"I3", "I4", "I10", "EXPECTED"}),
    (payer_never_corrected, {"I3", "I4", "I10", "EXPECTED"}),
    (closed_though_reversed, {"I4", "EXPECTED"}),
    (remittance_of_the_reversal_forgotten, {"I3", "EXPECTED"}),
    (allowed_not_taken_back, {"EXPECTED"}),
    (takeback_not_recorded, {"I3"}),
    (takeback_with_the_wrong_sign, {"I3"}),
    (takeback_off_the_claim_paid, {"I4", "EXPECTED"}),
    (takeback_off_the_claim_it_names, {"I4", "EXPECTED"}),
    (takeback_written_off, {"I4"}),
    (takeback_never_came, {"I3", "I4", "EXPECTED"}),
    (unbalanced_payment_posted, {"I3", "EXPECTED"}),
    (part_of_a_suspended_payment_posted, {"I3", "I4", "EXPECTED"}),
    (suspended_payment_lost, {"I3"}),
    (suspended_payment_shown_as_paid, {"I4", "EXPECTED"}),
    (payment_balanced_after_all, {"I3", "I4", "EXPECTED"}),
    (protected_share_to_the_patient, {"I4", "I10", "EXPECTED"}),
    (protected_share_as_patient_responsibility, {"I4", "I10", "EXPECTED"}),
    (protected_patient_shown_a_balance, {"I4", "EXPECTED"}),
    (other_adjustment_without_ground, {"I4", "I10", "EXPECTED"}),
    (granted_number_left_off, {"I2"}),
    (number_of_another, {"I2"}),
    (sent_before_the_grant, {"I2"}),
    (sent_while_pended, {"I2", "EXPECTED"}),
    (never_asked_for_authorization, {"EXPECTED"}),
    (grant_about_somebody_else, {"I2", "EXPECTED"}),
    (exhausted_authorization_used, {"I2", "I4", "EXPECTED"}),
    (billed_to_the_payer_on_file, {"I2"}),
    (member_id_of_the_payer_on_file, {"I2"}),
    (advantage_member_billed_to_medicare, {"I2"}),
    (administrator_never_asked, {"EXPECTED"}),
    (administrator_asked_too_late, {"EXPECTED"}),
    (remote_part_billed_as_in_the_room, {"I2", "EXPECTED"}),
    (room_billed_as_remote, {"I2", "EXPECTED"}),
    (video_modifier_for_medicare, {"I2", "EXPECTED"}),
    (telephone_billed_as_video, {"I2", "EXPECTED"}),
    (telephone_modifier_left_off, {"EXPECTED"}),
    (modifier_for_somebody_in_the_room, {"I2", "EXPECTED"}),
    (associate_billed_as_rendering, {"I2"}),
    (individual_line_left_off, {"I2", "EXPECTED"}),
    (modifier_on_the_group_line, {"EXPECTED"}),
    (overlapping_line_billed, {"I2", "EXPECTED"}),
    (absence_found_and_forgotten, {"I2", "EXPECTED"}),
    (absence_makes_it_not_billable, {"I2", "EXPECTED"}),
    (sent_after_the_correction, {"I2"}),
    (absence_reversed_in_the_books, {"I4", "EXPECTED"}),
    (clone_billed, {"I4", "I6", "EXPECTED"}),
    (added_participant_missing, {"I2", "I4", "EXPECTED"}),
]


@pytest.fixture(scope="module")
def whole() -> World:
    return make_world(WHOLE)


def test_a_faultless_run_holds(whole: World, tmp_path: Path) -> None:
    assert verdict_on(whole, tmp_path, WHOLE)["disagreements"] == []


@pytest.mark.parametrize(("fault", "turned"), FAULTS, ids=lambda p: getattr(p, "__name__", ""))
def test_a_fault_turns_its_invariants(
    whole: World, tmp_path: Path, fault: Callable[[World], None], turned: set[str]
) -> None:
    world = copy.deepcopy(whole)
    fault(world)
    verdict = verdict_on(world, tmp_path, WHOLE)
    assert broken(verdict) == turned, verdict["disagreements"]


# --- what is no fault --------------------------------------------------------------------------


def announcement_left_in_clearing(world: World) -> None:
    """What a PLB changes may stand in clearing; so it was for the small practice."""
    for day in ("2026-03-20", "2026-04-20", "2026-04-22"):
        for row in world.rows("transfer", remittance_id=f"SIMMCO-{day}"):
            if "unapplied" in (row["debit"], row["credit"]):
                drop(world, "transfer", row)


def reversal_states_its_allowed_amount_unsigned(world: World) -> None:
    number = claim(world, "S1/P04")
    file = paid_by(world, "SIMTXM-2026-04-13")
    in_claim(file, f"{number}A", "AMT*B6*-25.20", "AMT*B6*25.20")
    row = world.rows("remittance_line", remittance_id="SIMTXM-2026-04-13", allowed_cents=-2520)
    row[0]["allowed_cents"] = 2520


def asked_again_while_pended(world: World) -> None:
    pended = logged(world, "278-S5/P32-A4")
    world.files.append(replace(pended, name="278-again", at=pended.at + timedelta(hours=24)))


def nothing_allowed_yet(world: World) -> None:
    money(world, "S11/P40")["allowed_cents"] = None


@pytest.mark.parametrize(
    "change",
    [
        announcement_left_in_clearing,
        reversal_states_its_allowed_amount_unsigned,
        asked_again_while_pended,
        nothing_allowed_yet,
    ],
)
def test_what_is_no_fault_holds(
    whole: World, tmp_path: Path, change: Callable[[World], None]
) -> None:
    world = copy.deepcopy(whole)
    change(world)
    assert verdict_on(world, tmp_path, WHOLE)["disagreements"] == []


def test_an_authorization_is_on_no_more_claims_than_it_has_units(
    whole: World, tmp_path: Path
) -> None:
    """SMUAUTH0022 is on two claims: two units left are enough, one is not."""
    samples = tmp_path / "samples"
    shutil.copytree(WHOLE, samples)
    practice = json.loads((samples / "practice.json").read_text())
    authorization = next(a for a in practice["authorizations"] if a["patient"] == "P22")
    for used, said in ((10, []), (11, ["at most 1"])):
        authorization["used"] = used
        (samples / "practice.json").write_text(json.dumps(practice))
        found = verdict_on(whole, tmp_path, samples)["disagreements"]
        assert [d["expected"] for d in found] == said


def test_a_room_that_shrinks_to_one_is_no_group_from_then_on(whole: World, tmp_path: Path) -> None:
    """A claim received after the correction needs two people in the room, one before did not."""
    samples = tmp_path / "samples"
    shutil.copytree(WHOLE, samples)
    outside = json.loads((samples / "outside.json").read_text())
    corrected = [e for e in outside["events"] if e["kind"] == "attendance" and e["session"] == "S6"]
    for participant in corrected[-1]["participants"]:
        if participant["patient"] != "P60":
            participant.update(status="no_show", minutes=0)
    (samples / "outside.json").write_text(json.dumps(outside))
    said = verdict_on(whole, tmp_path, samples)["disagreements"]
    about = [d for d in said if d["row"].startswith("S6/P60 ")]
    assert about == []
    world = copy.deepcopy(whole)
    sent(world, "S6/P60").at += timedelta(days=30)
    said = verdict_on(world, tmp_path, samples)["disagreements"]
    assert any("a second person in the room" in d["expected"] for d in said)


# --- the readers -------------------------------------------------------------------------------


def entry(file: LoggedFile) -> LogEntry:
    return LogEntry(1, file.at, file.direction, file.channel, file.name, file.outcome, file.body(1))


def test_an_inquiry_names_payer_and_person(whole: World) -> None:
    found = eligibility_inquiries(entry(logged(whole, "270-S6/P36-SIMFBH")))
    assert [(i.payer_id, i.last_name, i.member_id) for i in found] == [
        ("SIMFBH", "CARVINGTON", "FBH600000036")
    ]


def test_a_278_is_read_both_ways(whole: World) -> None:
    asked = authorization_reviews(entry(logged(whole, "278-S5/P33")))
    told = authorization_reviews(entry(logged(whole, "278-S5/P33-A1")))
    assert [(i.last_name, i.decision, i.number) for i in asked] == [("NOTATHING", "", "")]
    assert [(i.member_id, i.decision, i.number) for i in told] == [
        ("MCO500000033", "A1", "MCOAUTH0033")
    ]


def test_a_reversal_is_no_denial_and_takes_everything_back(whole: World) -> None:
    (payment,) = payments(entry(paid_by(whole, "SIMTXM-2026-04-13")))
    (back,) = (c for c in payment.claims if c.is_reversal)
    assert not back.is_denial()
    assert (back.paid_cents, back.allowed_cents(), back.group_cents("CO")) == (-2520, -2520, -3480)


def test_allowed_counts_a_share_nobody_may_collect(whole: World) -> None:
    (payment,) = payments(entry(payment_file(whole, "S5/P25")))
    paid = next(c for c in payment.claims if c.group_cents("OA"))
    for line in paid.lines:
        line.allowed_cents = None
    assert paid.allowed_cents() == 3085


def test_the_sample_is_as_large_as_agreed() -> None:
    intake = read_intake(WHOLE, IDENTITY_KEY)
    sizes: dict[str, Any] = {
        "rows": len(intake.roster),
        "sessions": len({row.session for row in intake.roster}),
        "patients": len({row.patient for row in intake.roster}),
        "attended": sum(row.seen[0].status == "attended" for row in intake.roster),
    }
    assert sizes == {"rows": 102, "sessions": 12, "patients": 60, "attended": 94}
