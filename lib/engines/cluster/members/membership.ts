import type { LoggerService } from '@nestjs/common';
import type { Clock, IdSource } from '../../../contracts/clock.interface.js';
import { RepositoryError } from '../../../errors/storage.errors.js';
import { InterruptibleLoop } from '../../../primitives/interruptible-loop.js';
import type { Member, NewMember, ServerFunctions } from '../storage/server-functions.js';
import type { Beater } from './beater.interface.js';
import { Lease } from './lease.js';
import { MemberWatch } from './member-watch.js';

export interface MembershipParts {
  readonly functions: Pick<ServerFunctions, 'register' | 'leave' | 'members' | 'reap'>;
  readonly beater: Beater;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: LoggerService;
  readonly leaseTtlMs: number;
  /** What the other nodes are told of this one. */
  readonly describe: () => Omit<NewMember, 'id'>;
}

/** Looks at the other members in the time of one lease. */
const LOOKS_PER_LEASE = 10;
/** A longer pause between two looks, in looks, begins every observation anew. */
const MAX_PAUSE_LOOKS = 3;
/** Looks at the own lease in its time: several in the margin before others may take over. */
const CHECKS_PER_LEASE = 40;
/** Wall and monotonic clock drifted apart by that much since the last look: the machine may have been suspended. Unit: ms. */
const JUMP_MS = 2_000;

/**
 * This node among the others: it proves that it lives, stops what it runs before others may take that over, comes back under a new name,
 * and takes those out who stopped beating.
 */
export class Membership {
  private incarnation = '';
  private readonly lease: Lease;
  private readonly watch: MemberWatch;
  private readonly observing: InterruptibleLoop;
  private readonly checking: InterruptibleLoop;
  private readonly lostListeners: ((reason: Error) => void)[] = [];
  private readonly changeListeners: (() => void)[] = [];
  private isDoubtful = false;
  private isLost = true;
  private isEnding = false;
  private drift: number | undefined;
  private known: readonly Member[] = [];

  constructor(private readonly parts: MembershipParts) {
    const { clock, logger, leaseTtlMs, beater } = parts;
    this.lease = new Lease(clock, leaseTtlMs);
    const lookMs = leaseTtlMs / LOOKS_PER_LEASE;
    this.watch = new MemberWatch(leaseTtlMs, lookMs * MAX_PAUSE_LOOKS);
    const onError = (error: unknown): void => logger.debug?.(`The members of the cluster could not be read: ${String(error)}`);
    this.observing = new InterruptibleLoop(clock, { intervalMs: lookMs, turn: () => this.observe(), onError });
    this.checking = new InterruptibleLoop(clock, { intervalMs: leaseTtlMs / CHECKS_PER_LEASE, turn: () => this.check(), onError });
    beater.onNews = () => this.heard();
  }

  /** This incarnation's id: who owns runs and entries of this node. Another one after each loss of the lease. */
  get me(): string {
    return this.incarnation;
  }

  /** Whether this node may begin new runs. */
  get mayClaim(): boolean {
    return !this.isLost && !this.isDoubtful && this.lease.isHeld;
  }

  get isMember(): boolean {
    return !this.isLost;
  }

  /** As of the last look. */
  get members(): readonly Member[] {
    return this.known;
  }

  /** The lease is over: what runs here may be run by others soon. */
  onLost(listener: (reason: Error) => void): void {
    this.lostListeners.push(listener);
  }

  /** Somebody was taken out, or this node came back. */
  onChange(listener: () => void): void {
    this.changeListeners.push(listener);
  }

  /** Becomes a member. @throws RepositoryError. */
  async join(): Promise<void> {
    await this.register();
    this.observing.start();
    this.checking.start();
  }

  /** Takes no more work; what runs goes on. */
  drain(): void {
    if (!this.isLost) this.parts.beater.drain();
  }

  /** Gives the membership back, so that nobody waits for the lease to end. */
  async leave(): Promise<void> {
    await this.end();
    await this.parts.functions.leave(this.incarnation);
  }

  /** Says nothing more. */
  async end(): Promise<void> {
    this.isEnding = true;
    await Promise.all([this.observing.stop(), this.checking.stop(), this.parts.beater.end()]);
  }

  /** Loses the lease at once where its time is over. */
  check(): Promise<void> | void {
    this.lookAtClocks();
    this.heard();
    if (!this.isLost && !this.lease.isHeld) this.lose('it could not prove in time that it lives, as the database did not answer its beats');
    if (this.isLost && !this.isEnding) return this.comeBack();
  }

  private async register(): Promise<void> {
    const { functions, ids, clock, beater } = this.parts;
    const id = ids.uuid();
    const sentAt = clock.monotonic();
    await functions.register({ id, ...this.parts.describe() });
    if (this.isEnding) return;
    this.incarnation = id;
    this.lease.lose();
    this.lease.confirmed(sentAt);
    this.isLost = false;
    this.isDoubtful = false;
    beater.begin(id);
  }

  private heard(): void {
    const { beater } = this.parts;
    if (this.isLost) return;
    if (beater.isReaped) return this.lose('other nodes had not seen it beat for as long as its lease, and took it out');
    if (beater.lastSentAt === undefined) return;
    this.lease.confirmed(beater.lastSentAt);
    if (this.isDoubtful && beater.lastSentAt >= this.doubtfulSince) this.isDoubtful = false;
  }

  private doubtfulSince = 0;

  /** The monotonic clock of a suspended machine may have stood still: then only an answer says whether the lease is held. */
  private lookAtClocks(): void {
    const { clock, beater } = this.parts;
    const drift = clock.now() - clock.monotonic();
    const jumped = this.drift !== undefined && Math.abs(drift - this.drift) > JUMP_MS;
    this.drift = drift;
    if (!jumped || this.isLost) return;
    this.isDoubtful = true;
    this.doubtfulSince = clock.monotonic();
    beater.beatNow();
  }

  private lose(why: string): void {
    this.isLost = true;
    this.lease.lose();
    const message = `This node lost its lease: ${why}. Its runs are aborted, and other nodes take their tasks up.`;
    const error = new RepositoryError('UNAVAILABLE', message);
    for (const listener of this.lostListeners) listener(error);
  }

  private async comeBack(): Promise<void> {
    const before = this.incarnation;
    // The old row goes first: nobody has to wait for its observation, and its runs are taken up at once.
    await this.parts.functions.leave(before);
    if (this.isEnding) return;
    await this.register();
    this.parts.logger.log('This node is a member of the cluster again.');
    this.changed();
  }

  private async observe(): Promise<void> {
    const { clock, functions, logger } = this.parts;
    const askedAt = clock.monotonic();
    try {
      const { members } = await functions.members();
      this.known = members;
      // Who cannot prove that it lives itself judges nobody.
      if (!this.mayClaim) return this.watch.interrupted();
      const dead = this.watch.observe(members, askedAt, clock.monotonic()).filter(({ id }) => id !== this.incarnation);
      for (const { id, beat } of dead) {
        if (!(await functions.reap(id, beat))) continue;
        logger.warn(`Node ${id} has not beaten for its whole lease and was taken out; its tasks are taken up.`);
        this.changed();
      }
    } catch (error) {
      this.watch.interrupted();
      throw error;
    }
  }

  private changed(): void {
    for (const listener of this.changeListeners) listener();
  }
}
