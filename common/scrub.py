"""Text for logs without what may be private in it, whoever wrote it.

In: any text. Out: the same with tokens and network addresses replaced. Must not: be relied on; what is known to be
private is wrapped (`common.redact`).
"""

import re

PLACEHOLDER = "<redacted>"
_IPV4 = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")
_JWT = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*")


def scrub(text: str) -> str:
    """`text` without tokens and network addresses."""
    for pattern in (_JWT, _IPV4, _IPV6):
        text = pattern.sub(PLACEHOLDER, text)
    return text
