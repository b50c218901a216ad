"""A real time-stamping authority: keys and certificates made here, answers by `openssl ts`, over HTTP."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONFIGURATION = """
[tsa]
default_tsa = own
[own]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
certs = {folder}/chain.pem
signer_key = {folder}/tsa.key
signer_digest = {digest}
default_policy = 1.2.3.4.1
digests = {accepted}
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = {ess}
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[leaf]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
[other]
extendedKeyUsage = critical,serverAuth
keyUsage = critical,digitalSignature
"""
KINDS = {
    "rsa": ["-newkey", "rsa:2048"],
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
}


class Authority:
    """Everything in a folder: `root.pem` is to be trusted."""

    def __init__(self, folder: Path, kind: str = "p256", *, purpose: str = "leaf", days: int = 30,
                 digest: str = "sha256", accepted: str = "sha256", ess: str = "sha256") -> None:  # fmt: skip
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        text = CONFIGURATION.format(folder=folder, digest=digest, accepted=accepted, ess=ess)
        (folder / "configuration").write_text(text)
        (folder / "serial").write_text("01\n")
        self._certificate("root", "root", kind, "ca", days)
        self._certificate("middle", "root", kind, "ca", days)
        self._certificate("tsa", "middle", kind, purpose, days)
        chain = (folder / "middle.pem").read_text() + (folder / "root.pem").read_text()
        (folder / "chain.pem").write_text(chain)
        self.root = folder / "root.pem"
        self.answers = 0
        self.tamper: Callable[[bytes], bytes | None] = lambda answer: (
            answer
        )  # None: an error of HTTP

    def answer(self, query: bytes) -> bytes:
        """The answer to a query."""
        (self.folder / "query").write_bytes(query)
        self._run(
            "ts", "-reply", "-config", "configuration", "-queryfile", "query", "-out", "answer"
        )
        self.answers += 1
        return (self.folder / "answer").read_bytes()

    def stamp(self, data: bytes) -> bytes:
        """A time-stamp over some bytes, asked for by openssl too."""
        (self.folder / "data").write_bytes(data)
        self._run("ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "question")
        return self.answer((self.folder / "question").read_bytes())

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The URL while it listens on loopback."""
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.headers["content-type"] == "application/timestamp-query"
                answer = authority.tamper(authority.answer(body))
                self.send_response(200 if answer is not None else 503)
                self.send_header("content-type", "application/timestamp-reply")
                self.send_header("content-length", str(len(answer or b"")))
                self.end_headers()
                self.wfile.write(answer or b"")

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _certificate(self, name: str, issuer: str, kind: str, section: str, days: int) -> None:
        common = [
            "-subj",
            f"/CN={name} of the test",
            "-extensions",
            section,
            "-config",
            "configuration",
        ]
        key = [*KINDS[kind], "-nodes", "-keyout", f"{name}.key"]
        signer = [] if name == issuer else ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"]
        self._run("req", "-x509", *common, *key, *signer, "-days", str(days), "-out", f"{name}.pem")

    def _run(self, *arguments: str) -> None:
        command = ["openssl", *arguments]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=30)
