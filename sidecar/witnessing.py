"""Both ends of witnessing: what this witness cosigned, and this log's checkpoints on their way to its witnesses.

In: requests of other logs; checkpoints of this one. Out: answers, once they may be given; a checkpoint with
cosignatures. Must not: answer before the decision is durable, or hold the log up for a witness that is away.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from common.clock import Clock
from compliance.files import Files, replace_file
from crypto.notes import Checkpoint, NoteError, Verifier, open_note
from sidecar.metrics import Metrics
from sidecar.service import Service
from sidecar.witness import MAX_REQUEST, SIZE_TYPE, Cosigned, Declined, Request, Witness

if TYPE_CHECKING:
    import httpx  # slow to import, and few have witnesses

FOLDER: Final = "witnessed"
EVIDENCE: Final = "evidence"
MAX_EVIDENCE: Final = 1000  # files; one is enough to convict
COSIGNED: Final = "checkpoint.cosigned"
TIMEOUT: Final = 5.0  # seconds for a witness to answer
ATTEMPTS: Final = 3  # with the size that a witness names, before the next checkpoint is tried
log = logging.getLogger(__name__)


class WitnessDesk:
    """The witness with its memory. Requests are decided one after the other."""

    def __init__(self, witness: Witness, files: Files, clock: Clock, metrics: Metrics) -> None:
        """Finds what earlier runs cosigned. Raises NoteError if it cannot be read, OSError."""
        self._witness = witness
        self._files = files
        self._clock = clock
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, "witness")
        self._seen: dict[str, Checkpoint] = {}
        for folder in (FOLDER, EVIDENCE):
            files.make_folder(folder)
        for name in files.list(FOLDER):
            if "." not in name:
                checkpoint = Checkpoint.decode(files.read(f"{FOLDER}/{name}").decode())
                self._seen[checkpoint.origin] = checkpoint

    async def answer(self, body: bytes) -> Cosigned | Declined:
        """Decides, remembers, then answers. Raises OSError; then nothing was cosigned."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._decide, body)

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown()

    def _decide(self, body: bytes) -> Cosigned | Declined:
        decision = self._witness.consider(body, self._seen, wall=self._clock.wall())
        if isinstance(decision, Cosigned):
            checkpoint = decision.checkpoint
            name = hashlib.sha256(checkpoint.origin.encode()).hexdigest()
            replace_file(self._files, f"{FOLDER}/{name}", checkpoint.encode().encode())
            self._seen[checkpoint.origin] = checkpoint
        elif decision.outcome in ("split_view", "growth_unproven"):
            log.error("a log signed what does not extend its last checkpoint: %s", decision.outcome)
            self._keep_evidence(body)
        self._metrics.witnessed.labels(decision.outcome).inc()
        return decision

    def _keep_evidence(self, body: bytes) -> None:
        """The request holds the log's own signature under a checkpoint that should not exist."""
        if len(self._files.list(EVIDENCE)) < MAX_EVIDENCE:
            name = hashlib.sha256(body).hexdigest()
            replace_file(self._files, f"{EVIDENCE}/{name}", body)


@dataclass(slots=True)
class _Other:
    url: str
    verifier: Verifier
    size: int = 0  # of the checkpoint it cosigned last


class Feeder:
    """Shows every checkpoint to the witnesses; what appears while they are asked is shown next."""

    def __init__(
        self,
        service: Service,
        files: Files,
        witnesses: list[tuple[str, Verifier]],
        metrics: Metrics,
        client: httpx.AsyncClient,
    ) -> None:
        """`witnesses` are submission prefixes with the keys that cosign there."""
        self._service = service
        self._files = files
        self._others = [_Other(url.rstrip("/"), verifier) for url, verifier in witnesses]
        self._metrics = metrics
        self._client = client
        self._new = asyncio.Event()
        self._covered_at = service.now()  # when every witness had cosigned the published checkpoint
        service.on_published.append(self._new.set)
        metrics.watch("conclave_audit_witness_age_seconds", self._age)

    async def run(self) -> None:
        """Works until cancelled."""
        self._new.set()
        while True:
            await self._new.wait()
            self._new.clear()
            await self.show()
            self._age()

    async def show(self) -> None:
        """Asks all witnesses about the published checkpoint and publishes what they sign."""
        answers = await asyncio.gather(*(self._ask(other) for other in self._others))
        notes: dict[str, list[str]] = {}
        for note, line in answers:
            if line:
                notes.setdefault(note, []).append(line)
        if notes:
            note = max(notes, key=lambda each: int(each.split("\n")[1]))
            data = (note + "".join(notes[note])).encode()
            await asyncio.to_thread(replace_file, self._files, COSIGNED, data)

    def _age(self) -> float:
        """How long a checkpoint has lacked a cosignature."""
        if all(other.size >= self._service.published for other in self._others):
            self._covered_at = self._service.now()
        return self._service.now() - self._covered_at

    async def _ask(self, other: _Other) -> tuple[str, str]:
        """The note shown and the cosignature line of a witness, "" if it gave none."""
        from httpx import HTTPError  # noqa: PLC0415 - loaded by whoever made the client

        note, outcome, line = "", "conflict", ""
        for _ in range(ATTEMPTS):
            note, proof = await self._service.growth(other.size)
            body = Request(other.size, tuple(proof), note).encode()
            try:
                response = await self._client.post(
                    f"{other.url}/add-checkpoint", content=body.encode(), timeout=TIMEOUT
                )
            except HTTPError:
                outcome = "unreachable"
                break
            if response.status_code == 409 and self._learn_size(other, response):
                continue
            outcome, line = self._read(other, note, response)
            break
        self._metrics.cosigned.labels(outcome).inc()
        return note, line

    def _learn_size(self, other: _Other, response: httpx.Response) -> bool:
        """A witness that has seen more or less than we thought says how much."""
        text = response.text.strip()
        if response.headers.get("content-type") != SIZE_TYPE or not text.isdecimal():
            return False
        size = int(text)
        if size == other.size or size > self._service.published:
            return False  # the same size under another root, or more than there is: a split view
        other.size = size
        return True

    def _read(self, other: _Other, note: str, response: httpx.Response) -> tuple[str, str]:
        if response.status_code != 200 or len(response.content) > MAX_REQUEST:
            log.error("the witness %s declines: %d", other.verifier.name, response.status_code)
            return "declined", ""
        try:
            text, signatures = open_note(note + response.text, [other.verifier])
        except NoteError:
            return "signature_wrong", ""
        other.size = Checkpoint.decode(text).size
        lines = [
            line
            for line in response.text.splitlines()
            if f" {signatures[0].verifier.name} " in line
        ]
        return "cosigned", lines[0] + "\n"
