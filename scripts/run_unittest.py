"""Runs the tests in test/python; writes the counts to the file that SAM3_TRACKER_TEST_RESULTS names, if any."""

import json
import os
import sys
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "test" / "python"


def main() -> int:
    """Runs the tests. Returns the exit code: 1 when one failed, or when there is none."""
    suite = unittest.defaultTestLoader.discover(str(TESTS), top_level_dir=str(TESTS))
    if suite.countTestCases() == 0:
        print("No test found in test/python", file=sys.stderr)
        return 1
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    # Several subtests of one test may fail; an unexpected success is a failure, an expected failure is not a pass.
    broken = [getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors]
    failed = len(set(broken) | {test.id() for test in result.unexpectedSuccesses})
    skipped = len(result.skipped) + len(result.expectedFailures)
    passed = max(0, result.testsRun - failed - skipped)
    results = os.environ.get("SAM3_TRACKER_TEST_RESULTS")
    if results:
        Path(results).write_text(json.dumps({"passed": passed, "failed": failed, "skipped": skipped}))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
