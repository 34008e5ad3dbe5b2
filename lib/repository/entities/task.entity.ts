import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { TASK_INDEXES, TASKS_TABLE } from '../schema-names.js';

/** One task as of the last entry that was flushed. Times are epoch ms; bodies are JSON texts. */
@Entity(TASKS_TABLE)
@Index(TASK_INDEXES.keyHash, ['keyHash'], { unique: true })
@Index(TASK_INDEXES.home, ['home', 'status', 'createdAt', 'id'])
@Index(TASK_INDEXES.status, ['status', 'createdAt', 'id'])
@Index(TASK_INDEXES.created, ['createdAt', 'id'])
@Index(TASK_INDEXES.user, ['userId', 'createdAt', 'id'])
@Index(TASK_INDEXES.deadLetters, ['deadLetteredAt', 'id'], { where: '"dead_lettered_at" IS NOT NULL' })
@Index(TASK_INDEXES.prunable, ['home', 'completedAt', 'id'], { where: '"completed_at" IS NOT NULL' })
export class TaskEntity {
  @PrimaryColumn({ name: 'id', type: 'text' }) id!: string;
  /** Id of the log that accepted it. */
  @Column({ name: 'home', type: 'text' }) home!: string;
  @Column({ name: 'name', type: 'text' }) name!: string;
  @Column({ name: 'task_key', type: 'text', nullable: true }) key!: string | null;
  /** Unique over users: what custom repositories and reservations look up by. */
  @Column({ name: 'scoped_key', type: 'text' }) scopedKey!: string;
  /** SHA-256 of the scoped key; null where no key was given, or where it was lost to another home's task. */
  @Column({ name: 'key_hash', type: 'text', nullable: true }) keyHash!: string | null;
  @Column({ name: 'input_hash', type: 'text', nullable: true }) inputHash!: string | null;
  @Column({ name: 'user_id', type: 'text', nullable: true }) userId!: string | null;
  @Column({ name: 'type', type: 'text' }) type!: string;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'priority', type: 'integer' }) priority!: number;
  /** JSON array; null: none. */
  @Column({ name: 'tags', type: 'text', nullable: true }) tags!: string | null;
  /** The newer task that has its key now. */
  @Column({ name: 'superseded_by', type: 'text', nullable: true }) supersededBy!: string | null;
  /** Null: 0, the first task of its key. */
  @Column({ name: 'key_base', type: 'bigint', nullable: true }) keyBase!: number | null;
  @Column({ name: 'traceparent', type: 'text', nullable: true }) traceparent!: string | null;
  @Column({ name: 'attempt', type: 'integer' }) attempt!: number;
  @Column({ name: 'max_attempts', type: 'integer' }) maxAttempts!: number;
  @Column({ name: 'failures', type: 'integer' }) failures!: number;
  @Column({ name: 'fence', type: 'integer' }) fence!: number;
  @Column({ name: 'life', type: 'integer' }) life!: number;
  @Column({ name: 'recoveries', type: 'integer' }) recoveries!: number;
  /** Null: 0. */
  @Column({ name: 'postponements', type: 'integer', nullable: true }) postponements!: number | null;
  @Column({ name: 'timeout_ms', type: 'bigint' }) timeoutMs!: number;
  @Column({ name: 'cancel_requested_at', type: 'bigint', nullable: true }) cancelRequestedAt!: number | null;
  @Column({ name: 'cancel_reason', type: 'text', nullable: true }) cancelReason!: string | null;
  @Column({ name: 'last_seq', type: 'bigint' }) lastSeq!: number;
  @Column({ name: 'created_at', type: 'bigint' }) createdAt!: number;
  @Column({ name: 'run_at', type: 'bigint' }) runAt!: number;
  @Column({ name: 'expires_at', type: 'bigint', nullable: true }) expiresAt!: number | null;
  @Column({ name: 'retry_delay_ms', type: 'bigint', nullable: true }) retryDelayMs!: number | null;
  @Column({ name: 'resume', type: 'text', nullable: true }) resume!: string | null;
  @Column({ name: 'started_at', type: 'bigint', nullable: true }) startedAt!: number | null;
  @Column({ name: 'completed_at', type: 'bigint', nullable: true }) completedAt!: number | null;
  @Column({ name: 'last_heartbeat_at', type: 'bigint', nullable: true }) lastHeartbeatAt!: number | null;
  @Column({ name: 'last_event_at', type: 'bigint' }) lastEventAt!: number;
  @Column({ name: 'dead_lettered_at', type: 'bigint', nullable: true }) deadLetteredAt!: number | null;
  @Column({ name: 'error', type: 'text', nullable: true }) error!: string | null;
  @Column({ name: 'owner', type: 'text' }) owner!: string;
  /** JSON text of the newest progress payload of this life, where it is small. */
  @Column({ name: 'progress', type: 'text', nullable: true }) progress!: string | null;
  @Column({ name: 'input', type: 'text', nullable: true }) input!: string | null;
  @Column({ name: 'result', type: 'text', nullable: true }) result!: string | null;
  // Reserved: nothing writes them yet, and a column is dear to add to a large table.
  @Column({ name: 'queue', type: 'text', nullable: true }) queue!: string | null;
  @Column({ name: 'parent_id', type: 'text', nullable: true }) parentId!: string | null;
  @Column({ name: 'handler_version', type: 'text', nullable: true }) handlerVersion!: string | null;
  @Column({ name: 'schedule_id', type: 'text', nullable: true }) scheduleId!: string | null;
  @Column({ name: 'codec', type: 'text', nullable: true }) codec!: string | null;
}
