import { describe, expect, it } from '@jest/globals';
import { SlidingWindows, type WindowTicket } from '../../../lib/guard/sliding-window.js';
import { FakeClock, seededRandom } from '../../support/clock/fake-clock.js';

function windowsOf(maxTasksPerWindow: number, maxTasksPerUserWindow = 100, windowSizeMs = 1000) {
  const clock = new FakeClock();
  return { clock, windows: new SlidingWindows({ maxTasksPerWindow, maxTasksPerUserWindow, windowSizeMs }, clock) };
}
const isTicket = (answer: object): answer is WindowTicket => 'serial' in answer;

describe('SlidingWindows', () => {
  it('refuses the task after the last free place and says exactly how long to wait', () => {
    const { windows, clock } = windowsOf(2);
    windows.admit('a');
    clock.advance(400);
    windows.admit(null);
    expect(windows.admit('a')).toEqual({ limit: 'global', retryAfterMs: 600 });
    clock.advance(599);
    expect(windows.admit('b')).toEqual({ limit: 'global', retryAfterMs: 1 });
    clock.advance(1);
    expect(isTicket(windows.admit('b'))).toBe(true);
    expect(windows.admit('b')).toEqual({ limit: 'global', retryAfterMs: 400 });
  });

  it('counts each user apart, tasks without a user in the global window only, and a refusal nowhere', () => {
    const { windows, clock } = windowsOf(6, 2);
    for (const user of ['a', 'a']) windows.admit(user);
    clock.advance(10);
    for (let times = 0; times < 10; times += 1) expect(windows.admit('a')).toEqual({ limit: 'user', retryAfterMs: 990 });
    for (const user of ['b', 'b', null, null]) expect(isTicket(windows.admit(user))).toBe(true);
    expect(windows.admit(null)).toEqual({ limit: 'global', retryAfterMs: 990 });
    expect(windows.admit('b')).toEqual({ limit: 'user', retryAfterMs: 1000 }); // the limit that holds longer
  });

  it('looks at the monotonic clock only', () => {
    const { windows, clock } = windowsOf(1);
    windows.admit('a');
    clock.jump(86_400_000);
    expect(windows.admit('a')).toEqual({ limit: 'global', retryAfterMs: 1000 });
  });

  it('takes an admission back as if it had never been made, wherever it stands', () => {
    const { windows, clock } = windowsOf(3, 2);
    const tickets = ['a', 'b', 'a'].map((user) => {
      clock.advance(100);
      return windows.admit(user) as WindowTicket;
    });
    windows.giveBack(tickets[1]!);
    windows.giveBack(tickets[1]!); // twice is once
    expect(isTicket(windows.admit('b'))).toBe(true);
    expect(windows.admit('b')).toEqual({ limit: 'global', retryAfterMs: 800 });
    windows.giveBack(tickets[0]!);
    expect(isTicket(windows.admit('a'))).toBe(true);
    expect(windows.admit('a')).toEqual({ limit: 'global', retryAfterMs: 1000 });
  });

  it('does not take back what left the window, even where its row is used again', () => {
    const { windows, clock } = windowsOf(1);
    const old = windows.admit('a') as WindowTicket;
    clock.advance(1000);
    windows.admit('b');
    windows.giveBack(old);
    expect(windows.admit('c')).toEqual({ limit: 'global', retryAfterMs: 1000 });
  });

  it('forgets users who are idle: memory is bounded by the global window', () => {
    const { windows, clock } = windowsOf(50);
    for (let number = 0; number < 20_000; number += 1) {
      clock.advance(number % 40);
      windows.admit(`user-${number}`);
      expect(windows.userCount).toBeLessThanOrEqual(50);
    }
    clock.advance(5000);
    for (let times = 0; times < 20; times += 1) windows.admit('one');
    expect(windows.userCount).toBe(1);
  });

  it.each([1, 2, 3, 4, 5])('agrees with a list of all times, admissions and refusals alike (random, seed %i)', (seed) => {
    const random = seededRandom(seed * 104_729);
    const [max, maxUser, sizeMs] = [8 + Math.floor(random() * 20), 4, 500];
    const { windows, clock } = windowsOf(max, maxUser, sizeMs);
    let model: { at: number; user: string | null; ticket: WindowTicket }[] = [];
    const seen = { admitted: 0, global: 0, user: 0, givenBack: 0 };
    for (let step = 0; step < 20_000; step += 1) {
      if (random() < 0.5) clock.advance(Math.floor(random() * 40));
      const now = clock.monotonic();
      if (random() < 0.2 && model.length > 0) {
        const back = model[Math.floor(random() * model.length)]!;
        windows.giveBack(back.ticket);
        model = model.filter((entry) => entry !== back);
        seen.givenBack += 1;
        continue;
      }
      const user = random() < 0.2 ? null : `u${Math.floor(random() * 5)}`;
      const alive = model.filter((entry) => entry.at + sizeMs > now);
      const own = alive.filter((entry) => entry.user === user);
      const globalMs = alive.length < max ? 0 : alive[0]!.at + sizeMs - now;
      const userMs = user === null || own.length < maxUser ? 0 : own[0]!.at + sizeMs - now;
      const answer = windows.admit(user);
      if (isTicket(answer)) {
        expect({ seed, step, globalMs, userMs }).toEqual({ seed, step, globalMs: 0, userMs: 0 });
        model.push({ at: now, user, ticket: answer });
        seen.admitted += 1;
      } else {
        const limit = userMs > globalMs ? 'user' : 'global';
        expect({ seed, step, ...answer }).toEqual({ seed, step, limit, retryAfterMs: Math.max(userMs, globalMs) });
        seen[limit] += 1;
      }
    }
    for (const [what, count] of Object.entries(seen)) expect({ seed, what, happened: count > 100 }).toEqual({ seed, what, happened: true });
  });

  it('takes limits that are no limits without reserving their memory', () => {
    const { windows } = windowsOf(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    let admitted = 0;
    for (let times = 0; times < 100_000; times += 1) admitted += isTicket(windows.admit('a')) ? 1 : 0;
    expect(admitted).toBe(100_000);
  });
});
