import { describe, expect, it } from '@jest/globals';
import { taskId } from '../../../lib/contracts/ids.js';
import { FreshTask } from '../../../lib/domain/fresh-task.js';
import { changed, copyOf, type TaskState } from '../../../lib/domain/task-state.js';
import { pushTaskParameters, stateOfRow, WRITTEN_TASK_COLUMNS } from '../../../lib/repository/task-row.mapper.js';

/**
 * A task with no member at its default, so that each place that forgets one is seen. A new member does not compile without a value here.
 * What a custom storage keeps is compared in `fold.spec.ts`.
 */
const EVERY_MEMBER: { readonly [K in keyof TaskState]: TaskState[K] } = {
  id: taskId('01a206f8-0000-7000-8000-000000000001'),
  home: 'log-1',
  name: 'work',
  key: 'k',
  userId: 'ann',
  type: 'background',
  status: 'failed',
  priority: 7,
  tags: ['a', 'b'],
  inputHash: 'abc',
  supersededBy: '01a206f8-0000-7000-8000-000000000002',
  keyBase: 9,
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  attempt: 3,
  maxAttempts: 5,
  failures: 3,
  fence: 6,
  life: 2,
  recoveries: 1,
  postponements: 4,
  timeoutMs: 1_234,
  cancelRequest: { at: 1_700_000_000_500, reason: 'enough' },
  lastSeq: 12,
  createdAt: 1_700_000_000_000,
  runAt: 1_700_000_000_100,
  expiresAt: 1_700_000_009_000,
  retryDelayMs: 250,
  resume: 'failed',
  startedAt: 1_700_000_000_200,
  completedAt: 1_700_000_000_900,
  lastHeartbeatAt: 1_700_000_000_800,
  lastEventAt: 1_700_000_000_950,
  deadLetteredAt: 1_700_000_000_900,
  error: { name: 'Error', message: 'no', retryable: true },
  owner: 'owner-1',
  progress: '{"percent":20}',
  input: '{"n":1}',
  result: '{"n":2}',
};
const MEMBERS = Object.keys(EVERY_MEMBER).sort();

describe('Every member of a task', () => {
  it('is copied, and changed in a copy', () => {
    expect(copyOf(EVERY_MEMBER)).toEqual(EVERY_MEMBER);
    expect(changed(EVERY_MEMBER, { attempt: 4 })).toEqual({ ...EVERY_MEMBER, attempt: 4 });
  });

  it('is there from the first entry on', () => {
    const fresh = new FreshTask(EVERY_MEMBER.id, 'log-1', 1, 'owner-1', { name: 'work', input: 1, maxAttempts: 1, timeoutMs: 1 });
    expect(MEMBERS.filter((member) => !(member in fresh))).toEqual([]);
    expect(Object.keys(copyOf(fresh)).sort()).toEqual(MEMBERS);
  });

  it('is written to its row, and read from it: each column has its value', () => {
    const values: unknown[] = [];
    pushTaskParameters(values, EVERY_MEMBER, 'hash');
    expect(values).toHaveLength(WRITTEN_TASK_COLUMNS.length);
    expect(values.filter((value) => value === null || value === undefined)).toEqual([]);
    const row = Object.fromEntries(WRITTEN_TASK_COLUMNS.map((column, at) => [column, values[at]]));
    expect(stateOfRow(row)).toEqual(EVERY_MEMBER);
  });
});
