/**
 * The house: a floor imports only floors below it; within a floor, a folder imports only itself. Type imports count.
 * `lib/*.ts` is the root floor, above all folders.
 */
const FLOORS = [
  ['contracts', 'errors'],
  ['primitives', 'domain'],
  ['config'],
  ['telemetry', 'decorators', 'http'],
  ['event-log', 'repository'],
  ['facts'],
  ['guard', 'flush', 'stream'],
  ['executor'],
  ['intake', 'recovery'],
  ['health', 'testing', 'client', 'cli'],
];

/** Imports that are meant, and would break a floor's rule. Each one is a shape or an edge that the contract itself names. */
const ALLOWED = {
  // Ports speak of the folded task; its shape lives beside its fold.
  contracts: ['^lib/errors/', '^lib/domain/task-state\\.ts$'],
  errors: ['^lib/contracts/'],
};

const folders = FLOORS.flat();
const floorRules = FLOORS.flatMap((floor, level) =>
  floor.map((folder) => {
    const below = FLOORS.slice(0, level).flat();
    const open = [folder, ...below].map((name) => `^lib/${name}/`);
    return {
      name: `floor-${folder}`,
      comment: `lib/${folder} imports itself and lower floors only: ${below.join(', ') || 'none'}`,
      severity: 'error',
      from: { path: `^lib/${folder}/` },
      to: { path: '^lib/', pathNot: [...open, ...(ALLOWED[folder] ?? [])] },
    };
  }),
);

/** A package or module that only some places may import. */
const onlyIn = (name, target, places, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: '^lib/', pathNot: places },
  to: { path: target },
});

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    ...floorRules,
    {
      name: 'known-floor',
      comment: 'A new folder of lib needs its floor, above.',
      severity: 'error',
      from: { path: `^lib/(?!(${folders.join('|')})/)[^/]+/` },
      to: {},
    },
    onlyIn('typeorm-in-repository', '(^|node_modules/)typeorm(/|$)', ['^lib/repository/'], 'typeorm only in repository/'),
    onlyIn('fs-in-event-log', '^(node:)?fs(/promises)?$', ['^lib/event-log/'], 'node:fs only in event-log/'),
    onlyIn(
      'rxjs-in-stream',
      '(^|node_modules/)rxjs(/|$)',
      ['^lib/stream/', '^lib/[^/]+\\.ts$', '^lib/contracts/'],
      'rxjs only in stream/, root and the types of contracts/',
    ),
    onlyIn('otel-in-telemetry', '(^|node_modules/)@opentelemetry/', ['^lib/telemetry/'], 'an optional peer, loaded in telemetry/'),
    {
      name: 'no-own-index',
      comment: 'index.ts is for users: importing it ties knots',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^lib/index[.]ts$|/index[.]ts$' },
    },
    {
      name: 'no-test-code',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^(test|sample|bench|scripts)/|\\.(spec|test-d)\\.ts$' },
    },
    {
      name: 'no-undeclared-package',
      comment: 'lib/ needs what package.json declares as dependency or peer, not what development happens to install',
      severity: 'error',
      from: { path: '^lib/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm', 'npm-peer', 'npm-optional'] },
    },
    { name: 'no-unresolvable', severity: 'error', from: { path: '^lib/' }, to: { couldNotResolve: true } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    combinedDependencies: false,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
