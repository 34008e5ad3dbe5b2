// Tasks that harm the process that runs them, and commands that take away what it needs.
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Each harm comes once per task: the run after it is a good one. */
const HARMS = {
  exit: () => process.exit(0),
  exception: () => setTimeout(() => ({}).missing.member, 5),
  rejection: () => setTimeout(() => void Promise.reject(new Error('nobody waits for this')), 5),
};

export function extend(system, tell) {
  system.defineTask('harmful', {
    handler: async ({ harm }, ctx) => {
      tell({ started: ctx.taskId, fence: ctx.fence });
      if (ctx.fence > 1) return { survived: harm };
      await ctx.progress({ harm });
      HARMS[harm]();
      await new Promise(() => {});
    },
  });
  system.defineTask('lethal', {
    handler: async (input, ctx) => {
      await ctx.progress({ fence: ctx.fence });
      tell({ dies: ctx.taskId });
      await sleep(30);
      process.kill(process.pid, 'SIGKILL');
      await new Promise(() => {});
    },
  });
  system.defineTask('innocent', { handler: ({ ms }, ctx) => sleep(ms, { fence: ctx.fence }) });
  system.defineTask('blocks', {
    handler: async ({ ms }, ctx) => {
      await ctx.progress({ blocks: ms });
      tell({ blocking: ctx.taskId });
      for (const end = performance.now() + ms; performance.now() < end;);
      tell({ unblocked: ctx.taskId });
      await ctx.progress({ blocked: ms });
      return { fence: ctx.fence };
    },
  });
  if (process.env.WITHOUT_HANDLER === undefined) {
    for (const name of ['old-import', 'old-report']) system.defineTask(name, { handler: async ({ n }) => n * 2 });
  }
  let taken = [];
  return {
    /** Takes every file descriptor that the process may have. */
    exhaust: async () => {
      try {
        for (;;) taken.push(openSync('/dev/null', 'r'));
      } catch (error) {
        if (error.code !== 'EMFILE') throw error;
      }
      return { taken: taken.length };
    },
    giveBack: async () => {
      for (const fd of taken) closeSync(fd);
      taken = [];
      return {};
    },
    killFlushWorker: async () => {
      process.kill(system.getStats().flush.workerPid, 'SIGKILL');
      return {};
    },
  };
}
