//! Frame facts of one RTP stream: which packet starts, ends and belongs to a key frame, and its layers.
//!
//! In: a packet's numbers, payload and descriptor bytes. Out: [`FrameFacts`]. Layers come from the dependency
//! descriptor where there is one, else from the payload descriptor, else from the payload's first bytes.
//! It remembers the packet before and the newest key frame, because most packets do not tell by themselves.

use super::dependency::{Dependency, DependencyReader};
use super::h264::UnitFacts;
use super::{av1, h264, h265, red, vp8, vp9};
use crate::drop::DropReason;
use crate::media::{Codec, CodecFacts, FrameFacts};

/// One packet with a payload, as far as frames are concerned.
#[derive(Clone, Copy, Debug)]
pub struct FrameInput<'a> {
    /// Codec by payload type.
    pub codec: Codec,
    /// Unwrapped sequence number.
    pub n: u64,
    /// Unwrapped time stamp.
    pub t: u64,
    /// Marker bit.
    pub marker: bool,
    /// Payload without padding, not empty.
    pub payload: &'a [u8],
    /// Dependency descriptor, empty if absent.
    pub descriptor: &'a [u8],
}

/// The newest packet that was read.
#[derive(Clone, Copy, Debug)]
struct Previous {
    n: u64,
    t: u64,
    marker: bool,
}

/// Reads the frames of one RTP stream.
#[derive(Clone, Debug, Default)]
pub struct FrameReader {
    dependency: DependencyReader,
    previous: Option<Previous>,
    /// Time stamp of the newest key frame.
    key_time: Option<u64>,
    /// Frame number of the newest key frame by descriptor.
    key_frame: Option<u64>,
}

/// Every audio packet is a frame of its own.
const AUDIO: FrameFacts = FrameFacts {
    start: true,
    end: true,
    keyframe: true,
    temporal: 0,
    spatial: 0,
    switch_up: true,
    discardable: false,
    codec: CodecFacts::Opaque,
};

impl FrameReader {
    /// Reads one packet.
    pub fn read(&mut self, input: &FrameInput<'_>) -> Result<FrameFacts, DropReason> {
        let mut facts = match input.codec {
            Codec::Opus | Codec::Pcmu | Codec::Pcma => return Ok(AUDIO),
            Codec::Red => {
                red::primary(input.payload).ok_or(DropReason::RedMalformed)?;
                return Ok(AUDIO);
            }
            Codec::Vp8 | Codec::Vp9 => described(input).ok_or(DropReason::DescriptorMalformed)?,
            Codec::H264 | Codec::H265 | Codec::Av1 if !input.descriptor.is_empty() => AUDIO,
            Codec::H264 => self.units(input, h264::parse)?,
            Codec::H265 => self.units(input, h265::parse)?,
            Codec::Av1 => self.aggregated(input)?,
        };
        if input.descriptor.is_empty() {
            self.spread_keyframe(input, &mut facts);
        } else {
            let dependency = self.dependency.read(input.descriptor)?;
            self.overrule(&dependency, &mut facts);
        }
        if self.previous.is_none_or(|previous| input.n > previous.n) {
            self.previous = Some(Previous { n: input.n, t: input.t, marker: input.marker });
        }
        Ok(facts)
    }

    /// Takes note of a packet without payload: what follows it still follows the frame before.
    pub fn skip(&mut self, n: u64) {
        if let Some(previous) = self.previous.as_mut().filter(|previous| n == previous.n + 1) {
            previous.n = n;
        }
    }

    /// The layers and frame limits of the descriptor replace those of the payload; the payload's numbers
    /// stay, because a leg without the descriptor needs them.
    fn overrule(&mut self, dependency: &Dependency, facts: &mut FrameFacts) {
        let frame = dependency.facts.frame;
        if dependency.facts.has_structure && self.key_frame.is_none_or(|key| frame > key) {
            self.key_frame = Some(frame);
        }
        facts.start = dependency.start;
        facts.end = dependency.end;
        facts.keyframe = dependency.facts.has_structure || self.key_frame == Some(frame);
        facts.temporal = dependency.temporal;
        facts.spatial = dependency.spatial;
        facts.switch_up = dependency.switch_up();
        facts.discardable = dependency.discardable();
        if facts.codec == CodecFacts::Opaque {
            facts.codec = CodecFacts::Dependency(dependency.facts);
        }
    }

