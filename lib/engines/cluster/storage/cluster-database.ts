import type { DatabaseTarget } from '../../../repository/database-target.js';
import type { DatabasePorts } from '../../../repository/repository.ports.js';
import type { ApplyAnswer, ApplyCall } from './apply-call.interface.js';
import { ClusterConnection } from './cluster-connection.js';
import { type ClusterNames, clusterNames } from './cluster-names.js';
import { claimedRun, type RawRun } from './held-runs.js';
import { applyAnswerOf, encodeMoves, type RawApplyAnswer } from './move-encoding.js';
import type {
  ClaimAnswer,
  ClaimCall,
  DueAnswer,
  HeldRun,
  Member,
  NewMember,
  OwnRun,
  ServerFunctions,
  StepAnswer,
} from './server-functions.js';
import type { SubmitAnswer, SubmitCall } from './submit-call.interface.js';
import { encodeSubmit, type RawSubmitAnswer, submitAnswerOf } from './submit-encoding.js';
import { membersStatement, orphansStatement, ownStatement, readHeldRun, readMember, readOwnRun } from './membership-reads.js';

/** The server ends a statement after 8 s; what says nothing for longer is gone. Unit: ms. */
const CALL_LIMIT_MS = 11_000;
/** A beat that takes longer helps nobody: it is repeated on another connection. Unit: ms. */
const BEAT_LIMIT_MS = 2_000;

interface RawClaim {
  readonly now: number;
  readonly runs?: readonly (readonly RawRun[])[];
  readonly more: boolean;
}

/**
 * The server functions over three connections, so that neither a large group of submits nor a claim that waits for its turn delays a
 * beat. On each of them one call at a time.
 */
export class ClusterDatabase implements ServerFunctions {
  readonly names: ClusterNames;
  private readonly submits: ClusterConnection;
  private readonly steps: ClusterConnection;
  private readonly beats: ClusterConnection;

  constructor(target: DatabaseTarget, ports: DatabasePorts) {
    this.names = clusterNames(target.kind === 'postgres' ? target.schema : undefined);
    this.submits = new ClusterConnection(target, ports);
    this.steps = new ClusterConnection(target, ports);
    this.beats = new ClusterConnection(target, ports);
  }

  /** Connects; the schema is there, or `migrateCluster` made it. @throws RepositoryError. */
  async open(): Promise<void> {
    await Promise.all([this.submits.open(), this.steps.open(), this.beats.open()]);
  }

  /** Leaves all connections: after a failover they lead to the wrong server. */
  abandon(): void {
    for (const each of [this.submits, this.steps, this.beats]) each.leave();
  }

  async close(): Promise<void> {
    await Promise.all([this.submits.close(), this.steps.close(), this.beats.close()]);
  }

  async submit(request: SubmitCall): Promise<SubmitAnswer> {
    const { head, tasks } = encodeSubmit(request);
    const args = [JSON.stringify(head), JSON.stringify(tasks)];
    return submitAnswerOf(request, await this.submits.call<RawSubmitAnswer>(this.names.fn.submit, args, ['json', 'json'], CALL_LIMIT_MS));
  }

  async claim(request: ClaimCall): Promise<ClaimAnswer> {
    return claimAnswerOf(await this.steps.call<RawClaim>(this.names.fn.claim, [claimHead(request)], ['json'], CALL_LIMIT_MS), request.me);
  }

  async apply(request: ApplyCall): Promise<ApplyAnswer> {
    return applyAnswerOf(
      await this.steps.call<RawApplyAnswer>(this.names.fn.apply, moveArguments(request), ['json', 'json'], CALL_LIMIT_MS),
    );
  }

  async step(request: ApplyCall, claim: ClaimCall): Promise<StepAnswer> {
    const args = [...moveArguments(request), claimHead(claim)];
    const raw = await this.steps.call<{ readonly applied: readonly boolean[]; readonly claim: RawClaim }>(
      this.names.fn.step,
      args,
      ['json', 'json', 'json'],
      CALL_LIMIT_MS,
    );
    const claimed = claimAnswerOf(raw.claim, claim.me);
    return { ...claimed, outcomes: applyAnswerOf({ now: claimed.now, applied: raw.applied }).outcomes };
  }

  due(limit: number): Promise<DueAnswer> {
    return this.steps.call(this.names.fn.due, [limit], ['int'], CALL_LIMIT_MS);
  }

  register({ id, version, handlers, configHash }: NewMember): Promise<{ readonly now: number }> {
    const args = [id, version, JSON.stringify(handlers), configHash];
    return this.beats.call(this.names.fn.register, args, ['text', 'text', 'text', 'text'], CALL_LIMIT_MS);
  }

  async beat(me: string, draining: boolean): Promise<{ readonly now: number; readonly alive: boolean; readonly beat: number }> {
    const answer = await this.beats.call<{ now: number; beat: number | null }>(
      this.names.fn.beat,
      [me, draining],
      ['text', 'boolean'],
      BEAT_LIMIT_MS,
    );
    return { now: answer.now, alive: answer.beat !== null, beat: answer.beat ?? 0 };
  }

  async leave(me: string): Promise<void> {
    await this.beats.call(this.names.fn.leave, [me], ['text'], CALL_LIMIT_MS);
  }

  async members(): Promise<{ readonly now: number; readonly members: readonly Member[] }> {
    const rows = await this.beats.read(membersStatement(this.names), [], BEAT_LIMIT_MS);
    // The first row is the clock's, and there also where nobody is.
    return { now: Number(rows[0]?.['now']), members: rows.filter((row) => row['id'] !== null).map(readMember) };
  }

  reap(id: string, observedBeat: number): Promise<boolean> {
    return this.beats.call(this.names.fn.reap, [id, observedBeat], ['text', 'bigint'], CALL_LIMIT_MS);
  }

  async orphans(limit: number): Promise<readonly HeldRun[]> {
    return (await this.beats.read(orphansStatement(this.names), [limit], CALL_LIMIT_MS)).map(readHeldRun);
  }

  async own(me: string): Promise<readonly OwnRun[]> {
    return (await this.beats.read(ownStatement(this.names), [me], CALL_LIMIT_MS)).map(readOwnRun);
  }

  hold(what: string, me: string, forMs: number): Promise<boolean> {
    return this.beats.call(this.names.fn.hold, [what, me, forMs], ['text', 'text', 'bigint'], CALL_LIMIT_MS);
  }

  sweepWindows(sizeMs: number, limit: number): Promise<number> {
    return this.beats.call<unknown>(this.names.fn.sweep, [sizeMs, limit], ['bigint', 'int'], CALL_LIMIT_MS).then(Number);
  }

  trim(id: string, fence: number, lastSeq: number, limit: number): Promise<number> {
    const args = [id, fence, lastSeq, limit];
    return this.beats.call<unknown>(this.names.fn.trim, args, ['text', 'int', 'bigint', 'int'], CALL_LIMIT_MS).then(Number);
  }
}

export function moveArguments(request: ApplyCall): string[] {
  const { head, moves } = encodeMoves(request);
  return [JSON.stringify(head), JSON.stringify(moves)];
}

export const claimHead = ({ me, handlers, want, limits, lockMs }: ClaimCall): string =>
  JSON.stringify({ me, handlers, want, ...limits, lockMs });

const claimAnswerOf = ({ now, runs = [], more }: RawClaim, me: string): ClaimAnswer => ({
  now,
  runs: runs.flat().map((run) => claimedRun(run, me)),
  more,
});
