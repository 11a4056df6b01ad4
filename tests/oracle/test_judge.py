"""The judge judged: a faultless run holds, and each single fault turns the right invariant."""

from __future__ import annotations

import ast
import base64
import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from .books import read_books
from .judge import INVARIANTS, Case, Verdict, _check_succession, judge, main
from .made_world import IDENTITY_KEY, SAMPLES, LoggedFile, World, make_world
from .wire import LogEntry, Rejection, WireError, payments, rejections, submitted_claims

ALL = set(INVARIANTS)


def verdict_on(world: World, folder: Path, samples: Path = SAMPLES) -> Verdict:
    database, log = world.write(folder)
    return judge(str(database), log, samples, IDENTITY_KEY)


def broken(verdict: Verdict) -> set[str]:
    return {name for name, holds in verdict["invariants"].items() if not holds}


# --- how to break things -----------------------------------------------------------------------


def claim(world: World, row: str) -> str:
    return world.claim_numbers[row]


def standing(world: World, row: str) -> dict[str, Any]:
    return world.rows("participant_standing", claim_number=claim(world, row))[0]


def money(world: World, row: str) -> dict[str, Any]:
    return world.rows("claim_money", claim_number=claim(world, row))[0]


def sent(world: World, row: str, version: str = "A") -> LoggedFile:
    return world.claim_files(claim(world, row) + version)[0]


def rewrite(file: LoggedFile, old: str, new: str, after: str = "") -> None:
    """Change the first segment holding ``old``, behind the first that holds ``after``."""
    start = next(i for i, s in enumerate(file.segments) if after in s)
    index = next(i for i, s in enumerate(file.segments) if i >= start and old in s)
    file.segments[index] = file.segments[index].replace(old, new)


def rewrite_claim(world: World, row: str, old: str, new: str, version: str = "A") -> None:
    rewrite(sent(world, row, version), old, new, after=f"CLM*{claim(world, row)}{version}*")


def alone(world: World, row: str, version: str = "A") -> list[str]:
    """The segments of one claim only, from HL*22 to its service date."""
    segments = sent(world, row, version).segments
    clm = next(i for i, s in enumerate(segments) if s.startswith(f"CLM*{claim(world, row)}"))
    first = max(i for i, s in enumerate(segments) if i < clm and s.startswith("HL*1*"))
    last = next(i for i, s in enumerate(segments) if i > clm and s.startswith("DTP*472"))
    return segments[first : last + 1]


def send(
    world: World, segments: list[str], like: LoggedFile, later: timedelta, outcome: str
) -> None:
    file = replace(like, name="another", segments=segments, outcome=outcome, at=like.at + later)
    world.files.append(file)


def payment_file(world: World, row: str, version: str = "A") -> LoggedFile:
    start = f"CLP*{claim(world, row)}{version}*"
    return next(f for f in world.files if any(s.startswith(start) for s in f.segments))


def remittance(world: World, row: str) -> dict[str, Any]:
    part = world.rows("remittance_claim", claim_number=claim(world, row))[-1]
    return world.rows("remittance", id=part["remittance_id"])[0]


def moves(world: World, row: str, **wanted: object) -> list[dict[str, Any]]:
    return world.rows("transfer", claim_number=claim(world, row), **wanted)


def drop(world: World, table: str, row: dict[str, Any]) -> None:
    world.tables[table].remove(row)


def no_show_segments(world: World) -> list[str]:
    """A claim for S1/P08, who was not there."""
    other = alone(world, "S4/P08")
    other = [s.replace(claim(world, "S4/P08"), claim(world, "S1/P08")) for s in other]
    return [s.replace("20260212", "20260203") for s in other]


# --- the faults --------------------------------------------------------------------------------


def sent_twice(world: World) -> None:
    file = sent(world, "S1/P01")
    send(world, list(file.segments), file, timedelta(hours=1), "accepted")


def sent_twice_answer_lost(world: World) -> None:
    file = sent(world, "S1/P01")
    file.outcome = "accepted_answer_lost"
    send(world, list(file.segments), file, timedelta(hours=1), "accepted")


