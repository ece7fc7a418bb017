/** Mocha's spec reporter, which also writes the counts to the file that SAM3_TRACKER_TEST_RESULTS names. */
'use strict';
const { writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      const { passes: passed, failures: failed, pending: skipped } = this.stats;
      writeFileSync(process.env.SAM3_TRACKER_TEST_RESULTS, JSON.stringify({ passed, failed, skipped }));
    });
  }
};
