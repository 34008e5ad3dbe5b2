import type { DynamicModule, FactoryProvider, Type } from '@nestjs/common';
import { DiscoveryService, ModuleRef } from '@nestjs/core';
import type { TaskflowOptionsInput } from '../config/taskflow-options.interface.js';
import { LateClose } from '../http/late-close.js';
import { MarkedProviders } from '../handlers/marked-providers.js';
import { TaskSystem } from '../task-system.js';
import { TaskflowLifecycle } from '../taskflow.lifecycle.js';
import { TaskflowModule } from '../taskflow.module.js';
import { Laboratory } from './life/laboratory.js';
import { standIn } from './life/stand-in.js';
import { testOptions } from './life/test-options.js';
import { TaskflowTesting } from './taskflow-testing.js';

/** Calls of these wait for time that nobody moves: the application starts, or closes. */
const EDGES = new Map<unknown, readonly PropertyKey[]>([
  [TaskflowLifecycle, ['open', 'start', 'stopWork', 'stop']],
  [TaskSystem, ['initialize', 'shutdown']],
]);

/** In the place of `TaskflowModule` in a test. */
export class TaskflowTestingModule {
  /**
   * A task system whose log and rows are in memory, with a clock that stands still, and silent; it leaves nothing behind. The application
   * gets every provider that it gets of `TaskflowModule.forRoot`, and `TaskflowTesting`.
   * @param options those of `forRoot`, with their defaults, but for: rows in memory (a `repository` that is given is used; SQLite needs a
   * `database` then), the log in memory, the flush inline, no jitter of retries, no wait for runs at a close, no log lines without `hooks`.
   */
  static forTest(options: TaskflowOptionsInput = {}): DynamicModule {
    const root = TaskflowModule.forRoot(options);
    const exported = root.exports as (Type | symbol)[];
    return {
      ...root,
      providers: [
        {
          provide: Laboratory,
          useFactory: (discovery: DiscoveryService, moduleRef: ModuleRef) => new Laboratory(testOptions(options), { discovery, moduleRef }),
          inject: [DiscoveryService, ModuleRef],
        },
        { provide: TaskflowTesting, useFactory: (lab: Laboratory) => new TaskflowTesting(lab), inject: [Laboratory] },
        LateClose,
        ...[...exported, MarkedProviders, TaskflowLifecycle].map(ofPresentLife),
      ],
      exports: [...exported, TaskflowTesting],
    };
  }
}

function ofPresentLife(token: Type | symbol): FactoryProvider {
  const useFactory = (lab: Laboratory): unknown => {
    if (typeof token === 'symbol') return lab.get(token);
    const edges = EDGES.get(token) ?? [];
    return standIn(
      token,
      () => lab.get(token),
      (member, call) => (edges.includes(member) ? (...args) => lab.atEdge(member, async () => call(...args)) : call),
    );
  };
  return { provide: token, useFactory, inject: [Laboratory] };
}
