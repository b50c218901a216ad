//! Commands of the control plane: each is a line or two here and is carried out by the part it names.

use super::home::Home;
use super::sender::Traffic;
use super::Lane;
use crate::association::ToAssociation;
use crate::command::{AddLeg, AddTrack, Command, IceCredentials, RemoteParameters};
use crate::drop::DropReason;
use crate::edge::EdgeError;
use crate::ids::{LaneId, TrackId, TransportId};
use crate::relay::Relays;
use crate::time::Time;

impl Lane {
    /// Carries a command out, or tells why it cannot be.
    pub(super) fn execute(
        &mut self,
        now: Time,
        command: Command,
        relays: &mut impl Relays,
    ) -> Result<(), DropReason> {
        match command {
            Command::AddTransport { transport, local } => self.add_transport(transport, &local),
            Command::SetRemote { transport, remote } => self.set_remote(transport, remote),
            Command::RestartIce { transport, local } => {
                self.edge.restart_ice(now, transport, &local).map_err(refused)
            }
            Command::SetExtensions { transport, extensions } => {
                self.known(transport)?;
                self.ingress.set_extensions(transport, &extensions);
                Ok(())
            }
            Command::RemoveTransport { transport } => self.remove_transport(now, transport, relays),
            Command::AddTrack(track) => self.add_track(&track),
            Command::SetTrackOpen { track, open } => {
                self.home(track)?;
                self.ingress.set_track_open(track, open);
                Ok(())
            }
            Command::RemoveTrack { track } => {
                self.home(track)?;
                self.ingress.remove_track(track);
                self.end_track(now, track, relays);
                Ok(())
            }
            Command::AddRelay { track, to } => self.add_relay(now, track, to, relays),
            Command::RemoveRelay { track, to } => self.remove_relay(track, to),
            Command::AddLeg(leg) => {
                self.add_leg(now, &leg);
                Ok(())
            }
            Command::SetLeg { leg, target } => {
                self.egress.set_leg(now, leg, target);
                Ok(())
            }
            Command::RemoveLeg { leg } => {
                self.egress.remove_leg(now, leg);
                Ok(())
            }
            Command::RequestKeyframe { track, stream } => {
                self.home(track)?;
                self.ingress.request_keyframe(now, track, stream);
                Ok(())
            }
        }
    }

    fn add_transport(
        &mut self,
        transport: TransportId,
        local: &IceCredentials,
    ) -> Result<(), DropReason> {
        self.edge.add_transport(transport, local).map_err(refused)?;
        self.egress.add_transport(transport);
        self.traffic.insert(transport, Traffic::default());
        self.outputs.associations.push(ToAssociation::Added { transport });
        Ok(())
    }

    fn set_remote(
        &mut self,
        transport: TransportId,
        remote: RemoteParameters,
    ) -> Result<(), DropReason> {
        self.edge.set_remote(transport, &remote).map_err(refused)?;
        self.outputs.associations.push(ToAssociation::Remote { transport, remote });
        Ok(())
    }

    fn remove_transport(
        &mut self,
        now: Time,
        transport: TransportId,
        relays: &mut impl Relays,
    ) -> Result<(), DropReason> {
        let known = self.traffic.remove(&transport).is_some();
        if self.edge.remove_transport(transport).is_err() && !known {
            return Err(DropReason::CommandUnknown);
        }
        // The edge may have released it by itself; what it carried goes in any case.
        self.remove_media(now, transport, relays);
        self.outputs.associations.push(ToAssociation::Removed { transport });
        Ok(())
    }

    fn add_track(&mut self, track: &AddTrack) -> Result<(), DropReason> {
        self.known(track.transport)?;
        self.ingress.add_track(track);
        let home = self.homes.entry(track.track);
        let home = home.or_insert_with(|| Home::new(track.transport, track.kind));
        home.transport = track.transport;
        self.ingress.set_wanted(track.track, home.wanted_by_all());
        Ok(())
    }

    fn add_relay(
        &mut self,
        now: Time,
        track: TrackId,
        to: LaneId,
        relays: &mut impl Relays,
    ) -> Result<(), DropReason> {
        let home = self.homes.get_mut(&track).ok_or(DropReason::CommandUnknown)?;
        home.relay_to(to);
        self.describe(now, track, to, relays);
        Ok(())
    }

    fn remove_relay(&mut self, track: TrackId, to: LaneId) -> Result<(), DropReason> {
        let home = self.homes.get_mut(&track).ok_or(DropReason::CommandUnknown)?;
        home.relays.retain(|relay| relay.lane != to);
        self.ingress.set_wanted(track, home.wanted_by_all());
        Ok(())
    }

    fn add_leg(&mut self, now: Time, leg: &AddLeg) {
        let home = self.homes.get(&leg.track);
        self.egress.add_leg(now, leg, home.map_or(0, |home| home.active));
        if let Some(clock) = home.and_then(|home| home.clock) {
            self.egress.set_clock(clock);
        }
    }

    fn known(&self, transport: TransportId) -> Result<(), DropReason> {
        let known = self.traffic.contains_key(&transport);
        known.then_some(()).ok_or(DropReason::CommandUnknown)
    }

    fn home(&self, track: TrackId) -> Result<(), DropReason> {
        self.homes.contains_key(&track).then_some(()).ok_or(DropReason::CommandUnknown)
    }
}

fn refused(error: EdgeError) -> DropReason {
    match error {
        EdgeError::UnknownTransport | EdgeError::Closed => DropReason::CommandUnknown,
        EdgeError::TransportExists
        | EdgeError::UfragTaken
        | EdgeError::TooManyTransports
        | EdgeError::BadCredentials
        | EdgeError::BadKeys
        | EdgeError::KeysInUse => DropReason::CommandRefused,
    }
}