    /// Packets of one time stamp share one picture: what its first packet told holds for the rest.
    fn spread_keyframe(&mut self, input: &FrameInput<'_>, facts: &mut FrameFacts) {
        if facts.keyframe && self.key_time.is_none_or(|key| input.t > key) {
            self.key_time = Some(input.t);
        }
        facts.keyframe |= self.key_time == Some(input.t);
    }

    fn units(
        &self,
        input: &FrameInput<'_>,
        parse: fn(&[u8]) -> Option<UnitFacts>,
    ) -> Result<FrameFacts, DropReason> {
        let unit = parse(input.payload).ok_or(DropReason::DescriptorMalformed)?;
        Ok(FrameFacts {
            start: unit.whole && self.starts(input, unit.opens),
            end: input.marker,
            keyframe: unit.keyframe,
            temporal: unit.temporal,
            spatial: 0,
            switch_up: unit.temporal == 0,
            discardable: unit.discardable,
            codec: CodecFacts::Opaque,
        })
    }

    fn aggregated(&self, input: &FrameInput<'_>) -> Result<FrameFacts, DropReason> {
        let header = av1::parse(input.payload).ok_or(DropReason::DescriptorMalformed)?;
        Ok(FrameFacts {
            start: !header.continues && self.starts(input, header.keyframe),
            end: input.marker,
            keyframe: header.keyframe,
            temporal: 0,
            spatial: 0,
            switch_up: true,
            discardable: false,
            codec: CodecFacts::Opaque,
        })
    }

    /// Whether a packet is the first of its time stamp: known if it follows the packet before, or if its
    /// content can stand nowhere else (`opens`) and nothing of this time stamp came before it.
    fn starts(&self, input: &FrameInput<'_>, opens: bool) -> bool {
        match self.previous {
            None => true,
            Some(previous) if input.n == previous.n + 1 => previous.marker || previous.t != input.t,
            Some(previous) => opens && previous.t != input.t,
        }
    }
}

