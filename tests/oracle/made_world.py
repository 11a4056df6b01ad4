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
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from .intake import RosterRow, read_intake

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
IDENTITY_KEY = bytes(range(32))
_CHICAGO = ZoneInfo("America/Chicago")
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
                "channel": "batch" if file.direction == "received" else "mailbox",
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


def make_world() -> World:
    """The samples, carried out without a fault."""
    world = World()
    intake = read_intake(SAMPLES, IDENTITY_KEY)
    with (SAMPLES / "expected.csv").open(newline="") as file:
        truth = {(r["session"], r["patient"]): r for r in csv.DictReader(file)}
    payers = {p["payer_id"]: p for p in json.loads((SAMPLES / "payers.json").read_text())["payers"]}
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
        if wanted["standing"] == "billed":
            assert row.signed_at is not None
            at = _cutoff(max(row.recorded_at, row.signed_at, row.released_at or row.signed_at))
            known = [a.number for a in row.authorizations if a.known_at is None]
            member = _member(payers[row.payer_id], row)
            original = member["member_ids"][0]["id"]
            first.append(_Sent(row, wanted, number, "A", at, "1", original, (known or [""])[0]))
    _carry_out(world, first, payers, intake.copies)
    return world


def _carry_out(
    world: World,
    sent: list[_Sent],
    payers: dict[str, Any],
    copies: dict[tuple[str, str], int],
) -> None:
    """Send, reject, deny, send again and pay, round by round."""
    denied_already: set[str] = set()
    while sent:
        again: list[_Sent] = []
        due: dict[tuple[str, str], list[tuple[_Sent, bool]]] = {}
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
                ids = _member(payers[s.row.payer_id], s.row)["member_ids"]
                valid = next(i["id"] for i in ids if _within(i, at.date().isoformat()))
                good = s.member_id == valid
                answer += ["HL*4*3*PT", f"TRN*2*{s.number}{s.letter}"]
                answer.append("STC*A2:20*20260204*WQ" if good else "STC*A7:164*20260204*U")
                if not good:
                    later = _cutoff(acknowledged)
                    again.append(_Sent(s.row, s.truth, s.number, "B", later, "1", valid))
                    continue
                authorization = _member(payers[s.row.payer_id], s.row)["authorization"]
                denied = authorization["required"] and not s.authorization
                days = payers[s.row.payer_id]["pays_after_days"]
                day = at.date() + timedelta(days=days)
                due.setdefault((s.row.payer_id, day.isoformat()), []).append((s, denied))
            world.files.append(
                LoggedFile(acknowledged, "sent", f"277-{at:%m%d%H}", "277", answer, "delivered")
            )
        for (payer, day_text), items in sorted(due.items()):
            moment = datetime.combine(datetime.fromisoformat(day_text), time(9), _CHICAGO)
            _pay(world, payers[payer], day_text, items, moment, copies.get((payer, day_text), 1))
            for s, denied in items:
                if denied and s.number not in denied_already:
                    denied_already.add(s.number)
                    icn = f"ICN{s.number}{s.letter}"
                    g1 = s.row.authorizations[0].number
                    later = _cutoff(moment)
                    again.append(
                        _Sent(s.row, s.truth, s.number, "B", later, "7", s.member_id, g1, icn)
                    )
        sent = again


def _pay(
    world: World,
    payer: dict[str, Any],
    day: str,
    items: list[tuple[_Sent, bool]],
    moment: datetime,
    copies: int,
) -> None:
    identity = trace = f"{payer['payer_id']}-{day}"
    total = sum(0 if denied else int(s.truth["paid_cents"]) for s, denied in items)
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
            "state": "posted",
            "difference_cents": 0,
        }
    )
    world.transfer("deposits", "clearing", total, None, identity, "deposit")
    for position, (s, denied) in enumerate(items, start=1):
        cuts = list(_cuts(s, denied, payer))
        paid = 0 if denied else int(s.truth["paid_cents"])
        share = sum(c for group, _, c in cuts if group == "PR")
        charge, allowed = int(s.truth["charge_cents"]), int(s.truth["allowed_cents"])
        allowed = 0 if denied else allowed
        status, control = "4" if denied else "1", f"{s.number}{s.letter}"
        segments += [
            f"CLP*{control}*{status}*{_dollars(charge)}*{_dollars(paid)}*{_dollars(share)}*12"
            f"*ICN{control}*11*1",
            f"SVC*HC:90853*{_dollars(charge)}*{_dollars(paid)}**1",
            *(f"CAS*{group}*{reason}*{_dollars(c)}" for group, reason, c in cuts),
            f"AMT*B6*{_dollars(allowed)}",
        ]
        claim_row = {"remittance_id": identity, "position": position, "control_number": control}
        claim_row |= {"claim_number": s.number, "status": status, "charge_cents": charge}
        claim_row |= {"paid_cents": paid, "patient_cents": share}
        world.tables["remittance_claim"].append(claim_row | {"payer_claim_number": f"ICN{control}"})
        line = {"remittance_id": identity, "claim_position": position, "line_position": 1}
        amounts = {"charge_cents": charge, "paid_cents": paid, "allowed_cents": allowed}
        world.tables["remittance_line"].append(line | {"code": "90853", "modifiers": ""} | amounts)
        for group, reason, c in cuts:
            cut = {"group_code": group, "reason_code": reason, "cents": c}
            world.tables["remittance_adjustment"].append(line | cut)
        if not denied:
            _post(world, s, cuts, identity)
    for copy in range(copies):
        name = f"835-{trace}-{copy}"
        at = moment + timedelta(hours=copy)
        world.files.append(LoggedFile(at, "sent", name, "835", list(segments), "delivered"))


