import pytest

from common.errors import LocalError
from sfu.lifecycle import TABLE, Step, advance
from sfu.model import PeerState

J, D, A, X = PeerState.JOINING, PeerState.JOINED, PeerState.ACTIVE, PeerState.DISCONNECTED
EXPECTED = {
    (J, Step.JOIN_SENT): D,
    (J, Step.MEDIA_UP): A,
    (J, Step.LEAVE): X,
    (D, Step.JOIN_SENT): D,
    (D, Step.MEDIA_UP): A,
    (D, Step.LEAVE): X,
    (A, Step.JOIN_SENT): A,
    (A, Step.MEDIA_UP): A,
    (A, Step.LEAVE): X,
    (X, Step.JOIN_SENT): None,
    (X, Step.MEDIA_UP): None,
    (X, Step.LEAVE): X,
}


def test_the_expectation_covers_every_state_and_step() -> None:
    assert set(EXPECTED) == {(state, step) for state in PeerState for step in Step}
    assert set(TABLE) <= set(EXPECTED)


@pytest.mark.parametrize(("state", "step"), list(EXPECTED))
def test_each_step_in_each_state_leads_where_it_should(state: PeerState, step: Step) -> None:
    expected = EXPECTED[state, step]
    if expected is None:
        with pytest.raises(LocalError) as caught:
            advance(state, step)
        assert caught.value.code == "illegal_step"
    else:
        assert advance(state, step) is expected
