from structlog.testing import capture_logs

from app.serving.degradation import Degradation
from app.serving.fallback import Rung


def test_degraded_answers_are_one_line_a_second_with_their_numbers() -> None:
    now_s = [0.0]
    with capture_logs() as lines:
        degradation = Degradation(lambda: now_s[0])
        degradation.blame(TimeoutError())
        for at_s in (0.0, 0.2, 0.7, 1.0):
            now_s[0] = at_s
            degradation.note(Rung.ANONYMOUS)
        degradation.note(None)

    assert [line["rungs"] for line in lines] == [{"anonymous": 1}, {"anonymous": 3}]
    assert lines[0]["reason"] == "TimeoutError"
