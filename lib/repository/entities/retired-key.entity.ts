import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { RETIRED_KEY_TIME_INDEX, RETIRED_KEYS_TABLE } from '../schema-names.js';

/** A key whose task was pruned: so that a client which still has a position in that task's stream is not given the next one's events. */
@Entity(RETIRED_KEYS_TABLE)
@Index(RETIRED_KEY_TIME_INDEX, ['retiredAt'])
export class RetiredKeyEntity {
  /** SHA-256 of the scoped key. */
  @PrimaryColumn({ name: 'key_hash', type: 'text' }) keyHash!: string;
  /** `key_base` of the next task of this key. */
  @Column({ name: 'base', type: 'bigint' }) base!: number;
  @Column({ name: 'retired_at', type: 'bigint' }) retiredAt!: number;
}
