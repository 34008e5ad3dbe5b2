import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { PATIENCE_MS } from '../clock/patience.js';

const mainOf = (sample: string): string => fileURLToPath(new URL(`../../../.sample-dist/${sample}/main.js`, import.meta.url));
/**
 * The server comes back on its port after a kill, so nobody else may get it meanwhile: these are below those that systems give out to
 * whoever asks for any port.
 */
const PORTS = { from: 20_000, to: 30_000 };

/** A compiled sample, the quickstart unless another is named, as a process of its own, always on the same port and in the same folder, however often it is started. */
export class QuickstartServer {
  private child: ChildProcess | undefined;
  private printed = '';

  private constructor(
    private readonly folder: string,
    readonly port: number,
    private readonly sample: string,
  ) {}

  static async start(folder: string, sample = '01-quickstart'): Promise<QuickstartServer> {
    for (;;) {
      const server = new QuickstartServer(folder, await freePort(), sample);
      try {
        await server.start();
        return server;
      } catch (error) {
        if (!String(error).includes('EADDRINUSE')) throw error;
      }
    }
  }

  get url(): string {
    return `http://localhost:${this.port}/`;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** All that the processes printed, for the message of a failed test. */
  get output(): string {
    return this.printed;
  }

  /** Resolves once the address is printed. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [mainOf(this.sample)], {
      env: { ...process.env, PORT: String(this.port), TASKFLOW_DIR: this.folder, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    const from = this.printed.length;
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`The sample ${this.sample} ${why}:\n${this.printed}`));
      const timer = setTimeout(fail, PATIENCE_MS, 'did not print its address in time');
      const read = (chunk: Buffer): void => {
        this.printed += chunk.toString();
        if (this.printed.includes(' is at http://localhost:', from)) resolve();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('exit', (code, signal) => fail(`ended with ${signal ?? code}`));
      child.once('exit', () => clearTimeout(timer));
    });
  }

  /** Resolves when the process is gone; harmless when it is. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<NodeJS.Signals | number | null> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const gone = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    child.kill(signal);
    const [code, by] = await gone;
    return by ?? code;
  }
}

async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + randomInt(PORTS.to - PORTS.from);
    const probe = createServer().listen(port, '127.0.0.1');
    const isFree = await once(probe, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    probe.close();
    await once(probe, 'close');
    return port;
  }
}
