import type { StreamOptions } from '../config/stream.options.js';
import { SubscriberLimitError } from '../errors/stream.errors.js';

/** Subscribers come and go with page views: when one of them will leave is not known, so this is a guess. */
const RETRY_AFTER_MS = 5_000;

/** One counted subscriber. Giving it back twice is the same as once. */
export interface SubscriberLease {
  release(): void;
}

/** Who listens, counted per task, per user and in all. */
export class SubscriberQuota {
  private readonly perTask = new Map<string, number>();
  private readonly perUser = new Map<string, number>();
  private count = 0;

  constructor(private readonly limits: Pick<StreamOptions, 'maxSubscribersPerTask' | 'maxSubscribersPerUser' | 'maxSubscribers'>) {}

  get total(): number {
    return this.count;
  }

  /** Tasks that are listened to. */
  get tasks(): number {
    return this.perTask.size;
  }

  /** @param userId who listens; null and undefined have no limit of their own. @throws SubscriberLimitError; nothing is counted then. */
  take(taskId: string, userId: string | null | undefined): SubscriberLease {
    const task = this.takeTask(taskId);
    try {
      const connection = this.takeConnection(userId);
      return leaseOf(() => {
        task.release();
        connection.release();
      });
    } catch (error) {
      task.release();
      throw error;
    }
  }

  /** One subscriber, of however many tasks. @throws SubscriberLimitError */
  takeConnection(userId: string | null | undefined): SubscriberLease {
    const { maxSubscribersPerUser, maxSubscribers } = this.limits;
    const user = userId ?? undefined;
    if (user !== undefined && (this.perUser.get(user) ?? 0) >= maxSubscribersPerUser)
      throw new SubscriberLimitError('user', RETRY_AFTER_MS);
    if (this.count >= maxSubscribers) throw new SubscriberLimitError('global', RETRY_AFTER_MS);
    const add = (by: 1 | -1): void => {
      this.count += by;
      if (user !== undefined) addTo(this.perUser, user, by);
    };
    add(1);
    return leaseOf(() => add(-1));
  }

  /** A subscriber that was counted listens to this task, too. @throws SubscriberLimitError */
  takeTask(taskId: string): SubscriberLease {
    if ((this.perTask.get(taskId) ?? 0) >= this.limits.maxSubscribersPerTask) throw new SubscriberLimitError('task', RETRY_AFTER_MS);
    addTo(this.perTask, taskId, 1);
    return leaseOf(() => addTo(this.perTask, taskId, -1));
  }
}

function leaseOf(giveBack: () => void): SubscriberLease {
  let isHeld = true;
  return {
    release: () => {
      if (isHeld) giveBack();
      isHeld = false;
    },
  };
}

/** A count of nothing is no entry: the maps hold who listens now, not who ever did. */
function addTo(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
