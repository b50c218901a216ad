//! Which lane a transport, track or leg lives on, and which tracks have to cross to which lanes.
//!
//! In: commands of the control plane. Out: the same commands with the lane that carries them out, and the
//! relays that follow from them. Pure; it knows no ring and no thread.

use std::collections::HashMap;

use conclave_core::command::{AddLeg, AddTrack, Command};
use conclave_core::ids::{LaneId, LegId, TrackId, TransportId};

/// A command named something that is not there, or is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ignored;

/// Who lives where.
#[derive(Debug, Default)]
pub struct Directory {
    transports: HashMap<TransportId, Resident>,
    tracks: HashMap<TrackId, Home>,
    legs: HashMap<LegId, Perch>,
}

#[derive(Debug)]
struct Resident {
    lane: LaneId,
    tracks: Vec<TrackId>,
    legs: Vec<LegId>,
}

#[derive(Debug)]
struct Home {
    transport: TransportId,
    lane: LaneId,
    /// Legs on each other lane.
    guests: HashMap<LaneId, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Perch {
    transport: TransportId,
    lane: LaneId,
    track: TrackId,
}

/// Where commands go: called with each in order.
pub type Route<'a> = &'a mut dyn FnMut(LaneId, Command);

impl Directory {
    /// Settles a transport on `lane`.
    pub fn settle(
        &mut self,
        transport: TransportId,
        lane: LaneId,
        command: Command,
        route: Route<'_>,
    ) -> Result<(), Ignored> {
        if self.transports.contains_key(&transport) {
            return Err(Ignored);
        }
        let resident = Resident { lane, tracks: Vec::new(), legs: Vec::new() };
        self.transports.insert(transport, resident);
        route(lane, command);
        Ok(())
    }

    /// Passes a command on to the lane of what it names, keeping account of tracks, legs and relays.
    /// `AddTransport` belongs to [`Directory::settle`]; relays are the directory's own.
    pub fn route(&mut self, command: Command, route: Route<'_>) -> Result<(), Ignored> {
        let lane = match command {
            Command::AddTrack(add) => return self.add_track(add, route),
            Command::AddLeg(add) => return self.add_leg(add, route),
            Command::RemoveTransport { transport } => return self.remove(transport, route),
            Command::RemoveTrack { track } => self.remove_track(track)?,
            Command::RemoveLeg { leg } => return self.remove_leg(leg, route),
            Command::AddTransport { .. }
            | Command::AddRelay { .. }
            | Command::RemoveRelay { .. } => return Err(Ignored),
            Command::SetRemote { transport, .. }
            | Command::RestartIce { transport, .. }
            | Command::SetExtensions { transport, .. } => self.resident(transport)?.lane,
            Command::SetTrackOpen { track, .. } | Command::RequestKeyframe { track, .. } => {
                self.tracks.get(&track).ok_or(Ignored)?.lane
            }
            Command::SetLeg { leg, .. } => self.legs.get(&leg).ok_or(Ignored)?.lane,
        };
        route(lane, command);
        Ok(())
    }

    fn resident(&mut self, transport: TransportId) -> Result<&mut Resident, Ignored> {
        self.transports.get_mut(&transport).ok_or(Ignored)
    }

    /// A transport that ended by itself stays on the books until this: after expired consent an ICE restart
    /// brings it back, legs and all.
    fn remove(&mut self, transport: TransportId, route: Route<'_>) -> Result<(), Ignored> {
        let resident = self.transports.remove(&transport).ok_or(Ignored)?;
        route(resident.lane, Command::RemoveTransport { transport });
        for leg in resident.legs {
            self.leave(leg, route);
        }
        for track in resident.tracks {
            self.tracks.remove(&track);
        }
        Ok(())
    }

    fn add_track(&mut self, add: AddTrack, route: Route<'_>) -> Result<(), Ignored> {
        let (track, transport) = (add.track, add.transport);
        let resident = self.transports.get_mut(&transport).ok_or(Ignored)?;
        let lane = resident.lane;
        match self.tracks.get(&track) {
            // The same track again replaces its parameters; another transport's is not to be taken over.
            Some(home) if home.transport != transport => return Err(Ignored),
            Some(_) => {}
            None => {
                resident.tracks.push(track);
                self.tracks.insert(track, Home { transport, lane, guests: HashMap::new() });
            }
        }
        route(lane, Command::AddTrack(add));
        Ok(())
    }

    fn remove_track(&mut self, track: TrackId) -> Result<LaneId, Ignored> {
        let home = self.tracks.remove(&track).ok_or(Ignored)?;
        if let Some(resident) = self.transports.get_mut(&home.transport) {
            resident.tracks.retain(|&other| other != track);
        }
        Ok(home.lane)
    }

    fn add_leg(&mut self, mut add: AddLeg, route: Route<'_>) -> Result<(), Ignored> {
        let AddLeg { leg, track, transport, .. } = add;
        let resident = self.transports.get_mut(&transport).ok_or(Ignored)?;
        let home = self.tracks.get_mut(&track).ok_or(Ignored)?;
        if self.legs.contains_key(&leg) {
            return Err(Ignored);
        }
        let lane = resident.lane;
        resident.legs.push(leg);
        self.legs.insert(leg, Perch { transport, lane, track });
        add.home = home.lane;
        route(lane, Command::AddLeg(add));
        if lane != home.lane {
            let guests = home.guests.entry(lane).or_default();
            *guests += 1;
            if *guests == 1 {
                route(home.lane, Command::AddRelay { track, to: lane });
            }
        }
        Ok(())
    }

    fn remove_leg(&mut self, leg: LegId, route: Route<'_>) -> Result<(), Ignored> {
        let perch = *self.legs.get(&leg).ok_or(Ignored)?;
        if let Some(resident) = self.transports.get_mut(&perch.transport) {
            resident.legs.retain(|&other| other != leg);
        }
        route(perch.lane, Command::RemoveLeg { leg });
        self.leave(leg, route);
        Ok(())
    }

    /// Takes a leg off the books; the last one on its lane takes the relay with it.
    fn leave(&mut self, leg: LegId, route: Route<'_>) {
        let Some(Perch { lane, track, .. }) = self.legs.remove(&leg) else { return };
        let Some(home) = self.tracks.get_mut(&track) else { return };
        let Some(guests) = home.guests.get_mut(&lane) else { return };
        *guests -= 1;
        if *guests == 0 {
            home.guests.remove(&lane);
            route(home.lane, Command::RemoveRelay { track, to: lane });
        }
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
