"""Who may do what: roles, their permissions, and the rows that a person may see.

Deny by default. A route states its permission by :class:`Allow`; :func:`unguarded` names those
that do not, and the application does not start while there are any.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from sqlalchemy import ColumnElement, and_, false, select, true
from starlette.routing import BaseRoute, Mount

from groupclaim.store.keys import Keyring
from groupclaim.store.people import Role, User, Visit
from groupclaim.store.schema import group_session


class Permission(StrEnum):
    """``VIEW``: lists and pages, personal data masked. ``REVEAL``: show personal data, each time
    audited. ``WORK``: assign, pend, comment, resolve, run again. ``RELEASE``: let a held claim go
    on. ``MONEY``: place payments, book what patients pay. ``APPROVE``: be the second person, send
    appeals, write off. ``SIGN``: say that a note is signed, or not valid. ``INTAKE``: hand
    in records of the practice, sessions, attendance, coverage. Users and keys are the command
    line's."""

    VIEW = "view"
    REVEAL = "reveal"
    WORK = "work"
    RELEASE = "release"
    MONEY = "money"
    APPROVE = "approve"
    SIGN = "sign"
    INTAKE = "intake"


_BILLER = {
    Permission.VIEW,
    Permission.REVEAL,
    Permission.WORK,
    Permission.RELEASE,
    Permission.MONEY,
    Permission.INTAKE,
}
ROLES: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.VIEW}),
    Role.BILLER: frozenset(_BILLER),
    Role.CLINICIAN: frozenset({Permission.VIEW, Permission.REVEAL, Permission.SIGN}),
    Role.SUPERVISOR: frozenset({*_BILLER, Permission.APPROVE, Permission.SIGN}),
    Role.ADMINISTRATOR: frozenset({Permission.VIEW}),
}
_EMERGENCY = frozenset({Permission.VIEW, Permission.REVEAL})


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks, and how far they see."""

    user: User
    csrf: str
    permissions: frozenset[Permission]
    emergency: bool
    rows: ColumnElement[bool]
    """Which rows of ``group_session`` they see; claims belong to a session."""
    own_rows: ColumnElement[bool]
    """Which they see without an emergency, and act on in any case."""

    @property
    def name(self) -> str:
        return self.user.account.name

    def may(self, permission: str) -> bool:
        return permission in self.permissions


def person_of(visit: Visit, keyring: Keyring) -> Person:
    """Emergency access lifts the limits of practice, place and role for looking, not for acting."""
    emergency = visit.emergency_until is not None
    rights = ROLES[visit.user.role] | (_EMERGENCY if emergency else frozenset())
    own = _rows(visit.user, keyring)
    return Person(visit.user, visit.csrf, rights, emergency, true() if emergency else own, own)


def _rows(user: User, keyring: Keyring) -> ColumnElement[bool]:
    account = user.account
    within = rows_within(account.practices, account.locations, keyring)
    if user.role is Role.CLINICIAN:
        if not account.clinician:
            return false()
        own = keyring.opaque("clinician", account.clinician)
        within = and_(within, group_session.c.clinician_id == own)
    return within


def rows_within(
    practices: Collection[str], locations: Collection[str], keyring: Keyring
) -> ColumnElement[bool]:
    """Which rows of ``group_session`` are of these practices and locations; none means all."""
    within: list[ColumnElement[bool]] = []
    if practices:
        ids = [keyring.opaque("practice", ref) for ref in practices]
        within.append(group_session.c.practice_id.in_(ids))
    if locations:
        ids = [keyring.opaque("location", ref) for ref in locations]
        within.append(group_session.c.location_id.in_(ids))
    return and_(true(), *within)


def sees_all(person: Person) -> bool:
    """True for one whose rows are not limited: only they see what belongs to no session."""
    account = person.user.account
    limited = account.practices or account.locations or person.user.role is Role.CLINICIAN
    return person.emergency or not limited


def sessions_seen(person: Person) -> Any:
    """The ids of the sessions that ``person`` may see, as a subquery."""
    return select(group_session.c.id).where(person.rows)


class SignInNeeded(Exception):
    """Nobody is signed in; they go to the sign-in page and come back."""


class Allow:
    """A route's dependency: the person who asks, if they have ``permission``."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> Person:
        person: Person | None = request.state.person
        if person is None:
            raise SignInNeeded
        if person.user.must_change and request.url.path != "/password":
            raise HTTPException(303, headers={"location": "/password"})
        if not person.may(self.permission):
            raise HTTPException(403, "Your role does not include this.")
        if request.method not in ("GET", "HEAD"):
            await _check_token(request, person)
        if self.permission not in _EMERGENCY:
            # An emergency is no reason to act where one never may.
            return replace(person, emergency=False, rows=person.own_rows)
        return person


async def _check_token(request: Request, person: Person) -> None:
    """Refuse a change that does not come from a page that we made for this very session."""
    given = request.headers.get("x-csrf-token")
    if given is None:
        field = (await request.form()).get("csrf")
        given = field if isinstance(field, str) else ""
    if not secrets.compare_digest(given.encode(), person.csrf.encode()):
        raise HTTPException(403, "This page is of an earlier sign-in. Load it again.")


class Public:
    """A route's dependency: open to everyone, on purpose."""

    async def __call__(self, request: Request) -> Person | None:
        person: Person | None = request.state.person
        return person


def guard_of(route: BaseRoute) -> Allow | Public | None:
    """What guards ``route``; None when nothing does."""
    if not isinstance(route, APIRoute):
        return None
    for dependant in route.dependant.dependencies:
        if isinstance(dependant.call, Allow | Public):
            return dependant.call
    return None


def unguarded(routes: Iterable[BaseRoute], *, open_mounts: frozenset[str]) -> list[str]:
    """Routes that state no permission; of a kind that is not known here, any."""
    return [
        getattr(route, "path", repr(route))
        for route in routes
        if not (isinstance(route, Mount) and route.path in open_mounts) and guard_of(route) is None
    ]
