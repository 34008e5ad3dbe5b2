const swc = [
  '@swc/jest',
  {
    swcrc: false,
    sourceMaps: 'inline',
    module: { type: 'es6' },
    jsc: {
      target: 'es2022',
      keepClassNames: true,
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    },
  },
];
const commonJs = ['@swc/jest', { ...swc[1], module: { type: 'commonjs' } }];
const transform = { '^.+\\.ts$': swc, '^.+\\.cts$': commonJs };
const base = { testEnvironment: 'node', extensionsToTreatAsEsm: ['.ts'], transform };
const toSources = { '^(\\.{1,2}/.*)\\.js$': '$1', '^(\\.{1,2}/.*worker-file)\\.cjs$': ['$1.cts', '$1.cjs'] };
const postgres = {
  globalSetup: '<rootDir>/test/support/database/postgres-setup.mjs',
  globalTeardown: '<rootDir>/test/support/database/postgres-teardown.mjs',
};

/**
 * `unit` runs the sources. `conformance` runs them too: what holds for every engine, of every engine. `storage` runs the sources too, on real disks and databases.
 * `e2e` and `faults` import the package by its own name, so that forked workers and killed processes are the published code.
 * What compares durations runs by itself: jest.alone.config.mjs.
 * `faults` runs at the size of CI unless TASKFLOW_FAULTS=full (`npm run test:faults`).
 */
export default {
  // A backstop: tests wait for what is to happen, and say what did not (test/support/clock/patience.ts) before it.
  testTimeout: 600_000,
  // Jest leaves one core to itself, and needs it for a few seconds.
  maxWorkers: '100%',
  coverageProvider: 'v8',
  workerIdleMemoryLimit: '1GB',
  projects: [
    { ...base, displayName: 'unit', roots: ['<rootDir>/test/unit'], testMatch: ['**/*.spec.ts'], moduleNameMapper: toSources },
    {
      ...base,
      ...postgres,
      displayName: 'conformance',
      roots: ['<rootDir>/test/conformance'],
      testMatch: ['**/*.spec.ts'],
      moduleNameMapper: toSources,
    },
    {
      ...base,
      ...postgres,
      displayName: 'storage',
      roots: ['<rootDir>/test/storage'],
      testMatch: ['**/*.spec.ts'],
      moduleNameMapper: toSources,
    },
    {
      ...base,
      ...postgres,
      displayName: 'e2e',
      roots: ['<rootDir>/test/e2e'],
      testMatch: ['**/*.e2e-spec.ts'],
      moduleNameMapper: toSources,
    },
    {
      ...base,
      ...postgres,
      displayName: 'faults',
      roots: ['<rootDir>/test/faults'],
      testMatch: ['**/*.spec.ts'],
      moduleNameMapper: toSources,
    },
  ],
};
