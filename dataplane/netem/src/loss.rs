//! Which packets never arrive: independent losses, or the two-state Gilbert-Elliott channel.

use crate::random::Random;

/// A loss process, asked once per packet in the order of sending.
#[derive(Clone, Debug, Default)]
pub enum Loss {
    /// Everything arrives.
    #[default]
    None,
    /// Each packet is lost with this probability.
    Bernoulli(f64),
    /// A channel that changes between a good and a bad state (Gilbert 1960, Elliott 1963).
    GilbertElliott {
        /// Probability per packet of good to bad.
        to_bad: f64,
        /// Probability per packet of bad to good; bursts last 1 / `to_good` packets on average.
        to_good: f64,
        /// Loss probability in the good state.
        loss_good: f64,
        /// Loss probability in the bad state.
        loss_bad: f64,
        /// State at the start.
        bad: bool,
    },
    /// The fates of the first packets (true is lost); what follows arrives.
    Trace(std::collections::VecDeque<bool>),
}

impl Loss {
    /// Bursts of on average `bad` lost packets after on average `good` packets that arrive.
    pub fn bursts(good: f64, bad: f64) -> Self {
        Self::GilbertElliott {
            to_bad: 1.0 / good,
            to_good: 1.0 / bad,
            loss_good: 0.0,
            loss_bad: 1.0,
            bad: false,
        }
    }

    /// Whether the next packet is lost.
    pub(crate) fn next(&mut self, random: &mut Random) -> bool {
        match self {
            Self::None => false,
            Self::Bernoulli(p) => random.chance(*p),
            Self::GilbertElliott { to_bad, to_good, loss_good, loss_bad, bad } => {
                let leave = if *bad { *to_good } else { *to_bad };
                *bad ^= random.chance(leave);
                random.chance(if *bad { *loss_bad } else { *loss_good })
            }
            Self::Trace(fates) => fates.pop_front().unwrap_or(false),
        }
    }

    /// Share of packets that are lost in the long run.
    pub fn mean(&self) -> f64 {
        match self {
            Self::None | Self::Trace(_) => 0.0,
            Self::Bernoulli(p) => *p,
            Self::GilbertElliott { to_bad, to_good, loss_good, loss_bad, .. } => {
                let bad = to_bad / (to_bad + to_good);
                bad * loss_bad + (1.0 - bad) * loss_good
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(mut loss: Loss, count: usize) -> Vec<bool> {
        let mut random = Random::new(42);
        (0..count).map(|_| loss.next(&mut random)).collect()
    }

    fn share(fates: &[bool]) -> f64 {
        fates.iter().filter(|&&lost| lost).count() as f64 / fates.len() as f64
    }

    #[test]
    fn independent_losses_meet_their_probability() {
        let lost = share(&fates(Loss::Bernoulli(0.05), 200_000));
        assert!((lost - 0.05).abs() < 0.003, "{lost}");
    }

    #[test]
    fn bursts_meet_their_mean_loss_and_their_mean_length() {
        let model = Loss::bursts(40.0, 2.0);
        let expected = model.mean();
        let fates = fates(model, 400_000);
        assert!((share(&fates) - expected).abs() < 0.004, "{} {expected}", share(&fates));
        let bursts = fates.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        let length = share(&fates) * fates.len() as f64 / bursts as f64;
        assert!((length - 2.0).abs() < 0.1, "mean burst {length}");
    }

    #[test]
    fn a_trace_is_followed_to_its_end() {
        let trace = Loss::Trace([true, false, true].into());
        assert_eq!(fates(trace, 5), [true, false, true, false, false]);
    }
}
