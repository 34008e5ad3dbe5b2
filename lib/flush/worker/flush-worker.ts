/**
 * Main of the flush worker process. It owns nothing that its parent does not: no parent, no worker.
 * Only light imports here, so that the handlers stand before anything heavy is loaded.
 * The path of this file is what process lists show and bundlers are told of, so it stays where it is, whatever moves behind it.
 */
import type { ParentMessage } from '../../engines/local/projection/worker/worker-protocol.js';

const die = (): void => {
  process.kill(process.pid, 'SIGKILL');
};
// The parent went, however it went. SIGKILL, for nothing may delay it: what was not committed is in the log.
process.once('disconnect', die);
if (process.connected !== true) die();
// Ctrl-C reaches the whole process group; the parent decides when flushing ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const early: ParentMessage[] = [];
let receive = (message: ParentMessage): void => {
  early.push(message);
};
process.on('message', (message: ParentMessage) => receive(message));

import('../../engines/local/projection/worker/worker-main.js').then(
  ({ runWorker }) => {
    receive = runWorker();
    for (const message of early.splice(0)) receive(message);
  },
  (error: unknown) => {
    // Said on stderr by Node, with the stack; the parent tries again with backoff.
    process.nextTick(() => {
      throw error;
    });
  },
);
