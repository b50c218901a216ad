//! The layer selection: its rules one by one, and a small model run through every short history.

use super::*;
use crate::egress::test_support::{key, video};

const NEVER: Option<Source> = None;

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

#[allow(clippy::unnecessary_wraps)] // as the selector takes it
fn on(stream: u8) -> Option<Source> {
    Some(Source { stream, generation: 0 })
}

#[allow(clippy::unnecessary_wraps)] // as the selector takes it
fn aim(spatial: u8) -> Option<LayerTarget> {
    Some(LayerTarget { spatial, temporal: 2 })
}

/// A video leg with three streams alive that wants the highest.
fn acquiring() -> Selector {
    let mut selector = Selector::new(MediaKind::Video, 0b111);
    selector.set_target(at(0), aim(2));
    selector
}

fn forwarding(stream: u8) -> Selector {
    let mut selector = Selector::new(MediaKind::Video, 0b111);
    selector.set_target(at(0), aim(stream));
    selector.started(at(0), stream);
    selector
}

#[test]
fn a_new_leg_is_paused_until_it_has_a_target() {
    let mut selector = Selector::new(MediaKind::Video, 0b111);
    assert_eq!(selector.route(at(0), &key(0, 1), NEVER), Err(DropReason::LegPaused));
    assert_eq!((selector.wanted(), selector.poll_wish(at(0), FIRST)), (0, None));
    selector.set_target(at(0), aim(2));
    assert_eq!(selector.poll_wish(at(0), Duration::ZERO), Some(2));
}

#[test]
fn video_begins_at_the_first_packet_of_a_key_frame_and_audio_anywhere() {
    let selector = acquiring();
    assert_eq!(selector.route(at(0), &video(2, 1), NEVER), Err(DropReason::NotAKeyframe));
    let mut middle = key(2, 1);
    middle.frame.start = false;
    assert_eq!(selector.route(at(0), &middle, NEVER), Err(DropReason::SwitchNotStart));
    assert!(matches!(selector.route(at(0), &key(2, 1), NEVER), Ok(Route::Begin(_))));
    let mut audio = Selector::new(MediaKind::Audio, 1);
    audio.set_target(at(0), aim(0));
    assert!(matches!(audio.route(at(0), &video(0, 1), NEVER), Ok(Route::Begin(_))));
    assert_eq!(audio.poll_wish(at(0), FIRST), None, "audio has no key frames");
}

#[test]
fn a_fresh_leg_insists_on_its_layer_for_a_second_and_then_takes_what_comes() {
    let selector = acquiring();
    assert_eq!(selector.route(at(999), &key(0, 1), NEVER), Err(DropReason::LayerNotSelected));
    assert!(matches!(selector.route(at(1_000), &key(0, 1), NEVER), Ok(Route::Begin(_))));
}

#[test]
fn the_highest_stream_that_arrives_is_the_aim_when_the_wanted_one_does_not() {
    let mut selector = Selector::new(MediaKind::Video, 0b010);
    selector.set_target(at(0), aim(2));
    assert_eq!(selector.poll_wish(at(0), FIRST), Some(1));
    let mut above = Selector::new(MediaKind::Video, 0b100);
    above.set_target(at(0), aim(0));
    assert_eq!(above.poll_wish(at(0), FIRST), Some(2));
    assert!(matches!(above.route(at(0), &key(2, 1), NEVER), Ok(Route::Begin(_))));
}

#[test]
fn the_old_stream_stays_until_the_new_one_starts() {
    let mut selector = forwarding(0);
    selector.set_target(at(10), aim(2));
    assert_eq!(selector.poll_wish(at(10), FIRST), Some(2));
    assert_eq!(selector.wanted(), 0b101);
    assert_eq!(selector.route(at(20), &video(0, 5), on(0)), Ok(Route::Continue));
    assert_eq!(selector.route(at(20), &video(2, 5), on(0)), Err(DropReason::NotAKeyframe));
    let begin = selector.route(at(20), &key(2, 6), on(0));
    assert_eq!(begin, Ok(Route::Begin(Joint::Layer { patient: true })));
    selector.started(at(20), 2);
    assert_eq!(selector.state, State::Forwarding { stream: 2 });
    assert_eq!(selector.poll_wish(at(9_999), FIRST), None);
}