def new_version_without_cause(world: World) -> None:
    for file in world.files:
        if file.code == "277":
            file.segments = [
                s.replace("A7:164*20260204*U", "A2:20*20260204*WQ") for s in file.segments
            ]


def new_version_before_the_rejection(world: World) -> None:
    sent(world, "S1/P05", "B").at = sent(world, "S1/P05").at + timedelta(hours=1)


def replacement_after_rejection(world: World) -> None:
    rewrite_claim(world, "S1/P05", "B:1*", "B:7*", "B")


def original_after_denial(world: World) -> None:
    rewrite_claim(world, "S2/P18", "B:7*", "B:1*", "B")


def wrong_payer_claim_number(world: World) -> None:
    rewrite_claim(world, "S2/P18", "REF*F8*ICN", "REF*F8*XCN", "B")


def version_left_out(world: World) -> None:
    number = claim(world, "S1/P05")
    for file in world.files:
        file.segments = [s.replace(f"{number}B", f"{number}C") for s in file.segments]
    for row in world.rows("remittance_claim", control_number=f"{number}B"):
        row["control_number"] = f"{number}C"


def first_version_as_replacement(world: World) -> None:
    rewrite_claim(world, "S1/P01", "B:1*", "B:7*")


def standing_missing(world: World) -> None:
    drop(world, "participant_standing", standing(world, "S2/P21"))


def standing_doubled(world: World) -> None:
    world.tables["participant_standing"].append(
        standing(world, "S2/P21") | {"claim_number": "G99999X"}
    )


def standing_of_a_stranger(world: World) -> None:
    stranger = standing(world, "S2/P21") | {"claim_number": "G99999X", "patient_id": "pstranger"}
    world.tables["participant_standing"].append(stranger)


def two_people_one_claim(world: World) -> None:
    standing(world, "S2/P21")["claim_number"] = claim(world, "S2/P20")


def no_show_billed(world: World) -> None:
    like = sent(world, "S4/P08")
    send(world, no_show_segments(world), like, timedelta(hours=1), "accepted")


def stranger_on_the_wire(world: World) -> None:
    like = sent(world, "S4/P08")
    segments = [s.replace(claim(world, "S1/P08"), "G99999X") for s in no_show_segments(world)]
    send(world, segments, like, timedelta(hours=1), "accepted")


def another_person_on_the_claim(world: World) -> None:
    file = sent(world, "S1/P01")
    rewrite(file, "INVENTED*TESTA", "PLACEHOLDER*FABIAN")


def two_units(world: World) -> None:
    rewrite_claim(world, "S1/P01", "*UN*1*", "*UN*2*")


def service_date_in_utc(world: World) -> None:
    rewrite_claim(world, "S2/P14", "D8*20260205", "D8*20260206")


def wrong_code(world: World) -> None:
    rewrite_claim(world, "S1/P01", "HC:90853", "HC:90834")


def wrong_clinician(world: World) -> None:
    rewrite_claim(world, "S1/P01", "NM1*82*1*X*Y****XX*1999900214", "NM1*82*1*X*Y****XX*1999900321")


def wrong_payer(world: World) -> None:
    rewrite(sent(world, "S1/P01"), "PI*SIMMB", "PI*SIMPLC")


def authorization_left_off(world: World) -> None:
    rewrite_claim(world, "S3/P22", "REF*G1*SMUAUTH0022", "REF*X9*SMUAUTH0022")


def sent_before_the_signature(world: World) -> None:
    sent(world, "S1/P03").at -= timedelta(hours=20)


def sent_without_release(world: World) -> None:
    """S4/P02 is billed although nobody released the room of eleven."""
    like = sent(world, "S4/P01")
    old, new = claim(world, "S4/P01"), claim(world, "S4/P02")
    segments = [s.replace(old, new) for s in alone(world, "S4/P01")]
    segments = [s.replace("INVENTED*TESTA", "PLACEHOLDER*FABIAN") for s in segments]
    segments = [s.replace("1SS0SS0SS01", "1SS0SS0SS02") for s in segments]
    segments = [s.replace("19510412*F", "19480930*M").replace("F331", "F330") for s in segments]
    send(world, segments, like, timedelta(hours=1), "accepted")
    standing(world, "S4/P02")["standing"] = "billed"


