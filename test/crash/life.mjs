import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const APP = fileURLToPath(new URL('./app.mjs', import.meta.url));
export const ANSWER_TIMEOUT_MS = 60_000;

/** One process of the app. */
export class Life {
  constructor(folder, number, seed) {
    this.number = number;
    this.child = fork(APP, [folder, String(number), seed], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv: [] });
    this.printed = '';
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (chunk) => (this.printed += chunk));
    this.gone = once(this.child, 'exit');
  }

  /** The next message of the app. */
  async message() {
    const timeout = new AbortController();
    const answer = await Promise.race([
      once(this.child, 'message', { signal: timeout.signal }).then(([message]) => message),
      this.gone.then(([code, signal]) => ({ failed: `the app ended by itself (${signal ?? code})` })),
      sleep(ANSWER_TIMEOUT_MS, { failed: `no answer within ${ANSWER_TIMEOUT_MS} ms` }, { signal: timeout.signal }),
    ]).finally(() => timeout.abort());
    if (answer.failed !== undefined) throw new Error(`${answer.failed}\n${this.printed}`);
    return answer;
  }

  tell(message) {
    this.child.send(message, () => {}); // an app that is gone is noticed by who waits for its answer
  }

  async ask(message) {
    this.tell(message);
    return (await this.message()).answer;
  }

  async kill() {
    this.child.kill('SIGKILL');
    const [, signal] = await this.gone;
    if (signal !== 'SIGKILL') throw new Error(`the app ended before it was killed\n${this.printed}`);
  }
}
