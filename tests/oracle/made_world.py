"""A run as it should be, made up for the judge's own tests: raw log and database for the samples.

Not the product and not its simulator: figures come from expected.csv, files are written by hand,
and every test breaks one thing in it.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from .intake import Intake, Reversal, RosterRow, read_intake

WHOLE = Path(__file__).resolve().parents[2] / "samples"
SAMPLES = WHOLE / "small"
IDENTITY_KEY = bytes(range(32))
_CHICAGO = ZoneInfo("America/Chicago")
_FIRST_ALLOWED = {"S1/P04": 2520, "S2/P20": 2400, "S11/P40": 2600, "S11/P50": 2600, "S11/P52": 2600}
"""What a payer allows at first where expected.csv says what came of it later; no patient share."""
_SECOND_LINES = {"S6/P38": ("90834", 14000, 8000, 1600)}
"""Code, charge, allowed and coinsurance of a second line, part of the sums in expected.csv."""
_TABLES = {
    "participant_standing": "session_id, patient_id, claim_number, attendance, standing, reason,"
    " stage",
    "claim_money": "claim_number, charge_cents, allowed_cents, paid_cents, contractual_cents,"
    " patient_cents, patient_paid_cents, patient_open_cents, payer_open_cents",
    "transfer": "id, posted_at, debit, credit, cents, claim_number, remittance_id, kind",
    "remittance": "id, payer_id, trace, payment_date, paid_cents, state, difference_cents",
    "remittance_claim": "remittance_id, position, control_number, claim_number, status,"
    " charge_cents, paid_cents, patient_cents, payer_claim_number",
    "remittance_line": "remittance_id, claim_position, line_position, code, modifiers,"
    " charge_cents, paid_cents, allowed_cents",
    "remittance_adjustment": "remittance_id, claim_position, line_position, group_code,"
    " reason_code, cents",
    "provider_adjustment": "remittance_id, position, reason_code, cents",
    "finding": "claim_number, rule, severity, created_at",
    "claim_event": "claim_number, at, kind",
    "work_item": "id, kind, subject, claim_number, code, opened_at, due_at, resolved_at",
    "denial": "claim_number, number, opened_at, limit_at, concluded_at",
    "claim": "claim_number, stage, hold_code, due_at",
    "dispute_case": "id, kind, told_at, closed_at",
    "audited_line": "case_id, limit_on, audited_at",
    "audit_entry": "subject, at, action",
    "authorization_request": "trace, patient_id, state, asked_at, decide_by",
}


@dataclass(slots=True)
class LoggedFile:
    """One line of the log to be; ``segments`` are X12 without envelope, ``X12`` says which."""

    at: datetime
    direction: str
    name: str
    code: str
    segments: list[str]
    outcome: str
    channel: str = ""

    def body(self, control: int) -> bytes:
        parties = "*ZZ*" + "MAKEBELIEVE01".ljust(15) + "*ZZ*" + "SIMCLEAR01".ljust(15)
        isa = f"ISA*00*{' ' * 10}*00*{' ' * 10}{parties}*260203*1700*^*00501*{control:09d}*0*T*:"
        inner = [f"ST*{self.code}*0001", *self.segments]
        inner.append(f"SE*{len(inner) + 1}*0001")
        group = [f"GS*HC*A*B*20260203*1700*{control}*X*005010", *inner, f"GE*1*{control}"]
        return ("~\n".join([isa, *group, f"IEA*1*{control:09d}"]) + "~\n").encode()


@dataclass(slots=True)
class World:
    """Everything a judge may look at, open to be broken before it is written down."""

    files: list[LoggedFile] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {name: [] for name in _TABLES}
    )
    claim_numbers: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write database and raw log; gives their paths."""
        database, log = folder / "run.sqlite", folder / "wire.jsonl"
        lines = []
        self.files.sort(key=lambda file: file.at)
        for n, file in enumerate(self.files, start=1):
            body = file.body(n)
            line = {
                "n": n,
                "at": file.at.isoformat(),
                "direction": file.direction,
                "channel": file.channel or ("batch" if file.direction == "received" else "mailbox"),
                "name": file.name,
                "sha256": hashlib.sha256(body).hexdigest(),
                "outcome": file.outcome,
                "body": base64.b64encode(body).decode(),
            }
            lines.append(json.dumps(line))
        log.write_text("".join(line + "\n" for line in lines))
        database.unlink(missing_ok=True)
        connection = sqlite3.connect(database)
        for table, columns in _TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({columns})")
            names = columns.split(", ")
            marks = ", ".join("?" for _ in names)
            for row in self.tables[table]:
                values = [row[name] for name in names]
                connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)
        connection.commit()
        connection.close()
        return database, log

    def rows(self, table: str, **wanted: object) -> list[dict[str, Any]]:
        return [
            row
            for row in self.tables[table]
            if all(row[column] == value for column, value in wanted.items())
        ]

    def claim_files(self, control_number: str) -> list[LoggedFile]:
        return [
            f for f in self.files if any(s.startswith(f"CLM*{control_number}*") for s in f.segments)
        ]

    def transfer(
        self,
        debit: str,
        credit: str,
        cents: int,
        claim: str | None,
        remittance: str | None,
        kind: str,
        at: str = "2026-03-01T00:00:00-06:00",
    ) -> None:
        if cents:
            row = {"debit": debit, "credit": credit, "cents": cents, "claim_number": claim}
            row |= {"id": len(self.tables["transfer"]) + 1, "posted_at": at}
            self.tables["transfer"].append(row | {"remittance_id": remittance, "kind": kind})