def _cuts(s: _Sent, denied: bool, payer: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    if denied:
        yield "CO", "197", int(s.truth["charge_cents"])
        return
    beyond = int(s.truth["charge_cents"]) - int(s.truth["allowed_cents"])
    yield "CO", "45", beyond
    if payer["sequestration_basis_points"]:
        yield "CO", "253", int(s.truth["co_cents"]) - beyond
    share = int(s.truth["pr_cents"])
    member = _member(payer, s.row)
    if member["deductible_remaining_cents"]:
        yield "PR", "1", member["deductible_remaining_cents"]
        share -= member["deductible_remaining_cents"]
    if share:
        yield "PR", "3" if member["copay_cents"] else "2", share


def _post(world: World, s: _Sent, cuts: list[tuple[str, str, int]], remittance: str) -> None:
    truth, number = s.truth, s.number
    world.transfer(
        "payer_receivable", "charges", int(truth["charge_cents"]), number, None, "charge"
    )
    paid = int(truth["paid_cents"])
    world.transfer("clearing", "payer_receivable", paid, number, remittance, "payment")
    for group, reason, c in cuts:
        if group == "PR":
            account = "patient_receivable"
        else:
            account = "sequestration" if reason == "253" else "contractual"
        world.transfer(account, "payer_receivable", c, number, remittance, f"{group}-{reason}")
    short = int(truth["payer_open_cents"])
    world.transfer("payer_receivable", "contractual", short, number, remittance, "underpayment")
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


def _claim_segments(s: _Sent) -> list[str]:
    row = s.row
    charge = _dollars(row.fee_cents)
    segments = [
        "HL*1**20*1",
        f"NM1*85*2*MAKEBELIEVE*****XX*{row.billing_npi}",
        "HL*2*1*22*0",
        f"SBR*P*18*******{row.filing_indicator}",
        f"NM1*IL*1*{row.last_name.upper()}*{row.first_name.upper()}****MI*{s.member_id}",
        f"DMG*D8*{row.birth_date.replace('-', '')}*{row.sex}",
        f"NM1*PR*2*{row.payer_name.upper()}*****PI*{row.payer_id}",
        f"CLM*{s.number}{s.letter}*{charge}***11:B:{s.frequency}*Y*A*Y*Y",
    ]
    if s.payer_claim_number:
        segments.append(f"REF*F8*{s.payer_claim_number}")
    if s.authorization:
        segments.append(f"REF*G1*{s.authorization}")
    return [
        *segments,
        f"HI*ABK:{row.diagnosis}",
        f"NM1*82*1*X*Y****XX*{row.rendering_npi}",
        "LX*1",
        f"SV1*HC:90853*{charge}*UN*1***1",
        f"DTP*472*D8*{row.service_date.replace('-', '')}",
    ]


def _member(payer: dict[str, Any], row: RosterRow) -> dict[str, Any]:
    found: dict[str, Any] = next(
        m
        for m in payer["members"]
        if (m["last_name"], m["first_name"]) == (row.last_name, row.first_name)
    )
    return found


def _within(dated: dict[str, Any], day: str) -> bool:
    return str(dated["from"]) <= day <= str(dated["to"] or "9999-12-31")


def _cutoff(ready: datetime) -> datetime:
    """17:00 in Chicago of the first weekday on which the claim is ready by then."""
    local = ready.astimezone(_CHICAGO)
    day = local.date() + timedelta(days=local.time() > time(17))
    while day.weekday() > 4:
        day += timedelta(days=1)
    return datetime.combine(day, time(17), _CHICAGO)


def _dollars(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}".removesuffix(".00")
