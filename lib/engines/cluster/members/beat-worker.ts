import { parentPort, workerData } from 'node:worker_threads';
import { SystemIdSource } from '../../../primitives/id-source.js';
import { SystemClock } from '../../../primitives/system-clock.js';
import { databaseTarget } from '../../../repository/database-target.js';
import { BeatConnection } from '../storage/beat-connection.js';
import { BeatBoard } from './beat-board.js';
import { type BeatOrder, type BeatThreadData, type BeatThreadNews, withPassword } from './beat-protocol.js';
import { InlineBeater } from './inline-beater.js';
import { PulseWatch } from './pulse-watch.js';

/** The thread that beats for a node, whatever the main event loop is busy with, up to a bound. */
class BeatThread {
  private readonly clock = new SystemClock();
  private readonly ids = new SystemIdSource();
  private readonly board: BeatBoard;
  private readonly pulses: PulseWatch;
  private readonly connection: BeatConnection;
  private readonly beater: InlineBeater;
  private readonly passwords: ((password: string) => void)[] = [];
  private incarnation = 0;
  /** This thread's monotonic clock minus the main one's. A message takes a while: the smallest is the truest, and none is too small. */
  private ahead = Number.POSITIVE_INFINITY;

  constructor(data: BeatThreadData) {
    this.board = new BeatBoard(data.memory);
    this.pulses = new PulseWatch(this.clock, data.maxBlockedMs);
    const options = data.asksForPassword ? withPassword(data.repository, () => this.askPassword()) : data.repository;
    const ports = { clock: this.clock, ensureFile: () => Promise.resolve(), sharesProcessWithLog: true };
    this.connection = new BeatConnection(databaseTarget(options), ports);
    const sender = {
      // A loop that has been blocked for too long is as good as dead: others are to run its tasks.
      beat: async (me: string, draining: boolean) => (this.pulses.isBlocked ? undefined : this.connection.beat(me, draining)),
      renew: () => this.connection.renew(),
    };
    this.beater = new InlineBeater(sender, this.clock, data.intervalMs, () => this.ids.random());
    this.beater.onNews = () => this.news();
  }

  take(order: BeatOrder): void {
    switch (order.kind) {
      case 'begin':
        this.incarnation = order.incarnation;
        return this.beater.begin(order.me);
      case 'pulse':
        this.ahead = Math.min(this.ahead, this.clock.monotonic() - order.now);
        return this.pulses.pulsed();
      case 'beat':
        return this.beater.beatNow();
      case 'drain':
        return this.beater.drain();
      case 'password':
        this.passwords.shift()?.(order.password);
    }
  }

  private news(): void {
    if (this.board.incarnation !== this.incarnation) return;
    const { isReaped, lastSentAt } = this.beater;
    if (isReaped) this.board.isReaped = true;
    else if (lastSentAt !== undefined && Number.isFinite(this.ahead)) this.board.sentAt = lastSentAt - this.ahead;
    this.say({ kind: 'news' });
  }

  private askPassword(): Promise<string> {
    return new Promise((resolve) => {
      this.passwords.push(resolve);
      this.say({ kind: 'password' });
    });
  }

  private say(news: BeatThreadNews): void {
    parentPort?.postMessage(news);
  }
}

const thread = new BeatThread(workerData as BeatThreadData);
parentPort?.on('message', (order: BeatOrder) => thread.take(order));
