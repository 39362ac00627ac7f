from app.security.quota import MAX_BUCKETS, Quotas


class Clock:
    """A clock that stands until it is moved."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_key_may_send_a_burst_of_a_second_and_then_its_rate() -> None:
    clock = Clock()
    quotas = Quotas(clock)

    burst = [quotas.take("k", 4).is_granted for _ in range(5)]
    clock.now_s += 0.5  # two of four a second
    later = [quotas.take("k", 4).is_granted for _ in range(3)]
    clock.now_s += 60.0
    rested = [quotas.take("k", 4).is_granted for _ in range(5)]

    assert burst == [True, True, True, True, False]
    assert later == [True, True, False]
    assert rested == burst


def test_the_headers_say_what_is_left() -> None:
    quotas = Quotas(Clock())

    grants = [quotas.take("k", 2) for _ in range(3)]

    assert [grant.left for grant in grants] == [1, 0, 0]
    assert [grant.wait_s for grant in grants] == [0, 1, 1]
    assert grants[0].headers == {
        "RateLimit-Policy": '"key";q=2;w=1',
        "RateLimit": '"key";r=1;t=1',
    }


def test_keys_do_not_share_a_bucket() -> None:
    quotas = Quotas(Clock())

    assert [quotas.take(key, 1).is_granted for key in ("a", "a", "b")] == [True, False, True]


def test_of_too_many_keys_the_oldest_is_forgotten() -> None:
    quotas = Quotas(Clock())

    first = [quotas.take("first", 1).is_granted for _ in range(2)]
    for number in range(MAX_BUCKETS):
        quotas.take(str(number), 1)

    assert first == [True, False]
    assert quotas.take("first", 1).is_granted
    assert not quotas.take(str(MAX_BUCKETS - 1), 1).is_granted