@dataclass(frozen=True, slots=True)
class _Sent:
    """A claim version on its way through the made-up clearinghouse."""

    row: RosterRow
    truth: dict[str, str]
    number: str
    letter: str
    at: datetime
    frequency: str = "1"
    member_id: str = ""
    authorization: str = ""
    payer_claim_number: str = ""


@dataclass(frozen=True, slots=True)
class _Line:
    """One line as a payer decided it; every amount but the charge is in ``cuts`` or paid."""

    code: str
    modifiers: str
    charge: int
    allowed: int
    paid: int
    cuts: tuple[tuple[str, str, int], ...]

    def mirrored(self) -> _Line:
        """The line as a reversal repeats it."""
        cuts = tuple((group, reason, -c) for group, reason, c in self.cuts)
        return _Line(self.code, self.modifiers, -self.charge, -self.allowed, -self.paid, cuts)


@dataclass(frozen=True, slots=True)
class _Paid:
    """One CLP to be."""

    sent: _Sent
    status: str
    lines: tuple[_Line, ...]
    payer_claim_number: str

    @property
    def paid(self) -> int:
        return sum(line.paid for line in self.lines)


def make_world(samples: Path = SAMPLES) -> World:
    """The samples, carried out without a fault."""
    world = World()
    intake = read_intake(samples, IDENTITY_KEY)
    with (samples / "expected.csv").open(newline="") as file:
        truth = {(r["session"], r["patient"]): r for r in csv.DictReader(file)}
    payers = {p["payer_id"]: p for p in json.loads((samples / "payers.json").read_text())["payers"]}
    first: list[_Sent] = []
    for index, row in enumerate(intake.roster):
        number = f"G{index:05d}X"
        world.claim_numbers[row.name] = number
        wanted = truth[row.session, row.patient]
        world.tables["participant_standing"].append(
            {
                "session_id": row.session_id,
                "patient_id": row.patient_id,
                "claim_number": number,
                "attendance": row.attendance,
                "standing": wanted["standing"],
                "reason": wanted["reason"] or None,
                "stage": wanted["final_stage"],
            }
        )
        decided = _ask(world, row, payers)
        if wanted["standing"] == "billed":
            assert row.signed_at is not None
            released = row.released_at or row.signed_at
            at = _cutoff(max(row.recorded_at, row.signed_at, released, decided))
            known = [a.number for a in row.authorizations if a.known_at is None]
            known += [d.number for d in row.decisions if d.number]
            member = _member(payers[row.payer_id], row)
            original = _in_force(member, at)
            if row.name == "S1/P05":  # sent with the id that was replaced meanwhile
                original = member["member_ids"][0]["id"]
            first.append(_Sent(row, wanted, number, "A", at, "1", original, (known or [""])[0]))
            _settle(world, first[-1])
    _carry_out(world, first, payers, intake)
    return world


