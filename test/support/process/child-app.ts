import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./child-process.mjs', import.meta.url));
type Message = Record<string, any>;

/** A task system in a process of its own, which may be killed at any moment. */
export class ChildApp {
  /** Everything it said, in order. */
  readonly said: Message[] = [];
  private readonly answers = new Map<number, (answer: Message) => void>();
  private readonly watchers: (() => void)[] = [];
  private asked = 0;
  stderr = '';
  /** Rejects for those who wait for more than there will be. */
  private readonly death: Promise<never>;

  private constructor(private readonly child: ChildProcess) {
    this.death = this.exited().then(({ code, signal }) => {
      throw new Error(`The child ended (${code ?? signal}): ${this.stderr}`);
    });
    this.death.catch(() => {}); // nobody may be waiting
    createInterface({ input: child.stdout! }).on('line', (line) => this.heard(JSON.parse(line) as Message));
    child.stdin!.on('error', () => {}); // it died: `exited` says so
    child.stderr!.on('data', (data: Buffer) => (this.stderr += data.toString()));
  }

  static start(options: object, script = SCRIPT): Promise<ChildApp> {
    return ChildApp.spawn(options, undefined, script).ready();
  }

  /**
   * @param extra the module that adds tasks and commands to those of child-process.mjs.
   * @param wrapper what the process is started through: a command that takes another one as its last arguments.
   */
  static spawnWith(options: object, extra: URL, wrapper: readonly string[] = []): ChildApp {
    const [command, ...args] = [...wrapper, process.execPath, SCRIPT, JSON.stringify(options)];
    const env = { ...process.env, CHILD_APP_EXTRA: extra.href };
    return new ChildApp(spawn(command!, args, { stdio: ['pipe', 'pipe', 'pipe'], env }));
  }

  /** @param env more than this process has. */
  static spawnIn(env: NodeJS.ProcessEnv, options: object, wrapper: readonly string[] = []): ChildApp {
    const [command, ...args] = [...wrapper, process.execPath, SCRIPT, JSON.stringify(options)];
    return new ChildApp(spawn(command!, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } }));
  }

  /** @param uid the user that the process becomes once its modules are loaded; for root only. */
  static spawn(options: object, uid?: number, script = SCRIPT): ChildApp {
    const args = [script, JSON.stringify(options), ...(uid === undefined ? [] : [String(uid)])];
    return new ChildApp(spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] }));
  }

  /** @throws when it ended before it was ready. */
  async ready(): Promise<this> {
    await Promise.race([this.hears((message) => message['ready'] !== undefined), this.death]);
    return this;
  }

  get pid(): number {
    return this.child.pid!;
  }

  send(name: string, args: object = {}): void {
    this.child.stdin!.write(`${JSON.stringify({ n: ++this.asked, do: name, ...args })}\n`);
  }

  async ask(name: string, args: object = {}): Promise<Message> {
    this.send(name, args);
    const n = this.asked;
    const answer = await Promise.race([new Promise<Message>((resolve) => this.answers.set(n, resolve)), this.death]);
    if (answer['error'] !== undefined) throw Object.assign(new Error(answer['error'].message), answer['error']);
    return answer;
  }

  async hears(matches: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      const found = this.said.find(matches);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.watchers.push(resolve));
    }
  }

  async exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return { code: this.child.exitCode, signal: this.child.signalCode };
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.child.kill(signal);
    await this.exited();
  }

  private heard(message: Message): void {
    this.said.push(message);
    this.answers.get(message['n'] as number)?.(message);
    for (const watcher of this.watchers.splice(0)) watcher();
  }
}