/// Facts of the codecs that describe themselves in the clear.
fn described(input: &FrameInput<'_>) -> Option<FrameFacts> {
    if input.codec == Codec::Vp8 {
        let found = vp8::parse(input.payload)?;
        return Some(FrameFacts {
            start: found.start,
            end: input.marker,
            keyframe: found.keyframe,
            temporal: found.temporal,
            spatial: 0,
            switch_up: found.layer_sync || found.temporal == 0,
            discardable: found.discardable,
            codec: CodecFacts::Vp8(found.facts),
        });
    }
    let found = vp9::parse(input.payload)?;
    Some(FrameFacts {
        start: found.start,
        end: found.end,
        keyframe: found.keyframe,
        temporal: found.temporal,
        spatial: found.spatial,
        switch_up: found.switch_up || found.keyframe,
        discardable: false,
        codec: CodecFacts::Vp9(found.facts),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Feed {
        reader: FrameReader,
        codec: Codec,
    }

    impl Feed {
        fn new(codec: Codec) -> Self {
            Self { reader: FrameReader::default(), codec }
        }

        fn read(&mut self, n: u64, t: u64, marker: bool, payload: &[u8]) -> FrameFacts {
            let input = FrameInput { codec: self.codec, n, t, marker, payload, descriptor: &[] };
            self.reader.read(&input).unwrap()
        }
    }

    #[test]
    fn a_frame_after_padding_still_starts_with_its_first_packet() {
        let mut feed = Feed::new(Codec::H264);
        feed.read(1, 100, true, &[0x41, 0x9a]);
        feed.reader.skip(2);
        feed.reader.skip(3);
        assert!(feed.read(4, 200, true, &[0x41, 0x9a]).start);
        feed.reader.skip(6);
        assert!(!feed.read(7, 300, true, &[0x41, 0x9a]).start, "something before it is missing");
    }

    #[test]
    fn padding_inside_a_frame_does_not_end_it() {
        let mut feed = Feed::new(Codec::H264);
        feed.read(1, 100, false, &[0x41, 0x9a]);
        feed.reader.skip(2);
        assert!(!feed.read(3, 100, true, &[0x41, 0x9a]).start);
    }

    #[test]
    fn every_packet_of_a_vp8_key_frame_belongs_to_it_and_only_the_first_starts_it() {
        let mut feed = Feed::new(Codec::Vp8);
        let first = feed.read(1, 100, false, &[0x10, 0x00]);
        let second = feed.read(2, 100, true, &[0x00, 0x55]);
        let delta = feed.read(3, 200, true, &[0x10, 0x01]);
        assert!(first.start && first.keyframe && !first.end);
        assert!(!second.start && second.keyframe && second.end);
        assert!(delta.start && !delta.keyframe);
    }

    #[test]
    fn an_h264_key_frame_runs_from_its_parameter_sets_to_its_marker() {
        let mut feed = Feed::new(Codec::H264);
        feed.read(1, 100, true, &[0x41, 0]);
        let sets = feed.read(2, 200, false, &[0x78, 0, 1, 0x67, 0, 1, 0x68]);
        let picture = feed.read(3, 200, false, &[0x7C, 0x85, 0]);
        let rest = feed.read(4, 200, true, &[0x7C, 0x45, 0]);
        let next = feed.read(5, 300, true, &[0x41, 0]);
        assert!(sets.start && sets.keyframe);
        assert!(!picture.start && picture.keyframe && !rest.start && rest.keyframe && rest.end);
        assert!(next.start && !next.keyframe);
    }

    #[test]
    fn behind_a_gap_only_what_must_open_a_picture_starts_one() {
        let mut feed = Feed::new(Codec::H264);
        feed.read(1, 100, true, &[0x41, 0]);
        assert!(!feed.read(3, 200, false, &[0x41, 0]).start);
        assert!(feed.read(9, 300, false, &[0x67, 0]).start);
        assert!(!feed.read(11, 300, false, &[0x67, 0]).start, "same picture");
    }

    #[test]
    fn av1_without_descriptor_starts_at_a_new_sequence() {
        let mut feed = Feed::new(Codec::Av1);
        assert!(feed.read(1, 100, false, &[0x18, 0]).keyframe);
        let rest = feed.read(2, 100, true, &[0x90, 0]);
        assert!(rest.keyframe && !rest.start && rest.end);
        assert!(feed.read(3, 200, true, &[0x10, 0]).start);
    }

    #[test]
    fn a_descriptor_overrules_the_payload_but_keeps_its_numbers() {
        let mut reader = FrameReader::default();
        // One decode target, one template, no chains: start, template 0, frame 7; structure.
        let structure = [0x80, 0, 7, 0x80, 0x00, 0xE0];
        let mut input = FrameInput {
            codec: Codec::Vp8,
            n: 1,
            t: 100,
            marker: false,
            payload: &[0x10, 0x01],
            descriptor: &structure,
        };
        let first = reader.read(&input).unwrap();
        assert!(first.start && first.keyframe && !first.end, "though the payload is encrypted");
        assert!(matches!(first.codec, CodecFacts::Vp8(_)));
        (input.n, input.descriptor, input.codec) = (2, &[0x40, 0, 7], Codec::Av1);
        let second = reader.read(&input).unwrap();
        assert!(second.keyframe && second.end && !second.start);
        let CodecFacts::Dependency(facts) = second.codec else { panic!("not a descriptor") };
        assert!(!facts.has_structure);
        (input.n, input.descriptor) = (3, &[0xC0, 0, 8]);
        assert!(!reader.read(&input).unwrap().keyframe);
    }

    #[test]
    fn unreadable_descriptors_are_named() {
        let mut reader = FrameReader::default();
        let mut input = FrameInput {
            codec: Codec::Vp8,
            n: 1,
            t: 1,
            marker: false,
            payload: &[0x80],
            descriptor: &[],
        };
        assert_eq!(reader.read(&input), Err(DropReason::DescriptorMalformed));
        (input.codec, input.payload) = (Codec::Red, &[0x80]);
        assert_eq!(reader.read(&input), Err(DropReason::RedMalformed));
        (input.codec, input.descriptor) = (Codec::Av1, &[0x80]);
        assert_eq!(reader.read(&input), Err(DropReason::DdMalformed));
        input.descriptor = &[0x80, 0, 1];
        assert_eq!(reader.read(&input), Err(DropReason::DdUnknownTemplate));
    }
}