def held_though_sent(world: World) -> None:
    standing(world, "S1/P01").update(standing="held", reason="NOTE_UNSIGNED")


def billed_though_never_sent(world: World) -> None:
    standing(world, "S2/P19")["standing"] = "billed"


def billed_though_rejected(world: World) -> None:
    """The second version of S1/P05 never goes out."""
    world.files.remove(sent(world, "S1/P05", "B"))
    world.files.remove(payment_file(world, "S1/P05", "B"))


def held_without_reason(world: World) -> None:
    standing(world, "S2/P19")["reason"] = None


def standing_is_null(world: World) -> None:
    standing(world, "S2/P19")["standing"] = None


def attendance_wrong(world: World) -> None:
    standing(world, "S2/P21")["attendance"] = "no_show"


def posted_twice(world: World) -> None:
    """The doubled 835 becomes a second remittance with all its parts and transfers."""
    first = remittance(world, "S1/P01")
    for table in world.tables:
        column = "id" if table == "remittance" else "remittance_id"
        if table not in ("participant_standing", "claim_money", "finding"):
            for row in [r for r in world.tables[table] if r[column] == first["id"]]:
                twin = row | {column: "twin"}
                if table == "transfer":
                    twin["id"] = 10_000 + row["id"]
                world.tables[table].append(twin)


def remittance_not_posted(world: World) -> None:
    drop(world, "remittance", remittance(world, "S1/P04"))


def adjustment_a_cent_off(world: World) -> None:
    identity = remittance(world, "S1/P04")["id"]
    world.rows("remittance_adjustment", remittance_id=identity)[0]["cents"] += 1


def adjustments_swapped_between_groups(world: World) -> None:
    identity = remittance(world, "S1/P01")["id"]
    for row in world.rows("remittance_adjustment", remittance_id=identity, claim_position=1):
        row["group_code"] = "OA"


def line_missing(world: World) -> None:
    identity = remittance(world, "S1/P04")["id"]
    drop(world, "remittance_line", world.rows("remittance_line", remittance_id=identity)[0])


def provider_adjustment_invented(world: World) -> None:
    identity = remittance(world, "S1/P04")["id"]
    world.tables["provider_adjustment"].append(
        {"remittance_id": identity, "position": 1, "reason_code": "L6", "cents": -100}
    )


def suspended_though_it_balances(world: World) -> None:
    remittance(world, "S1/P04")["state"] = "suspended"


def payment_out_of_balance_posted(world: World) -> None:
    rewrite(payment_file(world, "S1/P04"), "CAS*CO*45*34.80", "CAS*CO*45*34.70")


def payment_of_nobody(world: World) -> None:
    row = remittance(world, "S1/P04")
    world.tables["remittance"].append(row | {"id": "nobody", "trace": "NOBODY"})


def amount_as_text(world: World) -> None:
    row = remittance(world, "S1/P04")
    row["paid_cents"] = str(row["paid_cents"])


def payment_of_another_payer(world: World) -> None:
    remittance(world, "S1/P04")["payer_id"] = "SIMMB"


def part_without_remittance(world: World) -> None:
    row = world.tables["remittance_line"][0]
    world.tables["remittance_line"].append(row | {"remittance_id": "nobody"})


def transfer_of_zero(world: World) -> None:
    row = moves(world, "S1/P01")[0]
    world.tables["transfer"].append(row | {"id": 9_999, "cents": 0})


def transfer_to_itself(world: World) -> None:
    row = moves(world, "S1/P01")[0]
    twin = {"id": 9_999, "debit": "contractual", "credit": "contractual"}
    world.tables["transfer"].append(row | twin)


def unknown_account(world: World) -> None:
    moves(world, "S1/P01", debit="sequestration")[0]["debit"] = "petty_cash"


def transfer_without_amount(world: World) -> None:
    moves(world, "S1/P01", debit="sequestration")[0]["cents"] = None


