"""What a participant publishes: announcements on one side, sections of its offers on the other, and their match.

In come announcements and offers, out go publications and, through the room, everybody's knowledge of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from common.errors import RemoteError
from common.ids import TrackSid, TransportId, new_sid
from sfu.context import Context
from sfu.limits import MAX_PENDING_TRACKS, MAX_PUBLICATIONS
from sfu.model import PublicationSpec, TrackKind, TrackSource
from sfu.negotiation.answer import Agreement, SectionPlan
from sfu.negotiation.codecs import NAMES, formats_of
from sfu.negotiation.sdp import Section, Session
from sfu.negotiation.transport import carried
from sfu.publication import Publication, PublishingPeer, track_id_of

SID_LETTERS = {
    TrackSource.CAMERA: "C",
    TrackSource.MICROPHONE: "M",
    TrackSource.SCREEN_SHARE: "S",
    TrackSource.SCREEN_SHARE_AUDIO: "s",
}
FALLBACK_CODECS = {TrackKind.AUDIO: "opus", TrackKind.VIDEO: "vp8"}
Matches = dict[str, Publication]  # by mid


class Stage(Protocol):
    """The room, as those who publish in it see it."""

    def publish(self, publication: Publication) -> None:
        """Media of a track is negotiated: everybody may know and subscribe."""

    def unpublish(self, publication: Publication, *, by_server: bool) -> None:
        """A track is over, whether it was published or only announced."""


class Publisher:
    """The publishing side of one peer."""

    def __init__(self, context: Context, peer: PublishingPeer, stage: Stage) -> None:
        """Nothing is announced yet."""
        self._context = context
        self._peer = peer
        self._stage = stage
        self.publications: dict[TrackSid, Publication] = {}
        self._waiting: dict[str, tuple[Section, Agreement]] = {}  # media that nobody announced
        self._transport: TransportId | None = None

    def reserve(self, spec: PublicationSpec) -> TrackSid:
        """Names a track that may be announced."""
        self._check(spec)
        kind = "A" if spec.kind is TrackKind.AUDIO else "V"
        prefix = f"TR_{kind}{SID_LETTERS.get(spec.source, '')}"
        return TrackSid(new_sid(prefix, self._context.choose))

    def announce(self, spec: PublicationSpec, sid: TrackSid | None = None) -> Publication:
        """A track to come; if its section was negotiated already, it is published at once."""
        self._check(spec)
        sid = sid or self.reserve(spec)
        spec = replace(spec, codecs=tuple(_known_codecs(spec)))
        publication = Publication(self._context, self._peer, sid, spec)
        self.publications[sid] = publication
        mid = self._find_waiting(publication)
        if mid is not None:
            section, agreement = self._waiting.pop(mid)
            self._attach(publication, section, agreement)
        return publication

    def find(self, track: TrackSid) -> Publication:
        """An own track. Raises RemoteError `not_found`."""
        try:
            return self.publications[track]
        except KeyError:
            raise RemoteError("not_found", "no such track") from None

    def update(self, track: TrackSid, spec: PublicationSpec) -> None:
        """Other facts of an own track; what it is matched by stays. Raises RemoteError `not_found`."""
        publication = self.find(track)
        codecs = tuple(_known_codecs(replace(spec, kind=publication.spec.kind)))
        publication.update(
            replace(
                spec,
                cid=publication.spec.cid,
                kind=publication.spec.kind,
                codecs=codecs or publication.spec.codecs,
            )
        )

    def may_publish(self, source: TrackSource) -> bool:
        """Whether the permissions allow a track of that source."""
        permissions = self._peer.permissions
        sources = permissions.can_publish_sources
        return permissions.can_publish and (not sources or source in sources)

    def match(self, offer: Session) -> Matches:
        """Finds the track of each sending section; tracks whose section stopped are unpublished."""
        sections = {section.mid: section for section in _sending(offer)}
        for publication in list(self.publications.values()):
            if publication.mid and not _continues(publication, sections.get(publication.mid)):
                self.end(publication, by_server=False)
        matches = {one.mid: one for one in self.publications.values() if one.mid}
        pending = [one for one in self.publications.values() if not one.mid]
        rest = [section for mid, section in sections.items() if mid not in matches]
        identities = {track_id_of(section) for section in rest}
        for exactly in (True, False):
            for section in rest:
                if section.mid in matches or self._is_backup(section):
                    continue
                found = next(
                    (one for one in pending if _fits(one, section, exactly, identities)), None
                )
                if found is not None:
                    pending.remove(found)
                    matches[section.mid] = found
        return matches

    def plans(self, offer: Session, matches: Matches) -> dict[str, SectionPlan]:
        """What we want of each section in which the client sends."""
        plans = {}
        for section in _sending(offer):
            publication = matches.get(section.mid)
            if publication is not None:
                plans[section.mid] = _plan(publication.spec)
            elif self._peer.permissions.can_publish and not self._is_backup(section):
                plans[section.mid] = SectionPlan(receive=True)
        return plans

    def apply(
        self,
        offer: Session,
        matches: Matches,
        agreements: Mapping[str, Agreement],
        transport: TransportId,
    ) -> None:
        """The answer is made: attaches what matched, keeps the rest waiting for its announcement."""
        self._transport = transport
        self._waiting = {}
        for section in _sending(offer):
            agreement = agreements.get(section.mid)
            if agreement is None or not agreement.formats:
                continue
            publication = matches.get(section.mid)
            if publication is not None:
                self._attach(publication, section, agreement)
            elif self._peer.permissions.can_publish and not self._is_backup(section):
                self._waiting[section.mid] = (section, agreement)

    def end(self, publication: Publication, *, by_server: bool) -> None:
        """A track is over."""
        self.publications.pop(publication.sid, None)
        self._stage.unpublish(publication, by_server=by_server)

    def enforce(self) -> None:
        """Permissions changed: ends what is no longer allowed."""
        for publication in list(self.publications.values()):
            if not self.may_publish(publication.spec.source):
                self.end(publication, by_server=True)

    def close(self) -> None:
        """The peer leaves."""
        for publication in list(self.publications.values()):
            self.end(publication, by_server=False)

    def _check(self, spec: PublicationSpec) -> None:
        if not self.may_publish(spec.source):
            raise RemoteError("not_allowed", "publishing this source is not allowed")
        used = {cid for one in self.publications.values() for cid in _cids(one.spec)}
        if not used.isdisjoint(_cids(spec)):
            raise RemoteError("queued", "a track of this cid exists")
        pending = sum(not one.mid for one in self.publications.values())
        if pending >= MAX_PENDING_TRACKS or len(self.publications) >= MAX_PUBLICATIONS:
            raise RemoteError("limit_exceeded", "too many tracks")

    def _attach(self, publication: Publication, section: Section, agreement: Agreement) -> None:
        assert self._transport is not None  # noqa: S101 - sections come with a transport
        changed = publication.attach(section, agreement, self._transport)
        if not publication.published:
            self._stage.publish(publication)
        elif changed:
            publication.restart_subscriptions()

    def _find_waiting(self, publication: Publication) -> str | None:
        identities = {track_id_of(section) for section, _ in self._waiting.values()}
        for exactly in (True, False):
            for mid, (section, _) in self._waiting.items():
                if _fits(publication, section, exactly, identities):
                    return mid
        return None

    def _is_backup(self, section: Section) -> bool:
        """A second codec of a published track: not taken, one codec reaches every subscriber that has it."""
        identity = track_id_of(section)
        return any(
            identity in _cids(one.spec) and one.mid not in ("", section.mid)
            for one in self.publications.values()
        )


def _sending(offer: Session) -> Iterator[Section]:
    """The sections in which the client sends something that we can forward."""
    return (
        section
        for section in offer.sections
        if section.is_rtp
        and section.direction in ("sendrecv", "sendonly")
        and carried(offer, section)
        and formats_of(section)
    )


def _continues(publication: Publication, section: Section | None) -> bool:
    """Whether the section still carries the same track; clients that name none keep theirs."""
    if section is None or section.kind != publication.kind:
        return False
    identity = track_id_of(section)
    known = {publication.sdp_cid} if publication.sdp_cid else _cids(publication.spec)
    return not identity or identity in known or not any(known)


def _fits(publication: Publication, section: Section, exactly: bool, taken: set[str]) -> bool:
    """Exactly: by id. Else by kind, unless the track's own id is on another section (some clients rewrite ids)."""
    if section.kind != publication.kind:
        return False
    cids = _cids(publication.spec)
    if exactly:
        return track_id_of(section) in cids
    return cids.isdisjoint(taken)


def _cids(spec: PublicationSpec) -> set[str]:
    return {cid for cid in (spec.cid, *(cid for _, cid in spec.codecs)) if cid}


def _known_codecs(spec: PublicationSpec) -> Iterator[tuple[str, str]]:
    """Codecs by their short names; what is not enabled becomes the one that everybody has."""
    for codec, cid in spec.codecs:
        name = codec.lower().rpartition("/")[2]
        known = name in NAMES[spec.kind.value]
        yield (name if known else FALLBACK_CODECS[spec.kind]), cid


def _plan(spec: PublicationSpec) -> SectionPlan:
    audio = spec.kind is TrackKind.AUDIO
    preferred = spec.codecs[0][0] if spec.codecs else ""
    # Sealed RED can't be reduced to Opus for subscribers without RED.
    refuse_red = spec.disable_red or spec.encryption != 0
    return SectionPlan(
        receive=True,
        preferred="opus" if preferred == "red" or (audio and not preferred) else preferred,
        red=audio and not refuse_red,
        refuse_red=refuse_red,
        stereo=spec.stereo,
        dtx=not spec.disable_dtx,
    )
