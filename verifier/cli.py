"""The command line: arguments in, a report and an exit code out.

In: arguments. Out: text or one line of JSON on standard output, progress on a terminal's standard error. Must not:
end with a traceback, whatever the files are.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path

from verifier import VERSION, receipts
from verifier.exports import check_export
from verifier.folder import Folder, read_file
from verifier.logs import Options, check_log, own_key
from verifier.notes import PublicKey, open_checkpoint
from verifier.report import INTERRUPTED, USAGE, Misused, Refused, Report, clean
from verifier.timestamps import MAX_ANSWER, check_timestamp, read_roots

SHOWN_FROM = 200_000  # entries; below it the end comes before anybody wonders


def main(arguments: Sequence[str]) -> int:
    """Runs a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], Report] = options.run
    try:
        report = command(options)
    except (Misused, OSError) as error:
        print(f"verifier: {clean(str(error))}", file=sys.stderr)
        return USAGE
    except BrokenExecutor:
        print("verifier: a process ended before its work was done", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    try:
        print(report.json() if options.json else report.text(), flush=True)
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return report.code


def show_progress(done: int, size: int) -> None:
    """A line on a terminal that the next one overwrites."""
    if size >= SHOWN_FROM and sys.stderr.isatty():
        end = "\n" if done >= size else ""
        print(f"\r\x1b[2K{done:,} of {size:,} entries", end=end, file=sys.stderr, flush=True)


def _log(options: argparse.Namespace) -> Report:
    report = Report("log", completeness=True)
    check_log(
        options.folder,
        Options(
            keys=_keys(options.key),
            witnesses=_keys(options.witness),
            known=options.known,
            state=options.state,
            roots=read_roots(options.ca),
            jobs=options.jobs,
            progress=show_progress,
        ),
        report,
    )
    return report


def _export(options: argparse.Namespace) -> Report:
    report = Report("export", completeness=True)
    check_export(options.file, _keys(options.key), report)
    return report


def _inclusion(options: argparse.Namespace) -> Report:
    report = Report("inclusion", completeness=False)
    entry = receipts.read_entry(options.entry)
    data = receipts.read_given(options.proof, receipts.MAX_RECEIPT)
    receipts.check_receipt(data, entry, None, _needed(options), report)
    return report


def _receipt(options: argparse.Namespace) -> Report:
    report = Report("receipt", completeness=False)
    entry = receipts.read_entry(options.entry) if options.entry else None
    data = receipts.read_given(options.file, receipts.MAX_RECEIPTS)
    keys, folder = _needed(options, report), _folder(options)
    if data.startswith(b"{"):
        receipts.check_receipts(data, folder, keys, report)
    else:
        receipts.check_receipt(data, entry, folder, keys, report)
    return report


def _consistency(options: argparse.Namespace) -> Report:
    report = Report("consistency", completeness=False)
    proof = None
    if options.proof:
        try:
            proof = receipts.parse_proof(receipts.read_given(options.proof, receipts.MAX_RECEIPT))
        except Refused as error:
            report.broken(error.code, error.message, file=str(options.proof))
            return report
    old, new = receipts.read_note(options.old), receipts.read_note(options.new)
    keys = _needed(options, report)
    receipts.check_consistency(old, new, proof, _folder(options), keys, report)
    return report


def _timestamp(options: argparse.Namespace) -> Report:
    report = Report("timestamp", completeness=False)
    note, answer = receipts.read_note(options.note), receipts.read_given(options.file, MAX_ANSWER)
    keys, roots = _needed(options), read_roots(options.ca)
    try:
        checkpoint = open_checkpoint(note, keys)
        time = check_timestamp(answer, note, roots).isoformat()
    except Refused as error:
        report.broken(error.code, error.message)
        return report
    report.facts |= {"origin": checkpoint.origin, "size": checkpoint.size, "time": time}
    report.lines.append(
        f"{checkpoint.origin}: the first {checkpoint.size:,} entries existed at {time}"
    )
    return report


def _folder(options: argparse.Namespace) -> Folder | None:
    return Folder(options.log) if options.log else None


def _needed(options: argparse.Namespace, report: Report | None = None) -> list[PublicKey]:
    """Keys that were given, or the one beside the log. Raises Misused without any."""
    keys = _keys(options.key)
    if not keys and report is not None and options.log:
        keys = own_key(Folder(options.log), report)
    if not keys:
        raise Misused("give the log's public key with --key")
    return keys


def _keys(texts: list[str]) -> list[PublicKey]:
    """Keys given as text or as files that hold one a line. Raises Misused."""
    keys = []
    for text in texts:
        lines = [text]
        if "+" not in text or Path(text).is_file():
            try:
                content = read_file(Path(text), 100_000).decode("utf-8", "replace")
            except Refused as error:
                raise Misused(f"the key {text}: {error.message}") from error
            lines = [line for line in content.splitlines() if line.strip()]
        try:
            keys += [PublicKey.parse(line) for line in lines]
        except Refused as error:
            raise Misused(f"the key {text}: {error.message}") from error
    return keys


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verifier",
        description="Checks an audit log, or parts of it, without the server that wrote it.",
        epilog="Exit codes: 0 intact and complete, 1 integrity broken, 2 wrong call, 3 incomplete.",
    )
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], Report], text: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        command.add_argument(
            "--key", action="append", default=[], help="public key of the log, or its file"
        )
        command.add_argument("--json", action="store_true", help="one JSON object instead of text")
        return command

    log = add("log", _log, "Check a whole log: tiles, entries, checkpoints, journal.")
    log.add_argument("folder", type=Path, help="folder of the log, stopped or running")
    log.add_argument("--witness", action="append", default=[], help="public key of a witness")
    log.add_argument("--known", action="append", default=[], type=Path,
                     help="checkpoint or receipt of this log that was kept elsewhere")  # fmt: skip
    log.add_argument(
        "--state", type=Path, help="folder where the log's keeper remembers what it signed"
    )
    log.add_argument(
        "--ca", action="append", default=[], type=Path, help="root certificates of an authority"
    )
    log.add_argument(
        "--jobs", type=int, default=0, help="processes; default: one for each processor"
    )

    export = add("export", _export, "Check an export of JSON lines that proves itself.")
    export.add_argument("file", type=Path, help="the export")

    inclusion = add("inclusion", _inclusion, "Check that an entry is in a log, by a proof.")
    inclusion.add_argument("proof", type=Path, help="the receipt")
    inclusion.add_argument("entry", type=Path, help="the entry's bytes")

    receipt = add("receipt", _receipt, "Check a receipt with its entry, or with the log it is of.")
    receipt.add_argument("file", type=Path, help="the receipt")
    receipt.add_argument("--entry", type=Path, help="the entry's bytes")
    receipt.add_argument("--log", type=Path, help="folder of the log")

    consistency = add("consistency", _consistency, "Check that one checkpoint extends another.")
    consistency.add_argument("old", type=Path, help="the earlier checkpoint, or a receipt with it")
    consistency.add_argument("new", type=Path, help="the later checkpoint, or a receipt with it")
    consistency.add_argument("--proof", type=Path, help="hashes in base64, one a line")
    consistency.add_argument("--log", type=Path, help="folder of the log, in place of a proof")

    stamp = add("timestamp", _timestamp, "Check a time-stamp (RFC 3161) over a checkpoint.")
    stamp.add_argument("file", type=Path, help="the authority's answer")
    stamp.add_argument("note", type=Path, help="the checkpoint that it is over")
    stamp.add_argument("--ca", action="append", required=True, type=Path,
                       help="PEM file with root certificates")  # fmt: skip
    return parser