def _ask(world: World, row: RosterRow, payers: dict[str, Any]) -> datetime:
    """The 270s of a claim with two payers, the 278 of one without authorization; when decided."""
    asked = row.recorded_at - timedelta(days=1)
    person = f"NM1*IL*1*{row.last_name.upper()}*{row.first_name.upper()}****MI*"
    for payer in row.asked if len(row.asked) > 1 else ():
        member = _member(payers[payer], row)["member_ids"][0]["id"]
        world.files.append(
            LoggedFile(
                asked,
                "received",
                f"270-{row.name}-{payer}",
                "270",
                ["HL*1**20*1", f"NM1*PR*2*X*****PI*{payer}", "HL*3*2*22*0", f"{person}{member}"],
                "answered",
                "eligibility",
            )
        )
    member_id = sorted(row.member_ids)[0]
    said = ["HL*1**20*1", f"NM1*X3*2*X*****PI*{row.payer_id}", "HL*3*2*22*1", person + member_id]
    decided = asked
    entries = _member(payers[row.payer_id], row)["authorization"].get("on_request", [])
    if entries:
        name = f"278-{row.name}"
        file = LoggedFile(asked, "received", name, "278", list(said), "answered", "authorization")
        world.files.append(file)
    for entry in entries:
        decided = asked + timedelta(hours=entry["after_hours"])
        answer = [*said, "HL*4*3*EV*0", f"HCR*{entry['decision']}*{entry.get('number', '')}"]
        name = f"278-{row.name}-{entry['decision']}"
        file = LoggedFile(decided, "sent", name, "278", answer, "answered", "authorization")
        world.files.append(file)
    return decided


def _settle(world: World, s: _Sent) -> None:
    """What no remittance brings: the charge, the patient's money, the view, the findings."""
    truth, number = s.truth, s.number
    world.transfer(
        "payer_receivable", "charges", int(truth["charge_cents"]), number, None, "charge"
    )
    cash = int(truth["patient_paid_cents"])
    world.transfer("patient_cash", "patient_receivable", cash, number, None, "patient_payment")
    view = {"claim_number": number, "patient_cents": int(truth["pr_cents"])}
    view |= {
        name: int(truth[name])
        for name in _TABLES["claim_money"].split(", ")
        if name not in ("claim_number", "patient_cents")
    }
    world.tables["claim_money"].append(view)
    for rule in filter(None, truth["findings"].split(";")):
        finding = {"claim_number": number, "rule": rule, "severity": "warn"}
        world.tables["finding"].append(finding | {"created_at": "2026-03-01T00:00:00-06:00"})


