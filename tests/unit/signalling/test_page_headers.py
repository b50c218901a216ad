"""The page is served under the headers that its own tests ran under, and these allow nothing from elsewhere."""

import re
from pathlib import Path

from signalling.page import HEADERS, POLICY

TESTED = (Path(__file__).resolve().parents[3] / "web/page-headers.ts").read_text()


def test_the_server_sends_what_the_tests_of_the_page_ran_under() -> None:
    directives = re.findall(r'^  "(.+)",$', TESTED, re.MULTILINE)
    headers = dict(re.findall(r"^  '([\w-]+)': '(.+)',$", TESTED, re.MULTILINE))
    assert POLICY == "; ".join(directives)
    assert HEADERS == headers | {"Content-Security-Policy": POLICY}


def test_nothing_inline_nothing_evaluated_nothing_from_elsewhere() -> None:
    rules = dict(directive.split(" ", 1) for directive in POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert set(rules.values()) == {"'none'", "'self'"}
