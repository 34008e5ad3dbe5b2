#!/usr/bin/env node
/** Prints "passed failed skipped" of one jest --json file. Exits non-zero, and prints nothing, when the counts cannot be read or no test ran. */
import { countsOf, readReport } from './jest-report.mjs';

const file = process.argv[2];
try {
  const { passed, failed, skipped } = countsOf(readReport(file));
  console.log(`${passed} ${failed} ${skipped}`);
} catch (error) {
  console.error(`Counts of ${file} cannot be read: ${error.message}`);
  process.exitCode = 1;
}