def _carry_out(world: World, sent: list[_Sent], payers: dict[str, Any], intake: Intake) -> None:
    """Send, reject, deny, send again and pay, round by round."""
    denied_already: set[str] = set()
    extra = {(r.payer_id, r.on): r for r in intake.reversals}
    while sent:
        again: list[_Sent] = []
        due: dict[tuple[str, str], list[_Paid]] = {}
        for at in sorted({s.at for s in sent}):
            batch = [s for s in sent if s.at == at]
            world.files.append(
                LoggedFile(
                    at,
                    "received",
                    f"batch-{at:%m%d}-{batch[0].letter}",
                    "837",
                    [x for s in batch for x in _claim_segments(s)],
                    "accepted",
                )
            )
            acknowledged = at + timedelta(hours=20)
            answer = ["BHT*0085*08*X*20260203*1700*TH", "HL*1**20*1"]
            for s in batch:
                payer = payers[s.row.payer_id]
                valid = _in_force(_member(payer, s.row), at)
                good = s.member_id == valid
                answer += ["HL*4*3*PT", f"TRN*2*{s.number}{s.letter}"]
                answer.append("STC*A2:20*20260204*WQ" if good else "STC*A7:164*20260204*U")
                if not good:
                    later = _cutoff(acknowledged)
                    again.append(_Sent(s.row, s.truth, s.number, "B", later, "1", valid))
                    continue
                day = (at.date() + timedelta(days=payer["pays_after_days"])).isoformat()
                due.setdefault((s.row.payer_id, day), []).append(_decided(s, payer))
            world.files.append(
                LoggedFile(acknowledged, "sent", f"277-{at:%m%d%H}", "277", answer, "delivered")
            )
        for key, reversal in extra.items():
            if key in due:
                due[key] += _reversed(reversal, sent, payers[key[0]])
        for (payer_id, day_text), items in sorted(due.items()):
            moment = datetime.combine(datetime.fromisoformat(day_text), time(9), _CHICAGO)
            _pay(world, payers[payer_id], day_text, items, moment, intake)
            for item in items:
                s = item.sent
                if item.status == "4" and s.number not in denied_already:
                    denied_already.add(s.number)
                    icn = item.payer_claim_number
                    g1 = s.row.authorizations[0].number
                    later = _cutoff(moment)
                    again.append(
                        _Sent(s.row, s.truth, s.number, "B", later, "7", s.member_id, g1, icn)
                    )
        sent = again


def _decided(s: _Sent, payer: dict[str, Any]) -> _Paid:
    """What the payer makes of a claim, in the figures of expected.csv."""
    icn, truth = f"ICN{s.number}{s.letter}", s.truth
    charge = int(truth["charge_cents"])
    modifiers = truth["modifiers"].split(";")
    if _member(payer, s.row)["authorization"]["required"] and not s.authorization:
        denied = _Line("90853", modifiers[0], charge, 0, 0, (("CO", "197", charge),))
        return _Paid(s, "4", (denied,), icn)
    allowed, share = int(truth["allowed_cents"]), int(truth["pr_cents"])
    other, cut = int(truth["oa_cents"]), int(truth["co_cents"])
    if s.row.name in _FIRST_ALLOWED:
        allowed, share = _FIRST_ALLOWED[s.row.name], 0
        cut = charge - allowed
    lines = []
    if s.row.name in _SECOND_LINES:
        code, fee, rate, coinsurance = _SECOND_LINES[s.row.name]
        second = (("CO", "45", fee - rate), ("PR", "2", coinsurance))
        lines.append(_Line(code, modifiers[1], fee, rate, rate - coinsurance, second))
        charge, allowed, share = charge - fee, allowed - rate, share - coinsurance
        cut -= fee - rate
    beyond = charge - allowed
    member = _member(payer, s.row)
    deductible = member["deductible_remaining_cents"]
    cuts = (
        ("CO", "45", beyond),
        ("CO", "253", cut - beyond),
        ("OA", "209", other),
        ("PR", "1", deductible),
        ("PR", "3" if member["copay_cents"] else "2", share - deductible),
    )
    paid = allowed - share - other - (cut - beyond)
    some = tuple(part for part in cuts if part[2])
    lines.insert(0, _Line("90853", modifiers[0], charge, allowed, paid, some))
    return _Paid(s, "1", tuple(lines), icn)


def _reversed(reversal: Reversal, sent: list[_Sent], payer: dict[str, Any]) -> list[_Paid]:
    """The reversal of a claim paid before and, if one follows, its correction."""
    s = next(
        s
        for s in sent
        if (s.member_id, s.row.service_date) == (reversal.member_id, reversal.service_date)
    )
    former = _decided(s, payer)
    back = tuple(line.mirrored() for line in former.lines)
    items = [_Paid(s, "22", back, former.payer_claim_number)]
    allowed = reversal.corrected_allowed_cents
    if allowed is not None:
        charge = former.lines[0].charge
        line = _Line("90853", "", charge, allowed, allowed, (("CO", "45", charge - allowed),))
        items.append(_Paid(s, "1", (line,), f"{former.payer_claim_number}R"))
    return items


