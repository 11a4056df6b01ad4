"""What every document can rely on: data is never markup, and the same facts give the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pypdf
import pytest
import typst
from pydantic import BaseModel

from groupclaim.documents import typeset as documents
from groupclaim.documents.typeset import typeset

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Letter(BaseModel):
    name: str
    cents: int


class Amount(BaseModel):
    """No letter: it names nobody."""

    cents: str


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "templates"
    folder.mkdir()
    shared = documents._TEMPLATES / "page.typ"
    (folder / "page.typ").write_bytes(shared.read_bytes())
    (folder / "letter.typ").write_text(
        '#import "page.typ": *\n#show: page-of.with("A letter")\n= Balance\n'
        "#data.name owes #money(data.cents).\n"
    )
    monkeypatch.setattr(documents, "_TEMPLATES", folder)
    documents._compiler.cache_clear()
    return "letter"


def test_data_is_shown_as_it_stands_and_never_read_as_markup(template: str) -> None:
    hostile = '#read("/etc/passwd") *bold* $x$ \\u{41}'
    pdf = pypdf.PdfReader(io.BytesIO(typeset(template, Letter(name=hostile, cents=-1205), AT)))
    assert f"{hostile} owes -$12.05." in pdf.pages[0].extract_text()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("A \N{GRINNING FACE} B", "A \N{REPLACEMENT CHARACTER} B"),
        ("\u738b\u5c0f Lee", "\N{REPLACEMENT CHARACTER}" * 2 + " Lee"),
        ("A\x1bB\0C", "A\N{REPLACEMENT CHARACTER}B\N{REPLACEMENT CHARACTER}C"),
        ("\\u001b \\u{1b} stays, \x1b not", "\\u001b \\u{1b} stays, \N{REPLACEMENT CHARACTER} not"),
    ],
)
def test_a_character_without_a_letter_keeps_no_document_from_being_made(
    template: str, name: str, shown: str
) -> None:
    pdf = pypdf.PdfReader(io.BytesIO(typeset(template, Letter(name=name, cents=7), AT)))
    assert f"{shown} owes $0.07." in pdf.pages[0].extract_text()


def test_what_does_not_fit_its_template_is_still_told(template: str) -> None:
    with pytest.raises(typst.TypstError):
        typeset(template, Amount(cents="\N{GRINNING FACE}"), AT)


def test_pages_are_tagged_titled_and_dated_by_the_clock_that_is_given(template: str) -> None:
    made = typeset(template, Letter(name="N", cents=7), AT)
    pdf = pypdf.PdfReader(io.BytesIO(made))
    assert pdf.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert pdf.trailer["/Root"]["/Lang"] == "en"
    assert pdf.metadata is not None
    assert pdf.metadata.title == "A letter"
    assert pdf.metadata.creation_date == AT
    assert made == typeset(template, Letter(name="N", cents=7), AT)
    assert "$0.07" in pdf.pages[0].extract_text()


@pytest.mark.parametrize(
    "asking", ['#read("/etc/hostname")', '#read("../secret.txt")', '#include "../secret.typ"']
)
def test_even_a_template_reaches_no_file_outside_its_folder(
    template: str, tmp_path: Path, asking: str
) -> None:
    for name in ("secret.txt", "secret.typ"):
        (tmp_path / name).write_text("a secret")
    path = tmp_path / "templates" / "letter.typ"
    path.write_text(path.read_text() + asking)
    with pytest.raises(typst.TypstError):
        typeset(template, Letter(name="N", cents=7), AT)


def test_no_template_asks_for_packages_or_files() -> None:
    """Nor runs, as code or as markup, what it is given."""
    ours = sorted((Path(documents.__file__).parent / "templates").glob("*.typ"))
    assert ours
    asking = re.compile(r'@preview|@local|https?:|\b(read|eval|plugin|image)\(|include *"')
    for path in ours:
        assert not asking.search(path.read_text()), path.name


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    yield
    documents._compiler.cache_clear()


def test_letters_may_be_typeset_by_several_threads_at_once(template: str) -> None:
    letter = Letter(name="A. Person", cents=100)
    alone = typeset(template, letter, AT)
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda _: typeset(template, letter, AT), range(16)))
    assert set(together) == {alone}
