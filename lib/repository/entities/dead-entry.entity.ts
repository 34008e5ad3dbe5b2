import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { DEAD_ENTRIES_TABLE, DEAD_ENTRY_KEY_INDEX, DEAD_ENTRY_LOG_INDEX, DEAD_ENTRY_TASK_INDEX } from '../schema-names.js';

/** An entry that could not be applied, or that follows one of the same task: kept whole, to be applied again. */
@Entity(DEAD_ENTRIES_TABLE)
@Index(DEAD_ENTRY_TASK_INDEX, ['taskId', 'taskSeq'])
@Index(DEAD_ENTRY_LOG_INDEX, ['taskId', 'logId', 'seq'])
@Index(DEAD_ENTRY_KEY_INDEX, ['keyHash'], { where: '"key_hash" IS NOT NULL' })
export class DeadEntryEntity {
  @PrimaryColumn({ name: 'log_id', type: 'text' }) logId!: string;
  /** Log sequence. */
  @PrimaryColumn({ name: 'seq', type: 'bigint' }) seq!: number;
  @Column({ name: 'task_id', type: 'text' }) taskId!: string;
  /** Null on control entries. */
  @Column({ name: 'task_seq', type: 'bigint', nullable: true }) taskSeq!: number | null;
  @Column({ name: 'type', type: 'text' }) type!: string;
  /** Of `created` entries with a chosen key: the task has no row to be found by. */
  @Column({ name: 'key_hash', type: 'text', nullable: true }) keyHash!: string | null;
  /** The line as it is in the log. */
  @Column({ name: 'line', type: 'text' }) line!: string;
  /** Why, without any value of the entry. */
  @Column({ name: 'reason', type: 'text' }) reason!: string;
}
