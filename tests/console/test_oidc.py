"""Signing in by an identity provider: a stand-in that signs, lies and forgets as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from groupclaim.console.oidc import IdentityProvider
from groupclaim.store import audit, people
from tests.console.visitor import Browser, Practice, practice_at

ISSUER = "https://identity.example"
KEY = RSAKey.generate_key(2048, {"kid": "1"}, private=True)
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "1"}, private=True)


@dataclass
class Provider:
    """What the stand-in says of whoever comes; ``lies`` change its answer."""

    lies: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    key: Any = field(default_factory=lambda: KEY)
    challenge: str = ""
    nonce: str = ""
    now: float = 0
    asked: list[dict[str, str]] = field(default_factory=list)

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._describe),
                Route("/keys", self._keys),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _describe(self, request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "issuer": ISSUER,
                "authorization_endpoint": f"{ISSUER}/authorize",
                "token_endpoint": f"{ISSUER}/token",
                "jwks_uri": f"{ISSUER}/keys",
            }
        )

    async def _keys(self, request: Request) -> JSONResponse:
        return JSONResponse({"keys": [KEY.as_dict(private=False)]})

    async def _token(self, request: Request) -> JSONResponse:
        asked = {name: str(value) for name, value in (await request.form()).items()}
        self.asked.append(asked)
        digest = hashlib.sha256(asked["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != self.challenge:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        claims = {
            "iss": ISSUER,
            "aud": "groupclaim",
            "sub": "subject-1",
            "nonce": self.nonce,
            "iat": self.now,
            "exp": self.now + 300,
            "amr": ["pwd", "otp"],
            **self.lies,
        }
        return JSONResponse({"id_token": self._signed(claims), "token_type": "Bearer"})

    def _signed(self, claims: dict[str, Any]) -> str:
        if self.algorithm != "RS256":
            # By hand: the library signs neither so nor with a public key as the secret.
            head = json.dumps({"alg": self.algorithm, "kid": "1"}).encode()
            text = f"{_encoded(head)}.{_encoded(json.dumps(claims).encode())}"
            code = hmac.digest(self.key, text.encode(), "sha256") if self.key else b""
            return f"{text}.{_encoded(code)}"
        header = {"alg": self.algorithm, "kid": "1"}
        return jwt.encode(header, claims, self.key, algorithms=[self.algorithm])


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def practice(tmp_path: Path, provider: Provider) -> AsyncIterator[Practice]:
    identity = IdentityProvider(
        ISSUER,
        "groupclaim",
        SecretStr("ours alone"),
        transport=httpx2.ASGITransport(provider.application()),
    )
    async with practice_at(tmp_path, identity_provider=identity) as made:
        async with made.house.database.transaction() as tx:
            ruth = people.Account(name="Ruth", subject="subject-1")
            assert await people.add_user(tx, ruth, people.Role.BILLER, made.wall()) is None
        provider.now = made.wall().timestamp()
        yield made
    await identity.close()


async def come(practice: Practice, provider: Provider, **changed: str) -> tuple[Browser, Any]:
    """To the provider and back, as a browser goes."""
    browser = practice.browser()
    sent = await browser.get("/sign-in/provider")
    asked = dict(parse_qsl(urlsplit(sent.headers["location"]).query))
    assert asked["code_challenge_method"] == "S256"
    provider.challenge, provider.nonce = asked["code_challenge"], asked["nonce"]
    given = {"code": "c", "state": asked["state"], **changed}
    answer = await browser.get(f"/sign-in/answer?code={given['code']}&state={given['state']}")
    return browser, answer


async def test_whom_the_provider_vouches_for_comes_in(
    practice: Practice, provider: Provider
) -> None:
    browser, answer = await come(practice, provider)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    page = (await browser.get("/")).text
    assert "Ruth, biller" in page
    assert 'href="/password"' not in page
    (asked,) = provider.asked
    assert asked["client_secret"] == "ours alone"
    assert asked["redirect_uri"].endswith("/sign-in/answer")
    async with practice.house.database.reading() as reading:
        user = await people.find(reading, "Ruth")
        assert user is not None
        (noted,) = await audit.entries(reading, user.id)
    assert (noted.actor, noted.action) == ("Ruth", "sign_in")


@pytest.mark.parametrize(
    ("lies", "said"),
    [
        ({"nonce": "of another sign-in"}, "not for this sign-in"),
        ({"aud": "another client"}, "not for this sign-in"),
        ({"aud": ["groupclaim", "other"], "azp": "other"}, "not for this sign-in"),
        ({"iss": "https://other.example"}, "not for this sign-in"),
        ({"sub": ""}, "not for this sign-in"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "expired"),
        ({"iat": 9_999_999_999}, "expired"),
        ({"amr": ["pwd"]}, "second factor"),
        ({"amr": []}, "second factor"),
        ({"amr": ["otp"]}, "second factor"),
        ({"amr": ["sms", "hwk"]}, "second factor"),
        ({"amr": "mfa"}, "second factor"),
        ({"sub": "subject-2"}, "nobody has let you in"),
        ({"sub": "Subject-1"}, "nobody has let you in"),
    ],
)
async def test_an_answer_that_is_not_for_us_lets_nobody_in(
    practice: Practice, provider: Provider, lies: dict[str, Any], said: str
) -> None:
    provider.lies = lies
    browser, answer = await come(practice, provider)
    assert (answer.status_code, said in answer.text) == (403, True), answer.text
    assert (await browser.get("/")).status_code == 303


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", OTHER_KEY),
        ("HS256", KEY.as_pem(private=False)),
        ("HS256", b"ours alone"),
        ("none", None),
    ],
)
async def test_only_the_providers_own_signature_counts(
    practice: Practice, provider: Provider, algorithm: str, key: Any
) -> None:
    """Of another key, by a secret (the public key as one, too), or by none at all."""
    provider.algorithm, provider.key = algorithm, key
    browser, answer = await come(practice, provider)
    assert (answer.status_code, "not signed by it" in answer.text) == (403, True), answer.text
    assert (await browser.get("/")).status_code == 303


async def test_a_sign_in_begun_elsewhere_is_not_finished_here(
    practice: Practice, provider: Provider
) -> None:
    _, answer = await come(practice, provider, state="of another browser")
    assert (answer.status_code, "not begun in this browser" in answer.text) == (403, True)
    assert provider.asked == []
    stranger = practice.browser()
    assert (await stranger.get("/sign-in/answer?code=c&state=s")).status_code == 403


async def test_a_provider_that_is_down_or_another_is_told(practice: Practice) -> None:
    async def down(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(503)

    async def another(request: httpx2.Request) -> httpx2.Response:
        urls = {f"{name}_endpoint": "https://x.example" for name in ("authorization", "token")}
        return httpx2.Response(
            200, json={"issuer": "https://x.example", "jwks_uri": "https://x.example", **urls}
        )

    for answers, said in ((down, "does not answer"), (another, "not the one")):
        identity = IdentityProvider(
            ISSUER, "groupclaim", SecretStr("s"), transport=httpx2.MockTransport(answers)
        )
        with pytest.raises(Exception, match=said):
            await identity.begin("https://claims.example/sign-in/answer")
        await identity.close()