def charge_posted_twice(world: World) -> None:
    row = moves(world, "S1/P01", credit="charges")[0]
    world.tables["transfer"].append(row | {"id": 9_999})


def charge_of_a_claim_never_sent(world: World) -> None:
    world.transfer("payer_receivable", "charges", 6000, claim(world, "S2/P19"), None, "charge")


def payment_applied_to_another(world: World) -> None:
    row = moves(world, "S1/P01", debit="clearing")[0]
    row["claim_number"] = claim(world, "S1/P02")


def deposit_missing(world: World) -> None:
    identity = remittance(world, "S1/P04")["id"]
    drop(world, "transfer", world.rows("transfer", remittance_id=identity, debit="deposits")[0])


def patient_payment_lost(world: World) -> None:
    drop(world, "transfer", moves(world, "S1/P01", debit="patient_cash")[0])


def denial_written_off(world: World) -> None:
    """CO-197 of the first version goes to contractual for good."""
    number = claim(world, "S2/P18")
    identity = world.rows("remittance_claim", control_number=f"{number}A")[0]["remittance_id"]
    world.transfer("contractual", "payer_receivable", 6000, number, identity, "CO-197")


def underpayment_written_off(world: World) -> None:
    drop(world, "transfer", moves(world, "S3/P20", kind="underpayment")[0])


def stranger_in_the_ledger(world: World) -> None:
    world.transfer("payer_receivable", "charges", 6000, "G99999X", None, "charge")


def contractual_to_the_patient(world: World) -> None:
    number, identity = claim(world, "S1/P04"), remittance(world, "S1/P04")["id"]
    world.transfer("patient_receivable", "contractual", 3480, number, identity, "balance")


def shortfall_to_the_patient(world: World) -> None:
    number, identity = claim(world, "S3/P20"), remittance(world, "S3/P20")["id"]
    world.transfer("patient_receivable", "payer_receivable", 605, number, identity, "balance")


def share_a_cent_too_high(world: World) -> None:
    moves(world, "S1/P01", debit="patient_receivable")[0]["cents"] += 1


def view_bills_more_than_the_share(world: World) -> None:
    money(world, "S1/P04")["patient_cents"] = 1


def reason_forgotten(world: World) -> None:
    standing(world, "S1/P02")["reason"] = None


def stage_wrong(world: World) -> None:
    standing(world, "S1/P02")["stage"] = "closed"


def still_in_progress(world: World) -> None:
    standing(world, "S2/P19").update(standing="in_progress", reason=None, stage="eligibility")


def allowed_wrong_in_the_view(world: World) -> None:
    money(world, "S1/P01")["allowed_cents"] += 1


def finding_missing(world: World) -> None:
    world.tables["finding"].clear()


def needless_modifier(world: World) -> None:
    rewrite_claim(world, "S1/P07", "HC:90853", "HC:90853:59")


def copy_never_came(world: World) -> None:
    doubled = [f for f in world.files if f.name == "835-SIMMB-2026-02-18-1"]
    world.files.remove(doubled[0])


def amounts_as_floats(world: World) -> None:
    for row in world.tables["claim_money"]:
        row["paid_cents"] = float(row["paid_cents"])


