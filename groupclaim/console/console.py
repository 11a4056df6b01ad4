"""What every page and route of the console and of the API works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from activities.cash_desk import CashDesk
from activities.front_desk import FrontDesk
from activities.second_look import SecondLook
from groupclaim.console.oidc import IdentityProvider
from groupclaim.policy.payer import PolicyBook
from groupclaim.policy.playbook import Playbook
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database


@dataclass(frozen=True)
class Console:
    """What the console works with. ``origin`` is the address that browsers see, as
    ``https://claims.example``; ``wall`` tells the time of day outside, for sessions."""

    database: Database
    desk: FrontDesk
    cash: CashDesk
    second_look: SecondLook
    clock: PracticeClock
    policies: PolicyBook
    playbook: Playbook
    origin: str
    wall: Callable[[], datetime]
    identity_provider: IdentityProvider | None = None
    requests_a_minute: int = 600

    @property
    def secure(self) -> bool:
        return self.origin.startswith("https://")
