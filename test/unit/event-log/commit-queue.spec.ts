import { describe, expect, it } from '@jest/globals';
import { taskId } from '../../../lib/contracts/ids.js';
import { CommitQueue } from '../../../lib/engines/local/wal/commit-queue.js';

const group = (id: number, entries = 1, bytes = 0) => ({
  id,
  drafts: Array.from({ length: entries }, () => ({
    type: 'progress' as const,
    taskId: taskId('t'),
    taskSeq: 1,
    attempt: 1,
    fence: 1,
    body: JSON.stringify('x'.repeat(bytes)),
  })),
});

describe('CommitQueue', () => {
  it('gives groups back in order, whole, at most 1,024 entries or about 1 MiB at a time', () => {
    const queue = new CommitQueue<ReturnType<typeof group>>();
    for (const each of [group(1, 1000), group(2, 24), group(3, 1), group(4, 1, 900_000), group(5, 1, 900_000), group(6, 1, 5_000_000)])
      queue.push(each);
    const frames: number[][] = [];
    while (!queue.isEmpty) frames.push(queue.take().groups.map(({ id }) => id));
    expect(frames).toEqual([[1, 2], [3, 4], [5], [6]]);
    expect(queue.pendingBytes).toBe(0);
  });

  it('keeps order and count over a queue that is never empty', () => {
    const queue = new CommitQueue<ReturnType<typeof group>>();
    let pushed = 0;
    let taken = 0;
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 1500; i++) queue.push(group(pushed++));
      for (const { id } of queue.take().groups) expect(id).toBe(taken++);
    }
    while (!queue.isEmpty) for (const { id } of queue.take().groups) expect(id).toBe(taken++);
    expect(taken).toBe(pushed);
    expect(queue.pendingBytes).toBe(0);
  });

  it('gives back what is withdrawn, wherever it waits, and nothing that was taken', () => {
    const queue = new CommitQueue<ReturnType<typeof group>>();
    for (let i = 0; i < 3000; i++) queue.push(group(i));
    const taken = queue.take().groups.length;
    const odd = queue.withdraw(({ id }) => id % 2 === 1);
    expect(odd[0]!.id).toBe(taken + 1);
    expect(odd).toHaveLength((3000 - taken) / 2);
    expect(queue.take().groups[0]!.id).toBe(taken);
    expect(queue.withdraw(() => true).every(({ id }) => id % 2 === 0)).toBe(true);
    expect(queue.isEmpty).toBe(true);
    expect(queue.pendingBytes).toBe(0);
  });

  it('refuses an empty group, and a body with a line break', () => {
    const queue = new CommitQueue<ReturnType<typeof group>>();
    expect(() => queue.push(group(1, 0))).toThrow(/without entries/);
    const broken = group(1);
    expect(() => queue.push({ ...broken, drafts: [{ ...broken.drafts[0]!, body: '{\n}' }] })).toThrow(/line break/);
    expect(queue.isEmpty).toBe(true);
  });
});
