"""A program that checks an audit log offline, written from docs/audit-format.md and from nothing else.

In: files that somebody hands over, public keys. Out: two verdicts, integrity and completeness, and what is wrong
where. Must not: import anything of the server, whose work it checks, or trust a byte of what it reads.
"""

VERSION = "1"
