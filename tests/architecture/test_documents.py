"""Documents that come from code are up to date, links lead somewhere, and the text speaks of the project alone."""

import re
import subprocess

import pytest

from scripts.generate_docs import DOCUMENTS
from tests.architecture.test_shape import ROOT, name, tracked

NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_generated_document_is_up_to_date(document: str) -> None:
    assert (ROOT / document).read_text() == DOCUMENTS[document](), "run `make docs`"


def test_every_relative_link_leads_somewhere() -> None:
    broken = [
        f"{name(path)}: {target}"
        for path in tracked(".md")
        for target in LINK.findall(path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert not broken


def test_every_make_target_named_in_documents_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = {
        target
        for path in tracked(".md")
        for target in re.findall(r"`make ([a-z-]+)", path.read_text())
    }
    assert named
    assert not {target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)}


def test_make_help_lists_the_commands() -> None:
    listing = subprocess.run(
        ["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for command in ("run", "test", "lint", "bench", "fuzz", "docs", "clean"):
        assert re.search(rf"^{command}\b", listing, re.MULTILINE)


def test_every_test_that_a_document_names_exists() -> None:
    named = {each for path in tracked(".md") for each in NAMED_TEST.findall(path.read_text())}
    assert len(named) > 20
    missing = [
        f"{file}::{test}"
        for file, test in sorted(named)
        if not (ROOT / file).is_file()
        or not re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert not missing


def test_every_row_of_the_requirements_says_what_shows_it() -> None:
    text = (ROOT / "docs/compliance/requirements.md").read_text()
    rows = [line for line in text.splitlines() if re.match(r"\| [A-E]\d\d", line)]
    assert len(rows) > 20
    assert not [row for row in rows if row.count("|") != 6 or not NAMED_TEST.search(row)]