FAULTS: list[tuple[Callable[[World], None], set[str]]] = [
    (sent_twice, {"I1"}),
    (sent_twice_answer_lost, {"I1"}),
    (new_version_without_cause, {"I1"}),
    (new_version_before_the_rejection, {"I1"}),
    (replacement_after_rejection, {"I1"}),
    (original_after_denial, {"I1"}),
    (wrong_payer_claim_number, {"I1"}),
    (version_left_out, {"I1", "I3"}),
    (first_version_as_replacement, {"I1"}),
    (standing_missing, {"I2", "EXPECTED"}),
    (standing_doubled, {"I2", "EXPECTED"}),
    (standing_of_a_stranger, {"I2"}),
    (two_people_one_claim, {"I2", "EXPECTED"}),
    (no_show_billed, {"I2", "I4", "EXPECTED"}),
    (stranger_on_the_wire, {"I2"}),
    (another_person_on_the_claim, {"I2"}),
    (two_units, {"I2"}),
    (service_date_in_utc, {"I2"}),
    (wrong_code, {"I2", "EXPECTED"}),
    (wrong_clinician, {"I2"}),
    (wrong_payer, {"I2"}),
    (authorization_left_off, {"I2"}),
    (sent_before_the_signature, {"I2"}),
    (sent_without_release, {"I2", "I4", "I6", "EXPECTED"}),
    (held_though_sent, {"I2", "EXPECTED"}),
    (billed_though_never_sent, {"I2", "EXPECTED"}),
    (billed_though_rejected, ALL - {"I1", "I6"}),
    (held_without_reason, {"I2", "EXPECTED"}),
    (standing_is_null, {"I2", "EXPECTED"}),
    (attendance_wrong, {"I2"}),
    (posted_twice, {"I3", "I4", "I10", "EXPECTED"}),
    (remittance_not_posted, {"I3", "I4", "EXPECTED"}),
    (adjustment_a_cent_off, {"I3"}),
    (adjustments_swapped_between_groups, {"I3"}),
    (line_missing, {"I3"}),
    (provider_adjustment_invented, {"I3"}),
    (suspended_though_it_balances, {"I3", "I4", "EXPECTED"}),
    (payment_out_of_balance_posted, {"I3", "I4", "EXPECTED"}),
    (payment_of_nobody, {"I3"}),
    (amount_as_text, {"I3", "I4", "EXPECTED"}),
    (payment_of_another_payer, {"I3"}),
    (part_without_remittance, {"I3"}),
    (transfer_of_zero, {"I4"}),
    (transfer_to_itself, {"I4"}),
    (unknown_account, {"I4", "EXPECTED"}),
    (transfer_without_amount, ALL - {"I1", "I2", "I6"}),
    (charge_posted_twice, {"I4", "EXPECTED"}),
    (charge_of_a_claim_never_sent, {"I4", "EXPECTED"}),
    (payment_applied_to_another, {"I4", "EXPECTED"}),
    (deposit_missing, {"I4"}),
    (patient_payment_lost, {"I4", "EXPECTED"}),
    (denial_written_off, {"I4", "EXPECTED"}),
    (underpayment_written_off, {"I4", "EXPECTED"}),
    (stranger_in_the_ledger, {"I4"}),
    (contractual_to_the_patient, {"I4", "I10", "EXPECTED"}),
    (shortfall_to_the_patient, {"I4", "I10", "EXPECTED"}),
    (share_a_cent_too_high, {"I4", "I10", "EXPECTED"}),
    (view_bills_more_than_the_share, {"I10", "EXPECTED"}),
    (reason_forgotten, {"EXPECTED"}),
    (stage_wrong, {"I4", "EXPECTED"}),
    (still_in_progress, {"EXPECTED"}),
    (allowed_wrong_in_the_view, {"EXPECTED"}),
    (finding_missing, {"EXPECTED"}),
    (needless_modifier, {"EXPECTED"}),
    (copy_never_came, {"EXPECTED"}),
    (amounts_as_floats, ALL),
]


@pytest.fixture(scope="module")
def faultless() -> World:
    return make_world()


def test_a_faultless_run_holds(faultless: World, tmp_path: Path) -> None:
    verdict = verdict_on(faultless, tmp_path)
    assert verdict["disagreements"] == []
    assert verdict["invariants"] == dict.fromkeys(INVARIANTS, True)


@pytest.mark.parametrize(("fault", "turned"), FAULTS, ids=lambda p: getattr(p, "__name__", ""))
def test_a_fault_turns_its_invariants(
    faultless: World, tmp_path: Path, fault: Callable[[World], None], turned: set[str]
) -> None:
    world = copy.deepcopy(faultless)
    fault(world)
    verdict = verdict_on(world, tmp_path)
    assert broken(verdict) == turned, verdict["disagreements"]
    assert all(d["expected"] != d["found"] for d in verdict["disagreements"])


