//! egress
pub mod numbers;
pub mod sequence;
