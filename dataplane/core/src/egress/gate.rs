//! Which packets of the stream on the wire pass (temporal and spatial layers), and which codec numbers
//! they carry on this leg.
//!
//! In: packets of one source at a time, in any order, and the cap. Out: a [`Verdict`] with the [`Patch`]
//! to apply, or a [`Refusal`]. A decision about a frame is taken once and holds for all of its packets.

mod dependency;
mod vp8;
mod vp9;

pub use dependency::DependencyGate;
pub use vp8::Vp8Gate;
pub use vp9::Vp9Gate;

use super::selector::Cap;
use crate::drop::DropReason;
use crate::media::{CodecFacts, MediaPacket, PacketMeta};

/// What is written differently on this leg; small enough to be kept for a retransmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// Nothing.
    None,
    /// The first `skip` payload bytes are replaced by `bytes[..len]`.
    Vp8 {
        /// Length of the publisher's descriptor.
        skip: u8,
        /// Length of ours.
        len: u8,
        /// Our descriptor.
        bytes: [u8; 6],
    },
    /// Picture id and TL0PICIDX are overwritten in place.
    Vp9 {
        /// Payload offset of the picture id, with its width in bits; width 0 means absent.
        picture_at: (u8, u8),
        /// Picture id.
        picture: u16,
        /// Payload offset and value of TL0PICIDX.
        tl0: Option<(u8, u8)>,
    },
    /// The dependency descriptor is rewritten.
    Dependency {
        /// Frame number.
        frame: u16,
        /// Decode targets that this leg can serve, bit per target.
        targets: u32,
        /// How many targets the structure has.
        count: u8,
    },
}

/// A packet passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What to write differently.
    pub patch: Patch,
    /// Marker bit on this leg.
    pub marker: bool,
}

/// A packet stays away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: DropReason,
    /// The packets missing just before it belong to the same unwanted frame.
    pub gap_too: bool,
}

/// How a packet lies to what was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Beyond everything seen of the source on the wire.
    Newest,
    /// Late, of the source on the wire.
    Late,
    /// Late, of the source before it.
    Draining,
}

/// The gate of one leg.
#[derive(Debug)]
pub enum Gate {
    /// Nothing to choose, nothing to rewrite.
    Plain,
    /// VP8.
    Vp8(Box<Vp8Gate>),
    /// VP9.
    Vp9(Box<Vp9Gate>),
    /// A dependency descriptor, whatever the codec.
    Dependency(Box<DependencyGate>),
}

impl Gate {
    /// A source begins with `packet`, which passes in any case.
    pub fn begin(&mut self, packet: &MediaPacket<'_>, cap: Cap) -> Verdict {
        match (&mut *self, &packet.meta.frame.codec) {
            (Self::Vp8(gate), CodecFacts::Vp8(facts)) => gate.begin(packet, facts, cap),
            (Self::Vp9(gate), CodecFacts::Vp9(facts)) => gate.begin(packet, facts, cap),
            (Self::Dependency(gate), CodecFacts::Dependency(facts)) => {
                gate.begin(packet.meta, facts, cap)
            }
            (Self::Plain, CodecFacts::Opaque) => plain(packet.meta),
            (_, codec) => {
                *self = Self::of(codec);
                self.begin(packet, cap)
            }
        }
    }

    /// Whether a packet of the source on the wire, or of the one before, passes.
    pub fn decide(
        &mut self,
        packet: &MediaPacket<'_>,
        age: Age,
        cap: Cap,
    ) -> Result<Verdict, Refusal> {
        match (self, &packet.meta.frame.codec) {
            (Self::Vp8(gate), CodecFacts::Vp8(facts)) => gate.decide(packet, facts, age, cap),
            (Self::Vp9(gate), CodecFacts::Vp9(facts)) => gate.decide(packet, facts, age, cap),
            (Self::Dependency(gate), CodecFacts::Dependency(facts)) => {
                gate.decide(packet.meta, facts, age, cap)
            }
            (Self::Plain, CodecFacts::Opaque) => Ok(plain(packet.meta)),
            // The codec changes only at a begin; a stray packet of another kind is not decodable.
            _ => Err(Refusal { reason: DropReason::NotAKeyframe, gap_too: false }),
        }
    }

    /// Whether only a key frame lets the leg reach its cap, or mends it.
    pub fn needs_keyframe(&self) -> bool {
        match self {
            Self::Plain | Self::Vp8(_) => false,
            Self::Vp9(gate) => gate.needs_keyframe(),
            Self::Dependency(gate) => gate.needs_keyframe(),
        }
    }

    /// The spatial layer that passes, where the stream has several.
    pub fn spatial(&self) -> Option<u8> {
        match self {
            Self::Plain | Self::Vp8(_) => None,
            Self::Vp9(gate) => gate.spatial(),
            Self::Dependency(gate) => gate.spatial(),
        }
    }

    fn of(codec: &CodecFacts) -> Self {
        match codec {
            CodecFacts::Opaque => Self::Plain,
            CodecFacts::Vp8(_) => Self::Vp8(Box::default()),
            CodecFacts::Vp9(_) => Self::Vp9(Box::default()),
            CodecFacts::Dependency(_) => Self::Dependency(Box::default()),
        }
    }
}

fn plain(meta: &PacketMeta) -> Verdict {
    Verdict { patch: Patch::None, marker: meta.marker }
}

/// Unwraps a `bits`-wide counter next to `newest`.
fn unwrap(newest: u64, raw: u16, bits: u8) -> u64 {
    let spare = 16 - u32::from(bits.clamp(1, 16));
    let step = (raw.wrapping_sub(newest as u16) << spare) as i16 >> spare;
    newest.wrapping_add_signed(i64::from(step))
}
