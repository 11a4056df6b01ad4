"""Sign-in by an identity provider: OpenID Connect, authorization code with PKCE.

Who the provider says has come must be let in here by an administrator: the subject decides, and
the role is ours. The provider must say that several factors were used (``amr``), unless the
practice's settings leave that to it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import httpx2
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

_LEEWAY_SECONDS = 60
_KNOWN = frozenset({"pwd", "pin", "kba"})
_HAD = frozenset({"otp", "sms", "tel", "hwk", "swk", "sc"})
_OWN = frozenset({"face", "fpt", "iris", "retina", "vbm"})
"""What somebody knows, has and is, as methods of RFC 8176 name it."""


def _several(methods: object) -> bool:
    """Whether a sign-in by these took factors of two kinds, or the provider says that it did."""
    told = methods if isinstance(methods, list) else []
    used = {item for item in told if isinstance(item, str)}
    return "mfa" in used or sum(bool(used & kind) for kind in (_KNOWN, _HAD, _OWN)) > 1


class SignInFailed(Exception):
    """The provider did not vouch for anyone; the text is for the person who tried."""


class _Endpoints(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at signing in, kept in the browser's cookie until the provider sends it back."""

    state: str
    nonce: str
    verifier: str


class IdentityProvider:
    """One OpenID Connect provider. ``several_factors``: refuse who used only one."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: SecretStr,
        *,
        several_factors: bool = True,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._issuer = issuer.rstrip("/")
        self._client_id = client_id
        self._client_secret = client_secret
        self._several_factors = several_factors
        self._http = httpx2.AsyncClient(timeout=10, transport=transport)
        self._endpoints: _Endpoints | None = None

    async def close(self) -> None:
        await self._http.aclose()

    async def begin(self, redirect_uri: str) -> tuple[str, Attempt]:
        """Where to send the browser, and what to remember of it."""
        endpoints = await self._discover()
        attempt = Attempt(
            secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        )
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": create_s256_code_challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        return f"{endpoints.authorization_endpoint}?{urlencode(asked)}", attempt

    async def finish(
        self, code: str, state: str, attempt: Attempt, redirect_uri: str, at: datetime
    ) -> str:
        """The subject that the provider vouches for. Raises :class:`SignInFailed`."""
        if not secrets.compare_digest(state.encode(), attempt.state.encode()):
            raise SignInFailed("The sign-in was not begun in this browser. Begin again.")
        endpoints = await self._discover()
        answer = await self._json(
            "POST",
            endpoints.token_endpoint,
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": attempt.verifier,
                "client_id": self._client_id,
                "client_secret": self._client_secret.get_secret_value(),
            },
        )
        claims = await self._claims(str(answer.get("id_token", "")), endpoints)
        self._check(claims, endpoints, attempt, at)
        return str(claims["sub"])

    async def _claims(self, token: str, endpoints: _Endpoints) -> dict[str, Any]:
        keys: Any = await self._json("GET", endpoints.jwks_uri)
        try:
            # Only signatures that need the provider's private key; never "none", never HMAC.
            claims: dict[str, Any] = jwt.decode(
                token, KeySet.import_key_set(keys), algorithms=["RS256", "PS256", "ES256"]
            ).claims
        except (JoseError, ValueError, KeyError):
            raise SignInFailed("The identity provider's answer is not signed by it.") from None
        return claims

    def _check(
        self, claims: dict[str, Any], endpoints: _Endpoints, attempt: Attempt, at: datetime
    ) -> None:
        now = at.timestamp()
        audience = claims.get("aud")
        ours = self._client_id in (audience if isinstance(audience, list) else [audience])
        if (
            claims.get("iss") != endpoints.issuer
            or not ours
            or claims.get("azp", self._client_id) != self._client_id
            or claims.get("nonce") != attempt.nonce
            or not claims.get("sub")
        ):
            raise SignInFailed("The identity provider's answer is not for this sign-in.")
        expires, issued = claims.get("exp"), claims.get("iat")
        if (
            not isinstance(expires, int | float)
            or now > expires + _LEEWAY_SECONDS
            or not isinstance(issued, int | float)
            or now < issued - _LEEWAY_SECONDS
        ):
            raise SignInFailed("The identity provider's answer has expired. Begin again.")
        if self._several_factors and not _several(claims.get("amr")):
            raise SignInFailed("Sign in with a second factor: this practice requires it.")

    async def _discover(self) -> _Endpoints:
        if self._endpoints is None:
            found = await self._json("GET", f"{self._issuer}/.well-known/openid-configuration")
            try:
                endpoints = _Endpoints.model_validate(found)
            except ValidationError:
                raise SignInFailed("The identity provider does not describe itself.") from None
            if endpoints.issuer.rstrip("/") != self._issuer:
                raise SignInFailed("The identity provider is not the one that is configured.")
            self._endpoints = endpoints
        return self._endpoints

    async def _json(self, method: str, url: str, **given: Any) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, url, **given)
            answer.raise_for_status()
            content = answer.json()
        except (httpx2.HTTPError, ValueError):
            raise SignInFailed("The identity provider does not answer. Try again soon.") from None
        if not isinstance(content, dict):
            raise SignInFailed("The identity provider's answer cannot be read.")
        return content