#[test]
fn a_stream_that_is_never_tied_is_waited_for_once() {
    let mut selector = forwarding(0);
    selector.set_target(at(10), aim(2));
    let begun = |patient| Ok(Route::Begin(Joint::Layer { patient }));
    assert_eq!(selector.route(at(2_009), &key(2, 1), on(0)), begun(true));
    assert_eq!(selector.route(at(2_010), &key(2, 1), on(0)), begun(false));
    selector.started_untied(2);
    selector.started(at(2_010), 2);
    selector.set_target(at(3_000), aim(0));
    assert_eq!(selector.route(at(3_000), &key(0, 9), on(2)), begun(true), "the other one is tied");
    selector.started(at(3_000), 0);
    selector.set_target(at(4_000), aim(2));
    assert_eq!(selector.route(at(4_000), &key(2, 9), on(0)), begun(false));
}

#[test]
fn a_stream_between_old_and_wanted_is_a_step_but_not_too_soon_after_the_last() {
    let mut selector = forwarding(0);
    selector.set_target(at(100), aim(2));
    assert_eq!(selector.route(at(150), &key(1, 1), on(0)), Ok(Route::Continue));
    assert!(matches!(selector.route(at(200), &key(1, 1), on(0)), Ok(Route::Begin(_))));
    selector.started(at(200), 1);
    assert_eq!(selector.current(), Some(1));
    assert_eq!(selector.poll_wish(at(200), FIRST), Some(2), "still on the way");
}

#[test]
fn on_the_way_down_upper_temporal_layers_go_at_once() {
    let mut selector = forwarding(2);
    assert_eq!(selector.cap().temporal, 2);
    selector.set_target(at(10), aim(0));
    assert_eq!((selector.current(), selector.cap().temporal), (Some(2), 0));
    selector.started(at(20), 0);
    assert_eq!(selector.cap().temporal, 2);
}

#[test]
fn a_dead_stream_is_left_for_the_best_alive_and_kept_if_it_returns_first() {
    let mut selector = forwarding(2);
    selector.set_active(at(10), 0b011);
    assert_eq!(selector.poll_wish(at(10), FIRST), Some(1));
    assert_eq!(selector.route(at(20), &video(2, 9), on(2)), Ok(Route::Continue));
    selector.set_active(at(30), 0b111);
    assert_eq!(selector.state, State::Forwarding { stream: 2 });
}

#[test]
fn a_restarted_publisher_begins_again_at_a_key_frame() {
    let selector = forwarding(0);
    let mut meta = video(0, 1);
    meta.generation = 1;
    assert_eq!(selector.route(at(0), &meta, on(0)), Err(DropReason::NotAKeyframe));
    meta.frame.keyframe = true;
    assert_eq!(selector.route(at(0), &meta, on(0)), Ok(Route::Begin(Joint::Source)));
    let restarted = Some(Source { stream: 0, generation: 1 });
    let stale = selector.route(at(0), &video(0, 9), restarted);
    assert_eq!(stale, Ok(Route::Continue), "late packets of the old life go to the mapping");
}

#[test]
fn a_paused_leg_resumes_the_same_stream_as_a_resumption() {
    let mut selector = forwarding(1);
    selector.set_target(at(10), None);
    assert_eq!(selector.route(at(20), &key(1, 9), on(1)), Err(DropReason::LegPaused));
    selector.set_target(at(30), aim(1));
    let resumed = selector.route(at(40), &key(1, 9), on(1));
    assert_eq!(resumed, Ok(Route::Begin(Joint::Resume)));
}

#[test]
fn a_wish_is_repeated_ever_more_slowly_and_forgotten_at_the_start() {
    let mut selector = acquiring();
    let mut asked = Vec::new();
    for ms in 0..30_000 {
        if selector.poll_wish(at(ms), Duration::from_millis(200)).is_some() {
            asked.push(ms);
        }
    }
    let asked_soon = [0, 400, 1_400, 2_400, 3_400, 4_400, 5_400, 7_400, 9_400];
    assert_eq!(asked[..9], asked_soon);
    assert_eq!(asked.len(), 9 + 10, "every two seconds from then on");
    selector.started(at(30_000), 2);
    assert_eq!(selector.poll_timeout(), None);
}

#[test]
fn a_round_trip_of_seconds_makes_the_first_repetition_wait_one() {
    let mut selector = acquiring();
    assert_eq!(selector.poll_wish(at(0), Duration::from_secs(9)), Some(2));
    assert_eq!(selector.poll_timeout(), Some(at(1_000)));
}

