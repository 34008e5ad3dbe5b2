import { Column, Entity, PrimaryColumn } from 'typeorm';
import { EVENTS_TABLE } from '../schema-names.js';

/** One stream entry of a task. No foreign key: rows and events are pruned together, by the projector alone. */
@Entity(EVENTS_TABLE)
export class EventEntity {
  @PrimaryColumn({ name: 'task_id', type: 'text' }) taskId!: string;
  /** The task's own sequence. */
  @PrimaryColumn({ name: 'seq', type: 'bigint' }) seq!: number;
  @Column({ name: 'type', type: 'text' }) type!: string;
  @Column({ name: 'at', type: 'bigint' }) at!: number;
  @Column({ name: 'attempt', type: 'integer' }) attempt!: number;
  @Column({ name: 'fence', type: 'integer' }) fence!: number;
  /** JSON text of the entry's facts, empty when there are none; the submitted input is in the task alone. */
  @Column({ name: 'data', type: 'text' }) data!: string;
}
