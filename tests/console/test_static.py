"""What browsers get from us is what was vendored: nothing comes from elsewhere."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import groupclaim.console

CONSOLE = Path(groupclaim.console.__file__).parent
HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""SHA-256 of dist/htmx.min.js in htmx.org 2.0.11, as the npm package holds it."""


def test_htmx_is_the_release_that_was_vendored() -> None:
    assert sha256((CONSOLE / "static" / "htmx.min.js").read_bytes()).hexdigest() == HTMX


def test_pages_load_nothing_from_elsewhere_and_have_no_code_or_style_of_their_own() -> None:
    pages = sorted((CONSOLE / "templates").glob("*.html"))
    assert pages
    for path in pages:
        text = path.read_text()
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text), path.name
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path.name
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"", text), path.name
