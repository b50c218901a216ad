//! What each codec's packets say about frames and layers, read from descriptors that stay in the clear.
//!
//! One file per codec: payload in, facts out, plus the in-place rewrites that a leg needs. [`frame`] chooses
//! among them for one stream; [`dependency`] is the header extension that serves any codec.

pub mod av1;
mod bits;
pub mod dependency;
pub mod frame;
pub mod h264;
pub mod h265;
pub mod red;
pub mod vp8;
pub mod vp9;
