import { readFileSync } from 'node:fs';

/** What must be added up when reports become one. */
const TOTALS = [
  'numFailedTestSuites',
  'numFailedTests',
  'numPassedTestSuites',
  'numPassedTests',
  'numPendingTestSuites',
  'numPendingTests',
  'numRuntimeErrorTestSuites',
  'numTodoTests',
  'numTotalTestSuites',
  'numTotalTests',
];

/**
 * A report of `jest --json` that says what became of a whole run.
 * @throws Error when it cannot be read, or does not say that.
 */
export function readReport(file) {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  for (const name of TOTALS) if (!Number.isSafeInteger(report[name])) throw new Error(`it has no ${name}`);
  // An interrupted run leaves a report of what it got to.
  if (report.wasInterrupted !== false) throw new Error('the run was interrupted');
  return report;
}

/** Several runs as one report, in the shape of jest. */
export function merged(reports) {
  const total = (name) => reports.reduce((sum, report) => sum + report[name], 0);
  return {
    ...Object.fromEntries(TOTALS.map((name) => [name, total(name)])),
    success: reports.every((report) => report.success),
    wasInterrupted: false,
    startTime: Math.min(...reports.map((report) => report.startTime)),
    testResults: reports.flatMap((report) => report.testResults),
  };
}

/**
 * How many tests passed, failed and were skipped. A suite that could not be loaded counts as a failure, as none of its tests was counted.
 * @throws Error when no test ran.
 */
export function countsOf(report) {
  const passed = report.numPassedTests;
  let failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  if (passed + failed === 0) throw new Error('no test ran');
  if (!report.success && failed === 0) failed = 1;
  return { passed, failed, skipped: report.numPendingTests + report.numTodoTests };
}
