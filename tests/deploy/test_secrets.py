"""No secret lies in the tree: private keys, tokens of known services, passwords written down."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]

SECRETS = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}"
    rb"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    rb"|\bgh[oprsu]_[A-Za-z0-9]{36}|\bgithub_pat_\w{40}|\bglpat-[\w-]{20}"
    rb"|\b(?:sk|rk)_live_[A-Za-z0-9]{16}|\bwhsec_[A-Za-z0-9]{24}"
    rb"|\bxox[abeoprs]-[A-Za-z0-9-]{20}|\bAIza[\w-]{35}"
    rb"|\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20}"
    rb"|://[a-z0-9_]+:(?!PASSWORD|\$|\{|<|secret@|\.\.\.)[^\s@/\"'{}<>*]{8,}@"
)


def secrets_in(content: bytes) -> list[bytes]:
    return [found[0] for found in SECRETS.finditer(content)]


def test_no_file_of_the_checkout_holds_a_secret() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [CHECKOUT / name for name in listed.stdout.decode().split("\0") if name]
    else:  # unpacked without its repository
        parts = {".venv", ".git", "state", "dist"}
        paths = [path for path in CHECKOUT.rglob("*") if not parts & set(path.parts)]
    files = [path for path in paths if path.is_file()]
    assert len(files) > 500
    assert {
        str(path.relative_to(CHECKOUT)): found
        for path in files
        if (found := secrets_in(path.read_bytes()))
    } == {}


@pytest.mark.parametrize(
    "planted",
    [
        "-----BEGIN OPENSSH " + "PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjEAAAAA" * 2,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "sk_live_" + "4eC39HqLyjWDarjt",
        "postgresql://groupclaim:" + "correcthorse@db/claims",
        "eyJ" + "hbGciOiJIUzI1NiIsInR5" + ".eyJ" + "zdWIiOiIxMjM0NTY3ODkw" + "." + "S" * 24,
    ],
)  # fmt: skip
def test_a_planted_secret_is_found(planted: str) -> None:
    assert len(secrets_in(f"before {planted} after".encode())) == 1
