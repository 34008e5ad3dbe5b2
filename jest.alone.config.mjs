import everythingElse from './jest.config.mjs';

const { displayName: _unit, roots: _its, ...base } = everythingElse.projects[0];

/**
 * Tests that compare durations: the ratio of two of them says something about us only while nobody else uses the machine.
 * A configuration of their own, so that no call of jest mixes them with others, and one worker. `npm test` runs them last.
 */
export default {
  testTimeout: everythingElse.testTimeout,
  maxWorkers: 1,
  projects: [{ ...base, displayName: 'alone', roots: ['<rootDir>/test/alone'] }],
};
