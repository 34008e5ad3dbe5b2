import { describe, expect, it } from '@jest/globals';
import { queueOf, workItem } from '../support/doubles/work-items.js';

/** Tasks a second through claim, release and offer, while `backlog` tasks wait. The best of three. */
function turnover(backlog: number, users: number): number {
  const { queue } = queueOf({ global: 50, perUser: 10 });
  for (let number = 0; number < backlog; number += 1) queue.offer(workItem(number, { userId: `user-${number % users}` }));
  let best = 0;
  let number = backlog;
  for (let round = 0; round < 3; round += 1) {
    const begin = process.hrtime.bigint();
    let done = 0;
    while (done < 10_000) {
      for (const { slot } of queue.claim(50)) {
        slot.release();
        queue.offer(workItem(number, { userId: `user-${number % users}` }));
        number += 1;
        done += 1;
      }
    }
    best = Math.max(best, (done * 1e9) / Number(process.hrtime.bigint() - begin));
  }
  return best;
}

describe('FairQueue, many tasks', () => {
  it('is about as fast with a million waiting as with a hundred', () => {
    turnover(1000, 10);
    const rates = [100, 10_000, 1_000_000].map((backlog) => turnover(backlog, 100));
    process.stdout.write(
      `fair queue, tasks a second at a backlog of 10^2, 10^4, 10^6: ${rates.map((rate) => Math.round(rate)).join(', ')}\n`,
    );
    // Caches make a difference; what must not happen is a cost that grows with the backlog.
    expect(rates[2]!).toBeGreaterThan(rates[0]! / 5);
  });
});
