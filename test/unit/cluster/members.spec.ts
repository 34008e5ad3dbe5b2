import { Lease } from '../../../lib/engines/cluster/members/lease.js';
import { MemberWatch } from '../../../lib/engines/cluster/members/member-watch.js';
import { FakeClock } from '../../support/clock/fake-clock.js';

const TTL = 10_000;

describe('A lease', () => {
  it('ends 15 % before its TTL, counted from before the beat was sent', () => {
    const clock = new FakeClock();
    const lease = new Lease(clock, TTL);
    const sentAt = clock.monotonic();
    clock.advance(2_000); // the answer took that long
    lease.confirmed(sentAt);
    clock.advance(6_499);
    expect(lease.isHeld).toBe(true);
    clock.advance(1);
    expect(lease.isHeld).toBe(false);
  });

  it('is not shortened by an answer that comes late', () => {
    const clock = new FakeClock();
    const lease = new Lease(clock, TTL);
    const first = clock.monotonic();
    clock.advance(3_000);
    lease.confirmed(clock.monotonic());
    lease.confirmed(first);
    expect(lease.leftMs).toBe(8_500);
  });

  it('is not held before the first beat, nor after it was lost', () => {
    const clock = new FakeClock();
    const lease = new Lease(clock, TTL);
    expect(lease.isHeld).toBe(false);
    lease.confirmed(clock.monotonic());
    lease.lose();
    expect(lease.isHeld).toBe(false);
  });
});

describe('A watch over members', () => {
  const watch = () => {
    const watching = new MemberWatch(TTL, 3_000);
    let now = 0;
    return {
      watching,
      look: (beat: number, afterMs = 1_000) => {
        now += afterMs;
        return watching.observe([{ id: 'm', beat }], now, now).map(({ id }) => id);
      },
    };
  };

  it('calls a member dead after a whole TTL of looks that show the same beat, and not before', () => {
    const { look } = watch();
    for (let second = 0; second < 10; second++) expect(look(1)).toEqual([]);
    expect(look(1)).toEqual(['m']);
  });

  it('begins anew at each beat', () => {
    const { look } = watch();
    for (let second = 0; second < 10; second++) look(1);
    for (let second = 0; second < 10; second++) expect(look(2)).toEqual([]);
    expect(look(2)).toEqual(['m']);
  });

  it('calls nobody dead when its own reads paused or failed: a database that was away proves nothing', () => {
    const paused = watch();
    for (let second = 0; second < 10; second++) paused.look(1);
    expect(paused.look(1, 3_001)).toEqual([]);
    const failed = watch();
    for (let second = 0; second < 10; second++) failed.look(1);
    failed.watching.interrupted();
    expect(failed.look(1)).toEqual([]);
    for (let second = 0; second < 9; second++) expect(failed.look(1)).toEqual([]);
    expect(failed.look(1)).toEqual(['m']);
  });

  it('counts from when an answer came to when a question was sent', () => {
    const watching = new MemberWatch(TTL, 60_000);
    watching.observe([{ id: 'm', beat: 1 }], 0, 2_000);
    expect(watching.observe([{ id: 'm', beat: 1 }], 11_000, 13_000)).toEqual([]);
    expect(watching.observe([{ id: 'm', beat: 1 }], 14_000, 15_000)).toHaveLength(1);
  });
});
