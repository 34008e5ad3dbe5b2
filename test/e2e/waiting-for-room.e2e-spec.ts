import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { ChildApp } from '../support/process/child-app.js';
import { DatabaseHolder } from '../support/database/database-holder.js';
import { TestFolder } from '../support/process/task-system.js';

const SCRIPT = fileURLToPath(new URL('./standalone-script.mjs', import.meta.url));
/** Longer than the log waits before it looks for room again: a process with nothing to wait for has ended by then. */
const PATIENCE_MS = 1_500;

let folder: TestFolder;
let holder: DatabaseHolder | undefined;
let script: ChildApp | undefined;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await script?.kill();
  await holder?.release();
  await folder.dispose();
});

it('P6: a script whose tasks wait for room in the log stays alive until there is room, and has their results', async () => {
  script = await ChildApp.start(
    {
      ...folder.options({ eventLog: { maxUnflushedBytes: 20_000 }, flush: { worker: 'process' } }),
      hooks: undefined,
      tasks: 1,
    },
    SCRIPT,
  );
  holder = await DatabaseHolder.hold(folder.file('tasks.db'), 'writes');
  script.send('go');
  await script.hears((message) => message['full'] !== undefined);
  const ending = script.exited();
  const stillAlive = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, 'alive'));
  expect(await Promise.race([ending, stillAlive])).toBe('alive');
  await holder.release();
  expect(await ending).toEqual({ code: 0, signal: null });
  expect(script.said.find((message) => message['results'] !== undefined)).toEqual({ results: [0] });
});
