"""The API as one application, with the document that describes it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from groupclaim import __version__
from groupclaim.console.api import intake, status
from groupclaim.console.api.door import REFUSALS, Problem, guard, scope_of
from groupclaim.console.console import Console

_DESCRIPTION = """\
Hands in what a practice has, and tells what becomes of it.

Every request carries a key: `Authorization: Bearer gck_...` (`groupclaim api-key add`). Every
change carries an `Idempotency-Key` of the caller's choice: the same request under the same key has
its effect once and is answered the same for a week; another request under it is refused. Refusals
are problem documents (RFC 9457). References that are handed in are the practice's own ids; what is
told back are groupclaim's, which say nothing about whose they are. Amounts are in cents of a US
dollar, times in UTC.
"""


class UnscopedRoute(RuntimeError):
    """A route asks for no scope, so nothing is served."""


def create_api(console: Console) -> FastAPI:
    """The application. Raises :class:`UnscopedRoute` while any route is open by mistake."""
    api = FastAPI(
        title="groupclaim",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses=REFUSALS,
        redirect_slashes=False,
    )
    api.state.console = console
    for router in (intake.router, status.router):
        api.router.routes.extend(router.routes)
    open_routes = [
        route.path
        for route in api.routes
        if isinstance(route, APIRoute) and scope_of(route) is None
    ]
    if open_routes:
        raise UnscopedRoute(f"no scope stated: {', '.join(open_routes)}")
    guard(api, console)
    described = api.openapi

    def with_problems() -> dict[str, Any]:
        if api.openapi_schema is None:
            schemas = described().setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema()
        return described()

    api.openapi = with_problems  # type: ignore[method-assign]
    return api
