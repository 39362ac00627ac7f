import pytest

SKIPS = """
    import pytest

    @pytest.mark.{marker}
    def test_one():
        pytest.skip("{reason}")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite of its own, with the markers of this project."""
    pytester.makeini(
        "[pytest]\nmarkers =\n  browser: x\n  clock: x\n  gpu: x\n  redis: x\n  slow: x\n"
    )
    return pytester


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return suite.runpytest_inprocess("-p", "no:asyncio", "-p", "tests.skips", *arguments)


@pytest.mark.parametrize(
    ("marker", "reason"),
    [
        ("browser", "no binary"),
        ("clock", "no library"),
        ("gpu", "no device"),
        ("redis", "no binary"),
        ("slow", "shared data absent: scenes"),
    ],
)
def test_an_agreed_skip_passes(suite: pytest.Pytester, marker: str, reason: str) -> None:
    suite.makepyfile(SKIPS.format(marker=marker, reason=reason))

    result = run(suite, "--strict-skips")

    result.assert_outcomes(skipped=1)
    assert result.ret == pytest.ExitCode.OK


def test_a_skip_that_nobody_agreed_to_fails_and_is_named(suite: pytest.Pytester) -> None:
    suite.makepyfile(SKIPS.format(marker="slow", reason="not today"))

    result = run(suite, "--strict-skips")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["skip that was not agreed: not today"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_module_that_skips_itself_fails(suite: pytest.Pytester) -> None:
    """Such a skip hides every test of the module, and belongs to none of them."""
    suite.makepyfile("import pytest\npytest.importorskip('no_such_library')")

    result = run(suite, "--strict-skips")

    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_workers_refuse_skips_too(suite: pytest.Pytester) -> None:
    """Of a test and of a module, by the processes that run them."""
    suite.makepyfile(
        test_one=SKIPS.format(marker="slow", reason="not today"),
        test_other="import pytest\npytest.importorskip('no_such_library')",
    )

    result = run(suite, "--strict-skips", "--numprocesses=2", "--continue-on-collection-errors")

    result.assert_outcomes(failed=1, errors=1)


def test_an_expected_failure_is_no_skip(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import pytest

        @pytest.mark.xfail(reason="known")
        def test_one():
            assert False
    """)

    result = run(suite, "--strict-skips")

    result.assert_outcomes(xfailed=1)
    assert result.ret == pytest.ExitCode.OK


def test_without_the_option_any_skip_passes(suite: pytest.Pytester) -> None:
    suite.makepyfile(SKIPS.format(marker="slow", reason="not today"))

    result = run(suite)

    result.assert_outcomes(skipped=1)
    assert result.ret == pytest.ExitCode.OK