#[test]
fn a_leg_without_anything_asks_for_the_lowest_stream_every_second_time() {
    let mut selector = acquiring();
    let asked = |selector: &mut Selector, ms| selector.poll_wish(at(ms), Duration::ZERO);
    let times = [0, 250, 1_250, 2_250, 3_250, 4_250];
    let streams = times.map(|ms| asked(&mut selector, ms).unwrap());
    assert_eq!(streams, [2, 2, 0, 2, 0, 2]);
    let later: Vec<_> = (5..2_000).filter_map(|s| asked(&mut selector, s * 1_000)).collect();
    assert!(later.windows(2).all(|pair| pair[0] != pair[1]), "for ever");
}

#[test]
fn wishes_for_two_streams_stand_beside_each_other() {
    let mut selector = forwarding(0);
    selector.set_target(at(10), aim(2));
    selector.want_keyframe(at(20), 0);
    let mut asked = || selector.poll_wish(at(20), Duration::ZERO);
    assert_eq!([asked(), asked(), asked()], [Some(0), Some(2), None]);
    selector.keyframe_sent(0);
    assert_eq!(selector.poll_wish(at(300), Duration::ZERO), Some(2));
    selector.set_target(at(310), aim(0));
    assert_eq!(selector.poll_timeout(), None, "withdrawn");
}

#[test]
fn a_stream_that_comes_and_goes_is_waited_for_once() {
    let mut selector = forwarding(0);
    selector.set_target(at(10), aim(2));
    for ms in [500, 1_500] {
        selector.set_active(at(ms), 0b011);
        selector.set_active(at(ms + 100), 0b111);
    }
    let begun = |patient| Ok(Route::Begin(Joint::Layer { patient }));
    assert_eq!(selector.route(at(2_009), &key(2, 1), on(0)), begun(true));
    assert_eq!(selector.route(at(2_010), &key(2, 1), on(0)), begun(false));
}

#[test]
fn padding_never_begins_a_source() {
    let mut meta = key(2, 1);
    meta.padding_only = true;
    assert_eq!(acquiring().route(at(0), &meta, NEVER), Err(DropReason::PaddingOnly));
}

/// Everything that can happen in the model, for three streams.
const EVENTS: usize = 13;

/// Applies one event; returns the stream that a start put on the wire.
fn step(selector: &mut Selector, now: Time, event: usize, alive: &mut u8) {
    match event {
        0..=2 => {
            let stream = event as u8;
            let source = selector.current().and_then(on);
            if let Ok(Route::Begin(_)) = selector.route(now, &key(stream, 1), source) {
                selector.started(now, stream);
            }
        }
        3..=5 => {
            let (stream, source) = (event as u8 - 3, selector.current().and_then(on));
            let route = selector.route(now, &video(stream, 1), source);
            assert!(!matches!(route, Ok(Route::Begin(_))), "a delta frame begins nothing");
        }
        6..=8 => selector.set_target(now, aim(event as u8 - 6)),
        9 => selector.set_target(now, None),
        10..=12 => {
            *alive ^= 1 << (event - 10);
            selector.set_active(now, *alive);
        }
        _ => unreachable!("thirteen events"),
    }
}

#[test]
fn every_history_of_four_events_keeps_the_promises() {
    for history in 0..EVENTS.pow(4) {
        let mut selector = Selector::new(MediaKind::Video, 0b111);
        let (mut alive, mut target) = (0b111, None);
        let mut rest = history;
        for turn in 0..4u64 {
            let event = rest % EVENTS;
            rest /= EVENTS;
            let (before, now) = (selector.current(), at(turn * 1_500));
            step(&mut selector, now, event, &mut alive);
            target = match event {
                6..=8 => Some(event as u8 - 6),
                9 => None,
                _ => target,
            };
            let after = selector.current();
            let promise = match (before, after) {
                (old, new) if old == new => true,
                // Only a key frame puts a stream on the wire, only a pause takes it off.
                (_, Some(new)) => event == usize::from(new),
                (Some(_), None) => event == 9,
                (None, None) => true,
            };
            assert!(promise, "history {history} at {turn}: {before:?} to {after:?}");
            assert_eq!(target.is_none(), selector.state == State::Paused);
            assert_eq!(after.map_or(0, |stream| 1 << stream) & !selector.wanted(), 0);
        }
    }
}
