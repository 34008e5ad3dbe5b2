import { afterEach, describe, expect, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

let house: WholeSystem;
let work: HandDrivenWork;
let lines: string[];

function build(options: TaskflowOptionsInput = {}): void {
  lines = [];
  const say =
    (level: string) =>
    (text: unknown): void =>
      void lines.push(`${level} ${String(text)}`);
  house = new WholeSystem(options, { log: say('log'), warn: say('warn'), error: say('error') });
  work = new HandDrivenWork();
  house.definitions.set('work', work.definition);
}
const statusNow = (): string => house.system.getStats().status;
const aboutTheDatabase = (): string[] => lines.filter((line) => line.includes('The database is'));

afterEach(async () => {
  house.shared.isSilent = false;
  await house.stop();
});

describe('A database that neither answers nor fails', () => {
  it('holds no slot: tasks that need nothing of it run, and those that do when it answers again', async () => {
    build({ guard: { slots: { maxExecutionGlobal: 2, maxExecutionPerUser: 2 } } });
    await house.start();
    const waiting = [];
    for (let n = 0; n < 6; n++) waiting.push(await house.until(house.system.submit('work', { input: n, delayMs: 60_000 })));
    await house.flushed();
    await house.stop();
    await house.start();
    await house.run(2_000);
    house.shared.isSilent = true;
    await house.run(61_000); // they are due
    expect(house.shared.unanswered).toBeGreaterThan(0);
    const task = await house.until(house.system.submit('work', { input: 'new' }));
    await house.run(2_000);
    expect(work.runs.has(task.id)).toBe(true);
    expect(statusNow()).toBe('degraded');
    work.run(task.id).resolve(1);
    house.shared.isSilent = false;
    work.isAutomatic = true;
    for (const { id } of waiting) work.runs.get(id)?.resolve(1);
    await house.flushed();
    for (let turn = 0; turn < 60 && house.system.getStats().tasks.completed < 7; turn++) await house.run(1_000);
    expect(house.system.getStats().tasks.completed).toBe(7);
    await house.flushed();
    expect(statusNow()).toBe('running');
  });

  it('does not hold up a start or a stop; what was accepted meanwhile is there when it answers', async () => {
    build();
    house.shared.isSilent = true;
    await house.start();
    expect(statusNow()).toBe('degraded');
    const task = await house.until(house.system.submit('work', { input: 1 }));
    work.run(task.id).resolve(1);
    await expect(house.until(house.system.submit('work', { input: 1, idempotencyKey: 'key' }))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    await house.stop();
    house.shared.isSilent = false;
    await house.start();
    expect((await house.until(house.system.getStatus({ taskId: task.id })))!.status).toBe('completed');
    await house.flushed();
    expect(house.shared.rows.tasks.get(task.id)!.status).toBe('completed');
  });

  it('does not hold up a start or a stop when only its unfinished tasks stay untold; they are taken up when it tells', async () => {
    build();
    await house.start();
    const waiting = await house.until(house.system.submit('work', { input: 'old', delayMs: 5_000 }));
    await house.flushed();
    await house.stop();
    let tell = (): void => undefined;
    const told = new Promise<void>((resolve) => (tell = resolve));
    house.shared.onUnfinished = () => told;
    await house.start();
    expect(aboutTheDatabase()[0]).toMatch(/did not tell of the unfinished tasks within 15 s/);
    expect(statusNow()).toBe('degraded');
    const task = await house.until(house.system.submit('work', { input: 'new' }));
    work.run(task.id).resolve(1);
    await house.stop();
    await house.start();
    house.shared.onUnfinished = undefined;
    tell();
    await house.run(100_000);
    expect([statusNow(), work.runs.has(waiting.id)]).toEqual(['running', true]);
    work.run(waiting.id).resolve(1);
  });

  it('keeps no process alive that has stopped, though its unfinished tasks stay untold', async () => {
    build();
    await house.start();
    await house.until(house.system.submit('work', { input: 'old', delayMs: 5_000 }));
    await house.flushed();
    await house.stop();
    house.shared.onUnfinished = () => new Promise(() => undefined);
    await house.start();
    const { clock } = house;
    expect(clock.holding).toBeGreaterThan(0);
    await house.stop();
    expect(clock.holding).toBe(0);
    house.shared.onUnfinished = undefined;
  });

  it('is one warning when it begins, one a minute, and one line when it is over', async () => {
    build({ flush: { flushIntervalMs: 50 } });
    await house.start();
    house.shared.isSilent = true;
    const task = await house.until(house.system.submit('work', { input: 1 }));
    await house.run(150_000);
    expect(statusNow()).toBe('degraded');
    expect(house.shared.unanswered).toBeGreaterThan(2);
    house.shared.isSilent = false;
    work.run(task.id).resolve(1);
    await house.flushed();
    await house.run(20_000);
    const said = aboutTheDatabase();
    const seconds = Number(/back after (\d+) s/.exec(said.at(-1)!)![1]);
    expect(said[0]).toMatch(
      /^warn The database is away: it neither answers nor refuses|^warn The database is away: The database did not answer/,
    );
    expect(said.slice(1, -1).map((line) => line.slice(0, 26))).toEqual(Array(Math.floor(seconds / 60)).fill('warn The database is still'));
    expect(seconds).toBeGreaterThan(120);
    expect(statusNow()).toBe('running');
  });
});
