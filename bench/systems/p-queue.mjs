import PQueue from 'p-queue';
import { CONCURRENCY } from '../core/settings.mjs';

export const settings = 'In memory: what is queued or running is lost with the process. concurrency 50; W1 and W5 with autoStart: false.';

const noop = async () => undefined;

export async function open({ runs }) {
  const queue = new PQueue({ concurrency: CONCURRENCY, autoStart: runs });
  let completed = 0;
  const count = () => void completed++;
  return {
    // Accepted at once: nothing to wait for. The input is held, as a queue of real tasks would.
    submit: async (input) => {
      const done = queue.add(() => noop(input));
      void done.then(count);
      return { done };
    },
    result: ({ done }) => done,
    completed: () => completed,
    close: async () => queue.clear(),
  };
}

export async function openHeld() {
  const queue = new PQueue({ concurrency: CONCURRENCY, autoStart: false });
  return {
    submit: async (input) => {
      // A copy for each task, as from a request.
      const own = JSON.parse(JSON.stringify(input));
      void queue.add(() => noop(own));
    },
    settled: async () => undefined,
    queued: () => queue.size,
    close: async () => queue.clear(),
  };
}
