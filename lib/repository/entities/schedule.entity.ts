import { Column, Entity, PrimaryColumn } from 'typeorm';
import { SCHEDULES_TABLE } from '../schema-names.js';

/** Reserved for recurring tasks; nothing reads or writes it yet. */
@Entity(SCHEDULES_TABLE)
export class ScheduleEntity {
  @PrimaryColumn({ name: 'id', type: 'text' }) id!: string;
  @Column({ name: 'name', type: 'text' }) name!: string;
  @Column({ name: 'definition', type: 'text' }) definition!: string;
  @Column({ name: 'next_at', type: 'bigint', nullable: true }) nextAt!: number | null;
}
