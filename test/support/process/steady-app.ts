import { fileURLToPath } from 'node:url';
import type { TaskSystemStats } from 'nestjs-taskflow';
import { ChildApp } from './child-app.js';

/** Below this a p99 says more about the machine than about us. */
const P99_FLOOR_MS = 5;
const SCRIPT = fileURLToPath(new URL('./steady-process.mjs', import.meta.url));

export interface OfferedLoad {
  /** Ids of acknowledged tasks, in order. */
  readonly acked: readonly string[];
  readonly refused: readonly string[];
  /** From the call to its answer. Unit: ms. */
  readonly p50: number;
  readonly p99: number;
}

/** What was answered to questions for states while the load ran. */
export interface SeenStates {
  readonly right: number;
  readonly unknowable: number;
  readonly wrong: readonly string[];
  readonly breakerOpened: boolean;
}

/** A system under a load that does not wait for it, measured in a process of its own. */
export class SteadyApp {
  private constructor(private readonly app: ChildApp) {}

  static async start(options: object): Promise<SteadyApp> {
    return new SteadyApp(await ChildApp.start(options, SCRIPT));
  }

  async offer(
    perSecond: number,
    seconds: number,
    old: readonly string[],
    name: 'quick' | 'steps' = 'quick',
  ): Promise<{ load: OfferedLoad; seen: SeenStates }> {
    const { load, seen } = await this.app.ask('offer', { name, perSecond, seconds, old });
    return { load, seen };
  }

  /** Its process takes the write lock of a database, on a connection that is not ours. */
  async begin(database: string): Promise<void> {
    await this.app.ask('begin', { database });
  }

  async commit(): Promise<void> {
    await this.app.ask('commit');
  }

  async stats(): Promise<TaskSystemStats> {
    return (await this.app.ask('stats'))['stats'];
  }

  /** Name of the error, or null. */
  async refusalOf(command: 'submitKeyed' | 'status', args: object): Promise<string | null> {
    return (await this.app.ask(command, args))['refusal'];
  }

  async shutdown(): Promise<void> {
    await this.app.ask('shutdown');
    await this.kill();
  }

  async kill(): Promise<void> {
    await this.app.kill();
  }
}

/** True when the second load was answered about as fast as the first one. Says how fast both were. */
export function isAsFast(what: string, before: OfferedLoad, during: OfferedLoad): boolean {
  const figures = ({ acked, p50, p99 }: OfferedLoad): string =>
    `${acked.length} submits, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;
  process.stdout.write(`${what}: ${figures(before)} before; ${figures(during)} while it is held\n`);
  return during.p99 <= 5 * Math.max(before.p99, P99_FLOOR_MS);
}