def test_no_more_is_held_for_a_patient_than_they_have_paid(tmp_path: Path) -> None:
    """What a payer took back of a paid share is held for the patient; nothing else is."""
    for cents, said in ((500, []), (501, ["at most 500, which the patient paid"])):
        world = make_world()
        number = claim(world, "S1/P01")
        held = moves(world, "S1/P01", debit="patient_cash", credit="patient_receivable")
        before = sum(row["cents"] for row in held)
        world.transfer(
            "patient_cash", "patient_receivable", 500 - before, number, None, "patient_payment"
        )
        world.transfer("patient_receivable", "unapplied", cents, number, None, "prepaid")
        found = verdict_on(world, tmp_path)["disagreements"]
        assert [d["expected"] for d in found if d["invariant"] == "I10"] == said


# --- what is no fault --------------------------------------------------------------------------


def refused_then_accepted(world: World) -> None:
    file = sent(world, "S1/P01")
    send(world, list(file.segments), file, timedelta(minutes=-1), "refused")


def second_copy_kept_as_duplicate(world: World) -> None:
    row = remittance(world, "S1/P01")
    world.tables["remittance"].append(row | {"id": "copy", "state": "duplicate"})


def answer_lost_once(world: World) -> None:
    sent(world, "S1/P01").outcome = "accepted_answer_lost"


def payer_known_by_name(world: World) -> None:
    rewrite(payment_file(world, "S1/P04"), "*XV*SIMTXM", "")


def interest_added(world: World) -> None:
    """A PLB L6 of -1.00 adds a dollar to the payment and stands in clearing."""
    row, file = remittance(world, "S1/P04"), payment_file(world, "S1/P04")
    rewrite(file, "BPR*I*25.20", "BPR*I*26.20")
    file.segments.append("PLB*1999900107*20261231*L6*-1")
    row["paid_cents"] += 100
    world.tables["provider_adjustment"].append(
        {"remittance_id": row["id"], "position": 1, "reason_code": "L6", "cents": -100}
    )
    world.rows("transfer", remittance_id=row["id"], debit="deposits")[0]["cents"] += 100


@pytest.mark.parametrize(
    "change",
    [
        refused_then_accepted,
        second_copy_kept_as_duplicate,
        answer_lost_once,
        payer_known_by_name,
        interest_added,
    ],
)
def test_what_is_no_fault_holds(
    faultless: World, tmp_path: Path, change: Callable[[World], None]
) -> None:
    world = copy.deepcopy(faultless)
    change(world)
    assert verdict_on(world, tmp_path)["disagreements"] == []


def test_a_payment_out_of_balance_may_stand_suspended(faultless: World, tmp_path: Path) -> None:
    world = copy.deepcopy(faultless)
    payment_out_of_balance_posted(world)
    row = remittance(world, "S1/P04")
    row.update(state="suspended", difference_cents=10)
    kept = [t for t in world.tables["transfer"] if t["remittance_id"] != row["id"]]
    world.tables["transfer"] = kept
    assert "I3" not in broken(verdict_on(world, tmp_path))
    world.transfer("deposits", "clearing", 2520, None, row["id"], "deposit")
    assert "I3" in broken(verdict_on(world, tmp_path))


# --- evidence that is not there or not whole ---------------------------------------------------


def test_an_empty_database_fails_everything(faultless: World, tmp_path: Path) -> None:
    world = copy.deepcopy(faultless)
    for rows in world.tables.values():
        rows.clear()
    assert broken(verdict_on(world, tmp_path)) == ALL


@pytest.mark.parametrize("content", [None, b"", b"not a database at all, but long enough to try"])
def test_no_database_fails_everything(
    faultless: World, tmp_path: Path, content: bytes | None
) -> None:
    database, log = faultless.write(tmp_path)
    database.unlink()
    if content is not None:
        database.write_bytes(content)
    assert broken(judge(str(database), log, SAMPLES, IDENTITY_KEY)) == ALL


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def cut_off(log: Path) -> None:
    log.write_text(log.read_text()[:-20])


def emptied(log: Path) -> None:
    log.write_text("")


def line_taken_out(log: Path) -> None:
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:3] + lines[4:]))


def bytes_changed(log: Path) -> None:
    lines = _lines(log)
    body = base64.b64decode(lines[0]["body"]).replace(b"UN*1*", b"UN*2*")
    lines[0]["body"] = base64.b64encode(body).decode()
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))


