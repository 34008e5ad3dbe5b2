import { Column, Entity, PrimaryColumn } from 'typeorm';
import { CURSOR_TABLE } from '../schema-names.js';

/** How far a log is in the database: written in the transaction of the rows it speaks of. */
@Entity(CURSOR_TABLE)
export class CursorEntity {
  @PrimaryColumn({ name: 'log_id', type: 'text' }) logId!: string;
  @Column({ name: 'gen', type: 'bigint' }) gen!: number;
  @Column({ name: 'applied_seq', type: 'bigint' }) appliedSeq!: number;
  @Column({ name: 'applied_crc', type: 'text' }) appliedCrc!: string;
  @Column({ name: 'owner_gen', type: 'bigint' }) ownerGen!: number;
}
