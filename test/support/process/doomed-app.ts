import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Failpoint } from '../../../lib/primitives/failpoint.js';
import { PATIENCE_MS } from '../clock/patience.js';

const ACTOR = new URL('./failpoint-actor.mjs', import.meta.url).href;

/** A mount namespace: for root, or for anybody where the system lets everybody have one. */
export const UNSHARE: readonly string[] = process.getuid?.() === 0 ? ['unshare', '-m'] : ['unshare', '-rm'];

/** `victim` gets `signal` when a process comes past `point` for the `hit`-th time. Each arm fires once. */
export interface Arm {
  readonly id: string;
  readonly point: Failpoint;
  readonly hit: number;
  /** As seen from the process that comes past. */
  readonly victim: 'self' | 'parent' | 'worker';
  /** SIGKILL. */
  readonly signal?: 'SIGKILL' | 'SIGSTOP';
  /** From then on the process that came past does not hear that its parent is gone. */
  readonly deaf?: boolean;
}

export interface Firing {
  readonly arm: string;
  readonly point: Failpoint;
  /** Who got the signal. */
  readonly pid: number;
  /** Who came past. */
  readonly by: number;
}

type Told = Firing | { readonly born: number; readonly isWorker: boolean } | { readonly passed: Failpoint; readonly by: number };

/** A process, and its flush worker, that meet a signal at a failpoint. What they do they tell in a file, which outlives them. */
export class DoomedApp {
  stderr = '';
  private readonly answers: Record<string, any>[] = [];
  private wake: (() => void) | undefined;

  private constructor(
    private readonly child: ChildProcess,
    private readonly file: string,
  ) {
    child.stderr!.on('data', (data: Buffer) => (this.stderr += data.toString()));
    child.on('message', (message: Record<string, any>) => {
      this.answers.push(message);
      this.wake?.();
    });
    child.on('exit', () => this.wake?.());
  }

  /**
   * @param script gets `argument`. @param file where firings are told, of this life and of earlier ones.
   * @param prepare shell text that runs first, in a mount namespace of its own.
   */
  static fork(script: URL, argument: object, arms: readonly Arm[], file: string, prepare?: string): DoomedApp {
    appendFileSync(file, '');
    const env = {
      ...process.env,
      NODE_OPTIONS: `--import=${ACTOR}`,
      TASKFLOW_WORKER_NODE_OPTIONS: `--import=${ACTOR}`,
      TASKFLOW_FAILPOINTS: JSON.stringify({ file, arms }),
    };
    const shell =
      prepare === undefined
        ? {}
        : { execPath: UNSHARE[0]!, execArgv: [...UNSHARE.slice(1), 'sh', '-c', `${prepare} && exec "${process.execPath}" "$0" "$@"`] };
    const child = fork(fileURLToPath(script), [JSON.stringify(argument)], {
      env,
      execArgv: [],
      ...shell,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    return new DoomedApp(child, file);
  }

  get pid(): number {
    return this.child.pid!;
  }

  get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  tell(command: string, args: object = {}): void {
    this.child.send({ command, ...args }, () => undefined); // a dead one hears nothing, and its death is what the test waits for
  }

  /** It is initialised. */
  async isReady(): Promise<void> {
    await this.hears((message) => message['ready'] !== undefined, 'was ready');
  }

  /** Resolves at the firing of this arm. */
  fires(arm: Arm, withinMs = PATIENCE_MS): Promise<Firing> {
    return this.firesAny([arm], withinMs);
  }

  /** Resolves at the firing of the first of these arms. */
  async firesAny(arms: readonly Arm[], withinMs = PATIENCE_MS): Promise<Firing> {
    const points = arms.map(({ point }) => point).join(', ');
    for (const end = Date.now() + withinMs; ; await new Promise((resolve) => setTimeout(resolve, 10))) {
      const firing = this.firings().find(({ arm }) => arms.some(({ id }) => id === arm));
      if (firing !== undefined) return firing;
      if (this.hasExited) throw new Error(`It ended before it came to ${points}: ${this.stderr}`);
      if (Date.now() > end) throw new Error(`It did not come to ${points} within ${withinMs} ms: ${this.stderr}`);
    }
  }

  /** Asks, and waits for the answer: each command once. */
  async ask(command: string, args: object = {}): Promise<any> {
    const isEarlier = new Set(this.answers);
    this.tell(command, args);
    const { failed, answer } = await this.hears(
      (message) => message['done'] === command && !isEarlier.has(message),
      `answered to ${command}`,
    );
    if (failed !== undefined) throw new Error(failed);
    return answer;
  }

  /** @throws Error when the process ends before it says so, or takes too long. */
  private async hears(
    matches: (message: Record<string, any>) => boolean,
    what: string,
    withinMs = PATIENCE_MS,
  ): Promise<Record<string, any>> {
    for (const end = Date.now() + withinMs; ; await this.next()) {
      const found = this.answers.find(matches);
      if (found !== undefined) return found;
      if (this.hasExited) throw new Error(`It ended (${this.child.signalCode ?? this.child.exitCode}) before it ${what}: ${this.stderr}`);
      if (Date.now() > end) throw new Error(`It took more than ${withinMs} ms until it ${what}: ${this.stderr}`);
    }
  }

  /** A message, an end, or a moment. */
  private next(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 50);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async exited(): Promise<NodeJS.Signals | number | null> {
    if (!this.hasExited) await once(this.child, 'exit');
    return this.child.signalCode ?? this.child.exitCode;
  }

  /** Signals that were sent at failpoints, in all lives that told them in this file. */
  firings(): Firing[] {
    return this.told().filter((line): line is Firing => 'arm' in line);
  }

  /** Flush workers, living and dead, newest last. */
  workers(): number[] {
    return this.told().flatMap((line) => ('born' in line && line.isWorker ? [line.born] : []));
  }

  /** Points that a process came past after it was stopped, and woken. */
  passedBy(pid: number): Failpoint[] {
    return this.told().flatMap((line) => ('passed' in line && line.by === pid ? [line.passed] : []));
  }

  /** Ends what is left of it. A worker that is stopped cannot end itself. */
  async end(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited();
    for (const pid of this.workers()) if (await isAlive(pid)) process.kill(pid, 'SIGCONT');
    await this.alone();
  }

  /** Resolves when no worker of this file lives any more: they end themselves when their parent is gone. */
  async alone(withinMs = PATIENCE_MS): Promise<void> {
    for (const end = Date.now() + withinMs; ; await new Promise((resolve) => setTimeout(resolve, 5))) {
      const living = (await Promise.all(this.workers().map(async (pid) => ((await isAlive(pid)) ? pid : 0)))).filter((pid) => pid !== 0);
      if (living.length === 0) return;
      if (Date.now() > end) throw new Error(`Flush workers ${living.join(', ')} outlived their parent by ${withinMs} ms.`);
    }
  }

  private told(): Told[] {
    return readFileSync(this.file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Told);
  }
}

/** A process that nobody has waited for yet is dead all the same. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(await readFile(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