def envelope_broken(log: Path) -> None:
    lines = _lines(log)
    body = base64.b64decode(lines[0]["body"]).replace(b"IEA*1*", b"IEA*2*")
    lines[0]["body"] = base64.b64encode(body).decode()
    lines[0]["sha256"] = hashlib.sha256(body).hexdigest()
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))


def time_without_offset(log: Path) -> None:
    lines = _lines(log)
    lines[0]["at"] = lines[0]["at"][:19]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))


def outcome_unknown(log: Path) -> None:
    lines = _lines(log)
    lines[0]["outcome"] = "perhaps"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))


def nothing_received(log: Path) -> None:
    lines = [line for line in _lines(log) if line["direction"] == "sent"]
    lines = [line | {"n": n} for n, line in enumerate(lines)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    "spoil",
    [
        cut_off,
        emptied,
        line_taken_out,
        bytes_changed,
        envelope_broken,
        outcome_unknown,
        time_without_offset,
        nothing_received,
        Path.unlink,
    ],
)
def test_a_log_that_is_not_whole_fails_everything(
    faultless: World, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    database, log = faultless.write(tmp_path)
    spoil(log)
    assert broken(judge(str(database), log, SAMPLES, IDENTITY_KEY)) == ALL


def test_a_truth_that_does_not_add_up_does_not_judge(faultless: World, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    shutil.copytree(SAMPLES, samples)
    truth = samples / "expected.csv"
    text = truth.read_text()
    truth.write_text(text.replace("6000,3085,2419,", "6000,3085,2420,", 1))
    verdict = verdict_on(faultless, tmp_path, samples)
    assert any(d["row"] == "expected.csv S1/P01" for d in verdict["disagreements"])
    truth.write_text("".join(text.splitlines(keepends=True)[:-1]))
    assert broken(verdict_on(faultless, tmp_path, samples)) == {"EXPECTED"}
    truth.write_text(text + "S9,P99\n")
    assert broken(verdict_on(faultless, tmp_path, samples)) == ALL
    truth.write_text("session,patient\n")
    assert broken(verdict_on(faultless, tmp_path, samples)) == ALL


def test_the_wrong_identity_key_finds_nobody(faultless: World, tmp_path: Path) -> None:
    database, log = faultless.write(tmp_path)
    assert {"I2", "EXPECTED"} <= broken(judge(str(database), log, SAMPLES, b"another key"))


# --- the readers -------------------------------------------------------------------------------


def entry(body: bytes, file: LoggedFile) -> LogEntry:
    return LogEntry(1, file.at, file.direction, "batch", file.name, file.outcome, body)


def entry_of(file: LoggedFile) -> LogEntry:
    return entry(file.body(1), file)


def test_delimiters_and_line_ends_are_read_from_the_file(faultless: World) -> None:
    file = sent(faultless, "S1/P01")
    plain = submitted_claims(entry(file.body(1), file))
    odd = file.body(1).replace(b"*", b"|").replace(b":", b">").replace(b"~\n", b"\x1c")
    assert submitted_claims(entry(odd, file)) == plain
    assert len(plain) > 1


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"BPR*I*25.2", b"BPR*I*25.205"), (b"SE*", b"SE*1"), (b"ISA*", b"XXX*"), (b"IEA", b"IEB")],
)
def test_a_damaged_file_is_refused(faultless: World, old: bytes, new: bytes) -> None:
    file = payment_file(faultless, "S1/P04")
    assert old in file.body(1)
    with pytest.raises(WireError):
        payments(entry(file.body(1).replace(old, new), file))


