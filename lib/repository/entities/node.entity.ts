import { Column, Entity, PrimaryColumn } from 'typeorm';
import { NODES_TABLE } from '../schema-names.js';

/** The process that holds a home, and when it last said so. */
@Entity(NODES_TABLE)
export class NodeEntity {
  @PrimaryColumn({ name: 'home', type: 'text' }) home!: string;
  @Column({ name: 'owner', type: 'text' }) owner!: string;
  @Column({ name: 'beat_at', type: 'bigint' }) beatAt!: number;
}
