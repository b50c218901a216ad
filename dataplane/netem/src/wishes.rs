//! The lines by which a test shapes a path while traffic crosses it.
//!
//! In: text. Out: a [`Wish`], or what is wrong with the line.
//!
//! ```text
//! up loss=0.05 burst=3 duplicate=0.01 reorder=0.02 delay=20 jitter=5 rate=2000000 queue=60000
//! down                 (perfect again)
//! lose down 96 4       (the next four frames of payload type 96, and whatever would repair them)
//! count
//! ```
//! Delay and jitter are milliseconds, the rate bits per second, the queue bytes, a burst packets.

use std::str::FromStr;

use crate::bottleneck::Bottleneck;
use crate::crossing::Direction;
use crate::delay::Delay;
use crate::link::LinkConfig;
use crate::loss::Loss;
use crate::{Nanos, MILLISECOND};

/// Bytes that wait in front of a limited rate unless the line says otherwise.
const DEFAULT_QUEUE: usize = 60_000;

/// The longest delay or jitter, milliseconds: a second beyond any network on this planet.
const MAX_MILLISECONDS: u64 = 2_000;

/// What a line asks for.
#[derive(Clone, Debug)]
pub enum Wish {
    /// From now on one direction is like this.
    Shape(Direction, Box<LinkConfig>),
    /// So many frames of a payload type are lost for good.
    Lose(Direction, u8, u16),
    /// The counts so far.
    Count,
}

/// What is wrong with a line; the text names the part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadWish(pub String);

impl FromStr for Wish {
    type Err = BadWish;

    fn from_str(line: &str) -> Result<Self, BadWish> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["count"] => Ok(Self::Count),
            ["lose", way, payload_type, frames] => {
                Ok(Self::Lose(direction(way)?, number(payload_type)?, number(frames)?))
            }
            [way, ref settings @ ..] => Ok(Self::Shape(direction(way)?, Box::new(link(settings)?))),
            [] => Err(BadWish("an empty line".to_owned())),
        }
    }
}

fn direction(word: &str) -> Result<Direction, BadWish> {
    match word {
        "up" => Ok(Direction::Up),
        "down" => Ok(Direction::Down),
        _ => Err(BadWish(format!("{word} is no direction"))),
    }
}

fn number<T: FromStr>(word: &str) -> Result<T, BadWish> {
    word.parse().map_err(|_| BadWish(format!("{word} is no such number")))
}

fn share(word: &str) -> Result<f64, BadWish> {
    let value: f64 = number(word)?;
    if !(0.0..1.0).contains(&value) {
        return Err(BadWish(format!("{word} is not within 0 and 1")));
    }
    Ok(value)
}

fn milliseconds(word: &str) -> Result<Nanos, BadWish> {
    let value: u64 = number(word)?;
    if value > MAX_MILLISECONDS {
        return Err(BadWish(format!("{word} ms is too long")));
    }
    Ok(value * MILLISECOND)
}

fn link(settings: &[&str]) -> Result<LinkConfig, BadWish> {
    let mut config = LinkConfig::perfect(0);
    let (mut lost, mut burst, mut rate, mut queue) = (0.0, 1.0, 0, DEFAULT_QUEUE);
    let (mut delay, mut jitter) = (0, 0);
    for setting in settings {
        let Some((key, value)) = setting.split_once('=') else {
            return Err(BadWish(format!("{setting} has no value")));
        };
        match key {
            "loss" => lost = share(value)?,
            "burst" => burst = number::<u16>(value)?.max(1).into(),
            "duplicate" => config.duplicate = share(value)?,
            "reorder" => config.reorder = share(value)?,
            "delay" => delay = milliseconds(value)?,
            "jitter" => jitter = milliseconds(value)?,
            "rate" => rate = number::<u32>(value)?.into(),
            "queue" => queue = number(value)?,
            _ => return Err(BadWish(format!("{key} is nothing that a link has"))),
        }
    }
    config.delay = Delay::jittered(delay, jitter);
    config.bottleneck = (rate > 0).then(|| Bottleneck::new(rate, queue));
    config.loss = if lost <= 0.0 {
        Loss::None
    } else if burst > 1.0 {
        Loss::bursts(burst * (1.0 - lost) / lost, burst)
    } else {
        Loss::Bernoulli(lost)
    };
    Ok(config)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(line: &str) -> (Direction, LinkConfig) {
        match line.parse() {
            Ok(Wish::Shape(direction, config)) => (direction, *config),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn complaint(line: &str) -> String {
        line.parse::<Wish>().map_or_else(|bad| bad.0, |wish| format!("{wish:?}"))
    }

    #[test]
    fn a_line_says_all_that_a_link_can_be() {
        let (direction, config) =
            shape("up loss=0.05 burst=3 duplicate=0.01 reorder=0.02 delay=20 jitter=5 rate=9000");
        assert_eq!(direction, Direction::Up);
        assert!((config.loss.mean() - 0.05).abs() < 1e-9);
        assert_eq!((config.duplicate, config.reorder), (0.01, 0.02));
        assert_eq!((config.delay.base, config.delay.jitter), (20 * MILLISECOND, 5 * MILLISECOND));
        let bottleneck = config.bottleneck.unwrap();
        assert_eq!((bottleneck.rate_bps(0), bottleneck.queue_bytes), (9_000, DEFAULT_QUEUE));
    }

    #[test]
    fn a_direction_alone_is_perfect_again() {
        let (direction, config) = shape("down");
        assert_eq!((direction, config.loss.mean()), (Direction::Down, 0.0));
        assert!(config.bottleneck.is_none());
    }

    #[test]
    fn frames_to_lose_and_counts_are_asked_for() {
        assert!(matches!("lose down 96 4".parse(), Ok(Wish::Lose(Direction::Down, 96, 4))));
        assert!(matches!(" count ".parse(), Ok(Wish::Count)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, named) in [
            ("", "empty"),
            ("sideways loss=0.1", "sideways"),
            ("up loss", "loss"),
            ("up loss=1.5", "1.5"),
            ("up loss=NaN", "NaN"),
            ("up speed=9", "speed"),
            ("up delay=99999", "99999"),
            ("lose up 300 1", "300"),
            ("lose up 96 -1", "-1"),
        ] {
            assert!(complaint(line).contains(named), "{line}: {}", complaint(line));
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_odd_for_an_answer(line in "[a-z=0-9. -]{0,60}") {
            let _ = line.parse::<Wish>();
        }
    }
}
