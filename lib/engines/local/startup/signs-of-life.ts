import type { Clock } from '../../../contracts/clock.interface.js';
import type { UnfinishedHome } from '../../../contracts/task-store.interface.js';

/**
 * One rule for all processes, whatever their options and clocks: a process that holds a log writes a new sign of life every `BEAT_MS`, and
 * counts as gone when somebody who looks all the while sees no new one for `HEARING_MS`.
 */
export const BEAT_MS = 5_000;
/** Three beats: one may be late, one lost. */
export const HEARING_MS = 3 * BEAT_MS;
/** For who would run another one's tasks on the strength of it: longer than a process may stand still. */
export const LONG_HEARING_MS = 12 * BEAT_MS;
/** A sign of life that is older by the looker's clock is not waited for: no clocks are so far apart. */
const FORGOTTEN_MS = 24 * 3_600_000;
const LOOK_MS = 100;

/** Ended in order, or silent for so long that nobody needs to listen. */
export const isGone = ({ beatAt }: UnfinishedHome, now: number): boolean => beatAt === 0 || now - beatAt > FORGOTTEN_MS;

/**
 * Listens for the processes of these homes. Clocks differ from machine to machine: what counts is that a process beats, not when.
 * @param look reads them again; it may throw to end the listening.
 * @returns as soon as each home has beaten, none; else, when the time is over, those that have not.
 */
export async function silentAmong(
  homes: readonly UnfinishedHome[],
  look: () => Promise<readonly UnfinishedHome[]>,
  clock: Clock,
  forMs = HEARING_MS,
): Promise<readonly UnfinishedHome[]> {
  const heard = new Map(homes.map(({ home, beatAt }) => [home, beatAt]));
  const until = clock.monotonic() + forMs;
  for (let now = homes; ; now = await look()) {
    const silent = now.filter((each) => isGone(each, clock.now()) || heard.get(each.home) === each.beatAt);
    if (silent.length === 0 || clock.monotonic() >= until) return silent;
    await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve, true));
  }
}