def _withheld(intake: Intake, payer: str, day: str) -> list[tuple[str, int]]:
    """The PLB of a payment: announced without cost, taken later (domain.md section 8.4)."""
    found = []
    for takeback in intake.takebacks:
        if takeback.payer_id == payer:
            total = sum(cents for _, cents in takeback.taken)
            if takeback.announced_on == day:
                found += [("WO", total), ("FB", -total)]
            found += [("FB", cents) for date, cents in takeback.taken if date == day]
    return found


def _pay(
    world: World,
    payer: dict[str, Any],
    day: str,
    items: list[_Paid],
    moment: datetime,
    intake: Intake,
) -> None:
    where = (payer["payer_id"], day)
    identity = trace = f"{payer['payer_id']}-{day}"
    withheld, off = _withheld(intake, *where), intake.unbalanced.get(where, 0)
    total = sum(item.paid for item in items) - sum(c for _, c in withheld) + off
    segments = [
        f"BPR*I*{_dollars(total)}*C*ACH************{day.replace('-', '')}",
        f"TRN*1*{trace}*1999999999",
        f"N1*PR*{payer['name'].upper()}*XV*{payer['payer_id']}",
        "LX*1",
    ]
    world.tables["remittance"].append(
        {
            "id": identity,
            "payer_id": payer["payer_id"],
            "trace": trace,
            "payment_date": day,
            "paid_cents": total,
            "state": "suspended" if off else "posted",
            "difference_cents": off,
        }
    )
    for position, item in enumerate(items, start=1):
        segments += _record(world, item, identity, position)
    for position, (reason, cents) in enumerate(withheld, start=1):
        segments.append(f"PLB*1999900107*20261231*{reason}:X*{_dollars(cents)}")
        adjustment = {"remittance_id": identity, "position": position}
        adjustment |= {"reason_code": reason, "cents": cents}
        world.tables["provider_adjustment"].append(adjustment)
    if not off:
        world.transfer("deposits", "clearing", total, None, identity, "deposit")
        for item in items:
            if item.status != "4":
                _post(world, item, identity)
        for reason, cents in withheld:
            _move(world, "unapplied", "clearing", cents, None, identity, f"PLB-{reason}")
    for copy in range(intake.copies.get(where, 1)):
        name = f"835-{trace}-{copy}"
        at = moment + timedelta(hours=copy)
        world.files.append(LoggedFile(at, "sent", name, "835", list(segments), "delivered"))


def _record(world: World, item: _Paid, identity: str, position: int) -> list[str]:
    """The rows of one CLP, and its segments."""
    control = f"{item.sent.number}{item.sent.letter}"
    charge = sum(line.charge for line in item.lines)
    share = sum(c for line in item.lines for group, _, c in line.cuts if group == "PR")
    claim_row = {"remittance_id": identity, "position": position, "control_number": control}
    claim_row |= {"claim_number": item.sent.number, "status": item.status, "charge_cents": charge}
    claim_row |= {"paid_cents": item.paid, "patient_cents": share}
    world.tables["remittance_claim"].append(
        claim_row | {"payer_claim_number": item.payer_claim_number}
    )
    segments = [
        f"CLP*{control}*{item.status}*{_dollars(charge)}*{_dollars(item.paid)}*{_dollars(share)}*12"
        f"*{item.payer_claim_number}*11*1"
    ]
    for number, line in enumerate(item.lines, start=1):
        procedure = ":".join(filter(None, ("HC", line.code, line.modifiers)))
        segments += [
            f"SVC*{procedure}*{_dollars(line.charge)}*{_dollars(line.paid)}**1",
            *(f"CAS*{group}*{reason}*{_dollars(c)}" for group, reason, c in line.cuts),
            f"AMT*B6*{_dollars(line.allowed)}",
        ]
        part = {"remittance_id": identity, "claim_position": position, "line_position": number}
        amounts = {"charge_cents": line.charge, "paid_cents": line.paid}
        amounts |= {"allowed_cents": line.allowed}
        world.tables["remittance_line"].append(
            part | {"code": line.code, "modifiers": line.modifiers} | amounts
        )
        for group, reason, c in line.cuts:
            cut = {"group_code": group, "reason_code": reason, "cents": c}
            world.tables["remittance_adjustment"].append(part | cut)
    return segments


