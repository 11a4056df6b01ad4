"""Requests made to break out by paths, headers and bodies: none fails here, none gets out."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.console.api.test_api import system
from tests.console.visitor import Practice, practice_at


@pytest.fixture(scope="module")
async def practice(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Practice]:
    async with practice_at(tmp_path_factory.mktemp("hostile"), requests_a_minute=10_000) as made:
        yield made


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../../pyproject.toml",
        "/static/..%2f..%2f..%2f..%2fpyproject.toml",
        "/static/%2e%2e/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/..%5c..%5capp.py",
        "/static/a%00b",
        "/claims/..%2f..%2fetc%2fpasswd",
        "/claims/%00",
        "/claims/GC'%20OR%20'1'='1",
        "/sessions?page=-1",
        "/sessions?page=99999999999999999999999",
        "/sessions?sort=id;DROP%20TABLE%20claim",
        "/?reason=%00%ff",
        "/%ff%fe",
        "/" + "a" * 5_000,
    ],
)
async def test_no_path_gets_out_or_fails(practice: Practice, path: str) -> None:
    browser = await practice.signed_in("biller")
    answer = await browser.get(path)
    assert answer.status_code < 500
    assert "root:" not in answer.text
    assert "[build-system]" not in answer.text
    assert "create_app" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "injected", ["%0d%0aset-cookie:%20planted=1", "%0aplanted:%201", "%E5%98%8Dx"]
)
async def test_no_header_can_be_injected(practice: Practice, injected: str) -> None:
    for browser in (practice.browser(), await practice.signed_in("biller")):
        for path in (f"/sign-in?next=/{injected}", f"/claims/{injected}", f"/{injected}"):
            answer = await browser.get(path)
            assert answer.status_code < 500
            assert "planted" not in answer.headers
            assert "planted" not in answer.headers.get("set-cookie", "")
            assert "\n" not in "".join(answer.headers.values())


TRAVERSING = (
    b'--x\r\ncontent-disposition: form-data; name="name"; filename="../../x"\r\n\r\ny\r\n--x--'
)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"name=" + b"&" * 10_000),
        ("application/x-www-form-urlencoded", b"%ff%00=%ff%00"),
        ("application/json", b"[" * 50_000),
        ("multipart/form-data; boundary=x", b"--x\r\n" * 10_000),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", TRAVERSING),
        ("text/xml", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    ],
)
async def test_no_body_fails_at_a_form_or_at_the_api(
    practice: Practice, kind: str, body: bytes
) -> None:
    """At the API with a key that may do everything: without one nobody looks at the body."""
    browser = practice.browser()
    caller = await system(practice, name=f"{kind} {len(body)}"[-60:])
    headers = {"content-type": kind}
    for method in ("POST", "PUT"):
        answer = await browser.http.request(method, "/sign-in", content=body, headers=headers)
        assert 400 <= answer.status_code < 500
        assert "root:" not in answer.text
    for path in ("/sessions", "/practice", "/fhir", "/attendance"):
        named = {**headers, "idempotency-key": f"hostile {path}"}
        answer = await caller.http.post(f"/api/v1{path}", content=body, headers=named)
        assert answer.status_code in (400, 415, 422), path
        assert answer.headers["content-type"] == "application/problem+json"
        assert "root:" not in answer.text
