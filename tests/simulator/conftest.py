"""A tiny invented world: one Medicare, one commercial and one Medicaid payer."""

import copy
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from groupclaim.simulator.world import World, parse_world
from groupclaim.x12 import (
    Address,
    BillingProvider,
    EligibilityInquiry,
    Envelope,
    Member,
    Party,
    Payer,
    ProfessionalClaim,
    Provider,
    ServiceLine,
    Subscriber,
    build_270,
    build_837p,
)

_FOREVER = {"from": "2025-01-01", "to": None}


def _member(last_name: str, *member_ids: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "member_ids": list(member_ids),
        "first_name": "Testa",
        "last_name": last_name,
        "birth_date": "1980-01-31",
        "sex": "F",
        "coverage": [_FOREVER],
        "copay_cents": 0,
        "coinsurance_percent": 0,
        "deductible_remaining_cents": 0,
        "authorization": {"answered": "N", "required": False},
        **changes,
    }


WORLD: dict[str, Any] = {
    "seed": 7,
    "payers": [
        {
            "payer_id": "MEDB1",
            "name": "Invented Medicare",
            "filing_indicator": "MB",
            "acknowledges_after_hours": 20,
            "pays_after_days": 15,
            "members": [
                _member("Invented", {"id": "MB0001", **_FOREVER}, coinsurance_percent=20),
                _member("Placeholder", {"id": "MB0002", **_FOREVER}, coinsurance_percent=20),
            ],
            "authorizations": [],
            "rates": [
                {"code": "90853", "npi": None, "cents": 3085, **_FOREVER},
                {"code": "90853", "npi": "1999999984", "cents": 2289, **_FOREVER},
            ],
            "sequestration_basis_points": 200,
            "remittance_copies": [{"payment_date": "2026-02-18", "copies": 2}],
        },
        {
            "payer_id": "COMM1",
            "name": "Invented Commercial",
            "filing_indicator": "CI",
            "acknowledges_after_hours": 24,
            "pays_after_days": 10,
            "members": [
                _member(
                    "Reissued",
                    {"id": "CI0001", "from": "2025-01-01", "to": "2026-01-31"},
                    {"id": "CI0009", "from": "2026-02-01", "to": None},
                    copay_cents=1500,
                ),
                _member(
                    "Authorized",
                    {"id": "CI0002", **_FOREVER},
                    copay_cents=1500,
                    authorization={"answered": "U", "required": True},
                ),
                _member(
                    "Lapsed",
                    {"id": "CI0003", **_FOREVER},
                    coverage=[{"from": "2025-01-01", "to": "2026-01-31"}],
                ),
            ],
            "authorizations": [
                {
                    "number": "AUTH0001",
                    "member_id": "CI0002",
                    "codes": ["90853"],
                    "from": "2026-01-01",
                    "to": "2026-06-30",
                    "units": 12,
                }
            ],
            "rates": [{"code": "90853", "npi": None, "cents": 4200, **_FOREVER}],
            "sequestration_basis_points": 0,
            "remittance_copies": [],
        },
    ],
}


@pytest.fixture
def world_facts() -> dict[str, Any]:
    """The world's file content, free to be changed by one test."""
    return copy.deepcopy(WORLD)


@pytest.fixture(scope="session")
def world() -> World:
    """The tiny world."""
    return parse_world(json.dumps(WORLD).encode())


class Practice:
    """Writes what an invented practice sends."""

    def claim(
        self, number: str, payer_id: str = "MEDB1", member_id: str = "MB0001", **changes: Any
    ) -> ProfessionalClaim:
        """A claim for one group session of 2 February 2026, charge 65.00."""
        day = changes.pop("day", date(2026, 2, 2))
        line = ServiceLine(f"L{number}", "90853", 6500, day)
        facts: dict[str, Any] = {
            "control_number": number,
            "charge_cents": 6500,
            "place_of_service": "11",
            "diagnoses": ("F331",),
            "subscriber": Subscriber(
                "INVENTED", "TESTA", member_id, date(1980, 1, 31), "F", self._address()
            ),
            "payer": Payer("INVENTED PAYER", payer_id, "CI"),
            "lines": (line,),
            "rendering": Provider("CLINICIAN", "INA", "1234567893", "103TC0700X"),
            **changes,
        }
        return ProfessionalClaim(**facts)

    def batch(self, number: int, *claims: ProfessionalClaim) -> bytes:
        """One interchange with these claims."""
        return build_837p(
            self._envelope(number),
            Party("INVENTED GROUP", "PRACTICE1", "BILLING", "5125550100"),
            Party("INVENTED CLEARINGHOUSE", "CLEAR1"),
            BillingProvider("INVENTED GROUP", "1111111112", "741234567", self._address()),
            claims,
            1,
            f"B{number}",
        )

    def inquiry(
        self,
        payer_id: str,
        member_id: str,
        last_name: str = "Nobody",
        day: date = date(2026, 2, 2),
    ) -> bytes:
        """A 270 about one person's psychotherapy benefits on that day."""
        inquiry = EligibilityInquiry(
            reference="R1",
            trace_number="T1",
            trace_originator="1234567890",
            payer=Party("INVENTED PAYER", payer_id, qualifier="PI"),
            provider=Party("INVENTED GROUP", "1111111112", qualifier="XX"),
            subscriber=Member(last_name, "Testa", member_id, date(1980, 1, 31), "F"),
            service_date=day,
            service_types=("30", "A6"),
        )
        return build_270(self._envelope(1), inquiry, 1)

    def _envelope(self, number: int) -> Envelope:
        return Envelope(
            sender_id="PRACTICE1",
            receiver_id="CLEAR1",
            interchange_control_number=number,
            group_control_number=number,
            at=datetime(2026, 2, 2, 15, 0, tzinfo=UTC),
            test=True,
        )

    def _address(self) -> Address:
        return Address("1 INVENTED ROAD", "AUSTIN", "TX", "787010001")


@pytest.fixture(scope="session")
def practice() -> Practice:
    """The invented practice."""
    return Practice()
