"""Token buckets, deadlines, addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.addresses import Proxies, rate_key
from signalling.limits import Rate
from signalling.rates import KeyedBuckets, TokenBucket
from signalling.schedule import Schedule


def test_a_bucket_allows_a_burst_then_its_rate() -> None:
    bucket = TokenBucket(Rate(2.0, 3.0), 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(0.5)
    assert not bucket.take(0.5)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_goes_back_gives_no_tokens() -> None:
    bucket = TokenBucket(Rate(1.0, 1.0), 100.0)
    assert bucket.take(100.0)
    assert not bucket.take(0.0)
    assert not bucket.take(100.5)


def test_buckets_are_per_key_and_bounded() -> None:
    buckets = KeyedBuckets(Rate(0.0, 1.0), capacity=2)
    assert buckets.take("a", 0.0)
    assert not buckets.take("a", 0.0)
    assert buckets.take("b", 0.0)
    assert buckets.take("c", 0.0)
    assert len(buckets) == 2
    assert buckets.take("a", 0.0)  # forgotten, so it starts anew


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 20)), max_size=30))
def test_a_schedule_gives_each_key_once_at_its_latest_deadline(
    entries: list[tuple[str, int]],
) -> None:
    schedule = Schedule(lambda: None)
    for key, when in entries:
        schedule.put(key, float(when))
    latest = dict(entries)
    assert schedule.next() == (min(latest.values()) if latest else None)
    due = schedule.take_due(10.0)
    assert sorted(map(str, due)) == sorted(key for key, when in latest.items() if when <= 10)
    assert len(schedule) == len(latest) - len(due)
    assert schedule.take_due(10.0) == []


def test_whoever_waits_is_woken_by_earlier_deadlines_alone() -> None:
    woken = []
    schedule = Schedule(lambda: woken.append(schedule.next()))
    schedule.put("a", 5.0)
    schedule.put("b", 9.0)
    schedule.put_if_absent("a", 1.0)
    schedule.put("c", 2.0)
    assert woken == [5.0, 2.0]
    schedule.remove("c")
    schedule.remove("never there")
    assert schedule.next() == 5.0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("nonsense", "nonsense", True),
    ],
)
def test_a_whole_ipv6_network_shares_a_bucket(one: str, other: str, same: bool) -> None:
    assert (rate_key(one) == rate_key(other)) is same


def scope(client: str | None, *headers: tuple[bytes, bytes]) -> dict[str, object]:
    return {"client": (client, 1) if client else None, "headers": list(headers)}


def test_only_trusted_proxies_name_other_addresses_and_only_what_they_saw() -> None:
    proxies = Proxies(["10.0.0.1", "10.0.0.2"])
    forwarded = (b"x-forwarded-for", b"198.51.100.66, 192.0.2.7, 10.0.0.2")
    assert proxies.client_address(scope("192.0.2.1", forwarded)) == "192.0.2.1"
    assert proxies.client_address(scope("10.0.0.1", forwarded)) == "192.0.2.7"
    forged = (b"cf-connecting-ip", b"192.0.2.8")
    assert proxies.client_address(scope("10.0.0.1", forged)) == "10.0.0.1"
    junk = (b"x-forwarded-for", b"192.0.2.9, nonsense, ")
    assert proxies.client_address(scope("10.0.0.1", junk)) == "192.0.2.9"
    assert proxies.client_address(scope("10.0.0.1", (b"x-forwarded-for", b" "))) == "10.0.0.1"
    assert proxies.client_address(scope(None)) == ""
