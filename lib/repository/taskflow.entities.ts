import { CursorEntity } from './entities/cursor.entity.js';
import { DeadEntryEntity } from './entities/dead-entry.entity.js';
import { EventEntity } from './entities/event.entity.js';
import { NodeEntity } from './entities/node.entity.js';
import { RetiredKeyEntity } from './entities/retired-key.entity.js';
import { ScheduleEntity } from './entities/schedule.entity.js';
import { TaskEntity } from './entities/task.entity.js';

/** Our tables, for a DataSource of a host that wants to read them. */
export const TASKFLOW_ENTITIES = [
  TaskEntity,
  EventEntity,
  CursorEntity,
  DeadEntryEntity,
  NodeEntity,
  RetiredKeyEntity,
  ScheduleEntity,
] as const;
