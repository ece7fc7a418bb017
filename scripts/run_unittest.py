"""Runs the tests in test/python; writes the counts to the file that SAM3_TRACKER_TEST_RESULTS names, if any."""

import argparse
import io
import json
import multiprocessing
import os
import sys
import unittest
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "test" / "python"


def _cases(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _cases(test)
        else:
            yield test


def _groups(suite: unittest.TestSuite) -> list[list[unittest.TestCase]]:
    """What runs in one process: the tests of a class that sets up something for all of them, else each by itself."""
    groups: dict[str, list[unittest.TestCase]] = {}
    for test in _cases(suite):
        shares = type(test).setUpClass.__func__ is not unittest.TestCase.setUpClass.__func__
        key = f"{type(test).__module__}.{type(test).__qualname__}" if shares else test.id()
        groups.setdefault(key, []).append(test)
    return list(groups.values())


def _run(group: list[unittest.TestCase]) -> tuple[str, Counter]:
    """Runs tests; returns what they print, and how many passed, failed and were skipped."""
    output = io.StringIO()
    result = unittest.TextTestRunner(stream=output, verbosity=2).run(unittest.TestSuite(group))
    # Several subtests of one test may fail; an unexpected success is a failure, an expected failure is not a pass.
    broken = [getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors]
    failed = len(set(broken) | {test.id() for test in result.unexpectedSuccesses})
    skipped = len(result.skipped) + len(result.expectedFailures)
    passed = max(0, result.testsRun - failed - skipped)
    # Without the totals of a group, which say nothing of the whole.
    return output.getvalue().rpartition("\n" + "-" * 70)[0].rstrip(), Counter(
        passed=passed, failed=failed, skipped=skipped
    )


def main() -> int:
    """Runs the tests, several at once. Returns the exit code: 1 when one failed, or when there is none."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=1)
    jobs = parser.parse_args().jobs
    groups = _groups(unittest.defaultTestLoader.discover(str(TESTS), top_level_dir=str(TESTS)))
    if not groups:
        print("No test found in test/python", file=sys.stderr)
        return 1
    # The tests' heaviest import, once for all processes, which are forked. Not above: the tests make it importable.
    from transformers import Sam3TrackerModel  # noqa: F401

    counts = Counter(passed=0, failed=0, skipped=0)
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        for future in as_completed([pool.submit(_run, group) for group in groups]):
            output, group_counts = future.result()
            print(output, flush=True)
            counts.update(group_counts)
    results = os.environ.get("SAM3_TRACKER_TEST_RESULTS")
    if results:
        Path(results).write_text(json.dumps(counts))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
