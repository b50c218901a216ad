//! Which subscribers can be reached: legs of those that cannot wait, and begin anew when they can.

use super::leg::Leg;
use super::{settle, Egress};
use crate::ids::TransportId;
use crate::media::MediaKind;
use crate::time::Time;

impl Egress {
    /// Whether a transport has keys and an address; its legs start, or wait, accordingly.
    pub fn set_ready(&mut self, now: Time, transport: TransportId, ready: bool) {
        let Some(&index) = self.transport_index.get(&transport) else { return };
        let Some(state) = &mut self.transports[index] else { return };
        if std::mem::replace(&mut state.ready, ready) != ready {
            self.interrupt(now, index, |_| true);
        }
    }

    /// The connection of a transport gave up video, or has caught up again: its pictures wait that long, and
    /// then begin with key frames.
    pub fn set_blocked(&mut self, now: Time, transport: TransportId, blocked: bool) {
        let Some(&index) = self.transport_index.get(&transport) else { return };
        let Some(state) = &mut self.transports[index] else { return };
        if std::mem::replace(&mut state.blocked, blocked) != blocked {
            self.interrupt(now, index, |leg| leg.kind == MediaKind::Video);
        }
    }

    /// Lets legs of a transport begin anew, with a key frame that is asked for as soon as it is reached.
    fn interrupt(&mut self, now: Time, transport: usize, which: impl Fn(&Leg) -> bool) {
        for track in self.tracks.values_mut() {
            for leg in track.legs.iter_mut().filter(|leg| leg.transport == transport && which(leg))
            {
                leg.selector.interrupt(now);
                leg.selector.renew(now);
                leg.attention = true;
            }
            settle(track, &self.transports, now, &mut self.asks, &mut self.due, &mut self.counters);
        }
    }
}