def _post(world: World, item: _Paid, remittance: str) -> None:
    number = item.sent.number
    for line in item.lines:
        _move(world, "clearing", "payer_receivable", line.paid, number, remittance, "payment")
        for group, reason, c in line.cuts:
            account = "patient_receivable"
            if group != "PR":
                account = {"253": "sequestration", "209": "other_adjustment"}.get(
                    reason, "contractual"
                )
            _move(world, account, "payer_receivable", c, number, remittance, f"{group}-{reason}")
    short = int(item.sent.truth["payer_open_cents"])
    if short and item.status == "1" and item.sent.truth["findings"] == "underpaid":
        if item.sent.row.name in _FIRST_ALLOWED and not item.payer_claim_number.endswith("R"):
            return  # paid in full at first
        world.transfer("payer_receivable", "contractual", short, number, remittance, "underpayment")


def _move(
    world: World,
    debit: str,
    credit: str,
    cents: int,
    claim: str | None,
    remittance: str,
    kind: str,
) -> None:
    """A transfer, turned round for an amount below zero."""
    if cents < 0:
        debit, credit = credit, debit
    world.transfer(debit, credit, abs(cents), claim, remittance, kind)


def _claim_segments(s: _Sent) -> list[str]:
    row = s.row
    charge, place = _dollars(row.fee_cents), row.place_of_service
    segments = [
        "HL*1**20*1",
        f"NM1*85*2*MAKEBELIEVE*****XX*{row.billing_npi}",
        "HL*2*1*22*0",
        f"SBR*P*18*******{row.filing_indicator}",
        f"NM1*IL*1*{row.last_name.upper()}*{row.first_name.upper()}****MI*{s.member_id}",
        f"DMG*D8*{row.birth_date.replace('-', '')}*{row.sex}",
        f"NM1*PR*2*{row.payer_name.upper()}*****PI*{row.payer_id}",
        f"CLM*{s.number}{s.letter}*{charge}***{place}:B:{s.frequency}*Y*A*Y*Y",
    ]
    if s.payer_claim_number:
        segments.append(f"REF*F8*{s.payer_claim_number}")
    if s.authorization:
        segments.append(f"REF*G1*{s.authorization}")
    segments += [f"HI*ABK:{row.diagnosis}", f"NM1*82*1*X*Y****XX*{row.rendering_npi}"]
    modifiers = s.truth["modifiers"].split(";")
    for number, (code, cents) in enumerate(row.lines, start=1):
        procedure = ":".join(filter(None, ("HC", code, modifiers[number - 1])))
        segments += [
            f"LX*{number}",
            f"SV1*{procedure}*{_dollars(cents)}*UN*1***1",
            f"DTP*472*D8*{row.service_date.replace('-', '')}",
        ]
    return segments


def _member(payer: dict[str, Any], row: RosterRow) -> dict[str, Any]:
    found: dict[str, Any] = next(
        m
        for m in payer["members"]
        if (m["last_name"], m["first_name"]) == (row.last_name, row.first_name)
    )
    return found


def _in_force(member: dict[str, Any], at: datetime) -> str:
    """The member id in force on the day."""
    day = at.date().isoformat()
    ids = (i for i in member["member_ids"] if i["from"] <= day <= (i["to"] or "9999-12-31"))
    return str(next(ids)["id"])


def _cutoff(ready: datetime) -> datetime:
    """17:00 in Chicago of the first weekday on which the claim is ready by then."""
    local = ready.astimezone(_CHICAGO)
    day = local.date() + timedelta(days=local.time() > time(17))
    while day.weekday() > 4:
        day += timedelta(days=1)
    return datetime.combine(day, time(17), _CHICAGO)


def _dollars(cents: int) -> str:
    sign, cents = "-" if cents < 0 else "", abs(cents)
    return f"{sign}{cents // 100}.{cents % 100:02d}".removesuffix(".00")