def test_every_kind_of_refusal_is_read(faultless: World) -> None:
    claims = {c.control_number: c for f in faultless.files for c in submitted_claims(entry_of(f))}
    rejected = replace(claims[claim(faultless, "S1/P05") + "A"], n=1)
    other = replace(claims[claim(faultless, "S1/P04") + "A"], n=1, st02="0002", isa13="000000099")
    file = sent(faultless, "S1/P05")
    by_999 = [f"AK1*HC*{rejected.gs06}", "AK2*837*0001", "IK5*R*5", "AK2*837*0002", "IK5*A"]
    answers = replace(file, direction="sent", code="999", segments=by_999).body(1)
    ta1 = b"TA1*%s*260203*1700*R*001~\nGS*" % rejected.isa13.encode()
    claims_refused = [
        rejections(LogEntry(2, file.at, "sent", "mailbox", "x", "delivered", body))
        for body in (answers, answers.replace(b"IK5*R", b"IK5*A").replace(b"GS*", ta1))
    ]
    for found in claims_refused:
        assert [r.hits(rejected) for r in found] == [True]
        assert [r.hits(other) for r in found] == [False]
        assert [r.hits(replace(rejected, n=3)) for r in found] == [False]


@pytest.mark.parametrize(
    ("frequency", "reference", "again", "named", "wrong"),
    [
        ("1", "", "1", "", set()),
        ("7", "ICN1", "7", "ICN1", set()),
        ("1", "", "7", "ICN1", {"frequency", "REF*F8"}),
        ("7", "ICN1", "1", "", {"frequency", "REF*F8"}),
        ("7", "ICN1", "7", "ICN2", {"REF*F8"}),
    ],
)
def test_what_was_rejected_goes_again_as_what_it_was(
    faultless: World, frequency: str, reference: str, again: str, named: str, wrong: set[str]
) -> None:
    (sample, *_) = submitted_claims(entry_of(sent(faultless, "S1/P01")))
    former = replace(sample, n=1, frequency=frequency, payer_claim_number=reference)
    later = replace(sample, n=9, frequency=again, payer_claim_number=named, control_number="B")
    refusal = Rejection(n=5, at=sample.at, control_number=former.control_number)
    case = Case(intake=Any, books=Any, log=[], rejected=[refusal])  # type: ignore[arg-type]
    _check_succession(case, former, later)
    assert {item.column for item in case.disagreements} == wrong


@pytest.mark.parametrize("prefix", ["", "sqlite:///", "sqlite+aiosqlite:///"])
def test_a_database_is_named_by_path_or_url(faultless: World, tmp_path: Path, prefix: str) -> None:
    database, _ = faultless.write(tmp_path)
    books = read_books(f"{prefix}{database}")
    assert books.complaints == []
    assert len(books.standings) == 36


# --- the command -------------------------------------------------------------------------------


def test_the_command_says_so_and_exits_accordingly(
    faultless: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = copy.deepcopy(faultless)
    finding_missing(world)
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    good, good_log = faultless.write(tmp_path / "good")
    bad, bad_log = world.write(tmp_path / "bad")
    fixed = ["--samples", str(SAMPLES), "--identity-key", IDENTITY_KEY.hex()]
    assert main(["--database", str(good), "--wire", str(good_log), *fixed]) == 0
    assert capsys.readouterr().out.split() == [w for i in INVARIANTS for w in (i, "true")]
    assert main(["--database", str(bad), "--wire", str(bad_log), *fixed]) == 1
    said = capsys.readouterr().out
    assert "EXPECTED: S3/P20, findings: expected underpaid, found no such finding" in said
    assert main(["--database", str(bad), "--wire", str(bad_log), *fixed, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["invariants"]["EXPECTED"] is False


def test_it_runs_by_its_path_from_anywhere(faultless: World, tmp_path: Path) -> None:
    database, log = faultless.write(tmp_path)
    oracle = Path(__file__).parent
    fixed = ["--samples", str(SAMPLES)]
    done = subprocess.run(
        [sys.executable, str(oracle), "--database", str(database), "--wire", str(log), *fixed],
        cwd=tmp_path,
        env={**os.environ, "GROUPCLAIM_IDENTITY_KEY": IDENTITY_KEY.hex()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_judge_imports_only_the_standard_library() -> None:
    for source in Path(__file__).parent.glob("*.py"):
        if source.name.startswith("test_"):
            continue
        for node in ast.walk(ast.parse(source.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                assert name.partition(".")[0] in sys.stdlib_module_names, (source.name, name)
