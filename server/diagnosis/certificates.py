"""Checks of HTTPS: the files that the server is configured with, and the handshake that clients make.

In: a configuration, or the address of a running server. Out: findings. Must not: send more than a handshake.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from common.clock import Clock
from common.errors import LocalError
from crypto.certificates import read_certificate
from server.config import Config
from server.diagnosis.finding import Finding, fault, ok, warning

HANDSHAKE_SECONDS: Final = 5.0
SOON: Final = 14 * 86_400  # seconds: renewals that still work happen earlier
EXPIRED_REMEDY = "Renew the certificate, and restart the server with it."
KEY_REMEDY = "Name the key that the certificate was made for in http.private_key."
NAME_REMEDY = (
    "Get a certificate that has this name in its subjectAltName, or use a name that it has."
)
TRUST_REMEDY = "Have it signed by an authority that clients know, and serve the chain with it."
# X509_verify_cert_error_string(3); anything else is a matter of trust.
_CODES: Final = {
    9: ("certificate_not_yet_valid", "Set the clock of this machine, or wait."),
    10: ("certificate_expired", EXPIRED_REMEDY),
    62: ("certificate_name_mismatch", NAME_REMEDY),
    64: ("certificate_name_mismatch", NAME_REMEDY),
}


def check_files(config: Config, clock: Clock) -> Iterable[Finding]:
    """Whether certificate and key belong together and the certificate is of today."""
    http = config.file.http
    if not http.certificate:
        return
    try:
        facts = read_certificate(Path(http.certificate).read_bytes())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(http.certificate, http.private_key)
    except (LocalError, OSError) as error:
        yield _unloadable(error)
        return
    now = clock.wall()
    until = datetime.fromtimestamp(facts.not_after, UTC).date()
    if facts.not_after < now:
        message = f"the certificate expired on {until}"
        yield fault("certificate", "certificate_expired", message, EXPIRED_REMEDY)
    elif facts.not_before > now:
        yield fault(
            "certificate",
            "certificate_not_yet_valid",
            "the certificate is not valid yet",
            "Set the clock of this machine, or wait.",
        )
    elif facts.not_after < now + SOON:
        message = f"the certificate expires on {until}"
        yield warning("certificate", "certificate_expires_soon", message, EXPIRED_REMEDY)
    else:
        names = ", ".join(facts.names) or "no host name"
        yield ok("certificate", f"the certificate is for {names}, until {until}")


def _unloadable(error: LocalError | OSError) -> Finding:
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        message = "the private key is not the certificate's"
        return fault("certificate", "certificate_key_mismatch", message, KEY_REMEDY)
    why = error.message if isinstance(error, LocalError) else error.strerror or str(error)
    return fault(
        "certificate",
        "certificate_unreadable",
        f"certificate or key cannot be used ({why})",
        "Both have to be PEM files that this user may read; the key without a passphrase.",
    )


async def check_handshake(url: str) -> list[Finding]:
    """Whether clients would trust what the server shows for the name in its URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "wss"):
        return []
    host = parts.hostname or ""
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            _, writer = await asyncio.open_connection(
                host, parts.port or 443, ssl=ssl.create_default_context()
            )
            writer.close()
    except ssl.SSLCertVerificationError as error:
        untrusted = ("certificate_untrusted", TRUST_REMEDY)
        code, remedy = _CODES.get(error.verify_code, untrusted)
        message = f"clients refuse the certificate at {host}: {error.verify_message}"
        return [fault("certificate_shown", code, message, remedy)]
    except ssl.SSLError as error:
        message = f"no TLS at {host} ({error.reason})"
        remedy = "Use the port that speaks HTTPS, or http:// in the address."
        return [fault("certificate_shown", "tls_failed", message, remedy)]
    except (OSError, TimeoutError):
        return []  # the join tells that nobody answers
    return [ok("certificate_shown", f"clients trust the certificate for {host}")]
