import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./hold-database.mjs', import.meta.url));

/** Another process that holds a SQLite database. */
export class DatabaseHolder {
  private constructor(private readonly child: ChildProcess) {}

  /** @param what `everything`: reads of others fail too, which SQLite grants only while nobody else is connected. */
  static async hold(file: string, what: 'writes' | 'everything'): Promise<DatabaseHolder> {
    const child = spawn(process.execPath, [SCRIPT, file, what], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`The holder ended with ${code}.`)));
    ended.catch(() => undefined);
    await Promise.race([once(child.stdout!, 'data'), ended]);
    return new DatabaseHolder(child);
  }

  async release(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.stdin!.end();
    await exited;
  }
}
