/**
 * The house: a floor imports only floors below it; within a floor, a folder imports only itself. Type imports count.
 * `lib/*.ts` is the root floor, above all folders: the composition root, which alone knows the engine that runs.
 */
const FLOORS = [
  ['contracts', 'errors'],
  ['primitives', 'domain'],
  ['config'],
  ['telemetry', 'lifecycle'],
  ['http'],
  ['repository', 'handlers', 'guard'],
  ['engines'],
  ['stream'],
  ['executor'],
  ['intake'],
  ['dead-letters'],
  ['health', 'swagger', 'testing', 'client', 'cli'],
];

/** The rooms of each engine, by the same rule. */
const ROOMS = {
  local: [['wal', 'storage'], ['ledger', 'projection', 'queue'], ['intake', 'startup'], ['cli']],
  cluster: [['storage'], ['members', 'facts'], ['feed'], ['queue', 'queries'], ['intake', 'upkeep'], ['cli']],
};

/** Imports that are meant, and would break a floor's rule. Each one is a shape or an edge that the contract itself names. */
const ALLOWED = {
  // Ports speak of the folded task and of who asks for it; the shapes live beside the rules.
  contracts: ['^lib/errors/', '^lib/domain/(task-state|owner)\\.ts$'],
  errors: ['^lib/contracts/'],
  // A test has the whole system in its hand.
  testing: ['^lib/(taskflow\\.module|taskflow\\.providers|taskflow\\.lifecycle|task-system)\\.ts$'],
  // The commands that open a log have the frame of all commands.
  engines: ['^lib/cli/(arguments|command\\.interface)\\.ts$'],
  // What is injected there is the task system itself, by its class.
  cli: ['^lib/(create-)?task-system\\.ts$'],
  health: ['^lib/task-system\\.ts$'],
};

const SHARED = FLOORS.flat().filter((folder) => folder !== 'engines' && folder !== 'cli');

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
const roomRules = Object.entries(ROOMS).flatMap(([engine, rooms]) =>
  rooms.flatMap((floor, level) =>
    floor.map((room) => ({
      name: `${engine}-${room}`,
      comment: `engines/${engine}/${room} imports itself and lower rooms only: ${rooms.slice(0, level).flat().join(', ') || 'none'}`,
      severity: 'error',
      from: { path: `^lib/engines/${engine}/${room}/` },
      to: {
        path: `^lib/engines/${engine}/`,
        pathNot: [room, ...rooms.slice(0, level).flat()].map((name) => `^lib/engines/${engine}/${name}/`),
      },
    })),
  ),
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
    ...roomRules,
    {
      name: 'shared-knows-no-engine',
      comment: 'Only the composition root (lib/*.ts) and the commands know which engine runs.',
      severity: 'error',
      from: { path: `^lib/(${SHARED.join('|')})/` },
      to: { path: '^lib/engines/' },
    },
    {
      name: 'engines-apart',
      comment: 'An engine never imports another one.',
      severity: 'error',
      from: { path: '^lib/engines/([^/]+)/' },
      to: { path: '^lib/engines/', pathNot: '^lib/engines/$1/' },
    },
    {
      name: 'client-alone',
      comment: 'What browsers load imports itself and types of events, no package and no module of Node.',
      severity: 'error',
      from: { path: '^lib/client/' },
      to: { pathNot: ['^lib/client/', '^lib/contracts/task-event-type\\.ts$'] },
    },
    {
      name: 'known-floor',
      comment: 'A new folder of lib needs its floor, above. The main of the flush process is part of the root floor.',
      severity: 'error',
      from: { path: `^lib/(?!(${folders.join('|')})/|flush/worker/flush-worker)[^/]+/` },
      to: {},
    },
    onlyIn(
      'typeorm-in-repository',
      '(^|node_modules/)typeorm(/|$)',
      ['^lib/repository/', '^lib/engines/[^/]+/storage/'],
      'typeorm only in repository/ and the storage of engines',
    ),
    onlyIn('fs-in-the-log', '^(node:)?fs(/promises)?$', ['^lib/engines/local/wal/'], 'node:fs only in the log'),
    onlyIn(
      'rxjs-in-stream',
      '(^|node_modules/)rxjs(/|$)',
      ['^lib/(stream|http)/', '^lib/[^/]+\\.ts$', '^lib/contracts/'],
      'rxjs only in stream/, http/ (Nest answers with Observables), root and the types of contracts/',
    ),
    onlyIn(
      'swagger-apart',
      '(^|node_modules/)@nestjs/swagger(/|$)',
      ['^lib/swagger/'],
      'an optional peer, for those who import nestjs-taskflow/swagger',
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
    {
      name: 'no-unresolvable',
      comment: 'better-sqlite3 is a peer that development does not compile',
      severity: 'error',
      from: { path: '^lib/' },
      to: { couldNotResolve: true, pathNot: '^better-sqlite3$' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    combinedDependencies: false,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
