/** Breakages of what carries the log into the database. */
export const DATABASE_MUTANTS = [
  {
    id: 'tell-a-hit-from-a-miss',
    promise: 'P11',
    breaks: 'A task that never was costs one statement more than one of somebody else.',
    file: 'lib/engines/local/storage/rejected/quarantined-tasks.ts',
    edits: [["if (row['quarantined']) suspects.push(id);", "if (row['quarantined'] || !row['known']) suspects.push(id);"]],
    test: ['test/storage/repository/owners.spec.ts', 'on SQLite costs the same statements as one that never was: TaskSystem.getStatus'],
  },
  {
    id: 'cursor-outside-transaction',
    promise: 'P7',
    breaks: 'The cursor moves in a transaction of its own, after the rows.',
    file: 'lib/engines/local/storage/typeorm-projector.ts',
    edits: [
      ['      await moveCursor(session, batch);\n', ''],
      [
        '        this.tell(outcome);\n',
        '        await this.connection.transaction((session) => moveCursor(session, batch));\n        this.tell(outcome);\n',
      ],
    ],
    test: [
      'test/storage/repository/conformance.spec.ts',
      'writes all of a batch or nothing, whichever statement fails, and all of it the next time',
    ],
  },
  {
    id: 'cursor-unchecked',
    promise: 'P7',
    breaks: 'A batch is applied wherever the cursor is.',
    file: 'lib/engines/local/storage/cursor-rows.ts',
    edits: [
      ['  if (moved || (stored !== null && to.appliedSeq < stored.appliedSeq)) throw', '  if (moved && stored === undefined) throw'],
      ['AND "gen" = ? AND "applied_seq" = ? AND "owner_gen" <= ?`', 'AND ? >= 0 AND ? >= 0 AND "owner_gen" <= ?`'],
    ],
    test: ['test/storage/repository/conformance.spec.ts', 'refuses a batch that does not start where the cursor is, and changes nothing'],
  },
  {
    id: 'drop-generation-fence',
    promise: 'P7',
    breaks: 'A flusher of an older process of the log may write.',
    file: 'lib/engines/local/storage/cursor-rows.ts',
    edits: [
      [
        '  if (stored !== null && stored.ownerGen > to.ownerGen) throw new FencedWriterError(logId, to.ownerGen, stored.ownerGen);\n',
        '  void FencedWriterError;\n',
      ],
      ['AND "applied_seq" = ? AND "owner_gen" <= ?`', 'AND "applied_seq" = ? AND 0 <= ?`'],
    ],
    test: ['test/storage/repository/conformance.spec.ts', 'ends a writer of an older generation'],
  },
  {
    id: 'drop-projector-fence',
    promise: 'P5',
    breaks: 'A control entry of an older run is applied to the task as it is now.',
    file: 'lib/domain/fold.ts',
    edits: [
      [
        'return state === null || entry.fence < state.fence ? state : foldControl(state, entry, home);',
        'return state === null ? state : foldControl(state, entry, home);',
      ],
    ],
    test: ['test/unit/domain/fold.spec.ts', 'ignores a control entry of an older run, of every kind'],
  },
  {
    id: 'apply-replay',
    promise: 'P7',
    breaks: 'An entry that was applied before is applied again.',
    file: 'lib/domain/fold.ts',
    edits: [['  if (taskSeq <= lastSeq) return state;\n  if (taskSeq !== lastSeq + 1) throw', '  if (taskSeq > lastSeq + 1) throw']],
    test: ['test/unit/domain/fold.spec.ts', 'refuses a hole and ignores a replay'],
  },
  {
    id: 'apply-behind-hole',
    promise: 'P7',
    breaks: 'An entry is applied although the one before it is missing.',
    file: 'lib/domain/fold.ts',
    edits: [['  if (taskSeq !== lastSeq + 1) throw new FoldGapError(entry.taskId, taskSeq, lastSeq);\n', '  void FoldGapError;\n']],
    test: ['test/storage/repository/conformance.spec.ts', 'sets a task with a hole aside, with all that follows, and applies the others'],
  },
  {
    id: 'skip-missing-frame',
    promise: 'P7',
    breaks: 'The flusher goes on over an entry that is missing in the log.',
    file: 'lib/engines/local/projection/flush-loop.ts',
    edits: [['      this.requireNext(frame, nextSeq);\n', '']],
    test: ['test/unit/flush/flush-loop.spec.ts', 'ends for good rather than skip an entry that is missing in the log'],
  },
  {
    id: 'flush-beyond-watermark',
    promise: 'P2',
    breaks: 'Another process reads the log behind what is durable.',
    file: 'lib/engines/local/wal/segment-tail.ts',
    edits: [['while (entries < limits.maxEntries && this.nextSeq <= upTo.seq) {', 'while (entries < limits.maxEntries) {']],
    test: ['test/storage/event-log/segment-tail.spec.ts', 'reads no byte past the watermark'],
  },
  {
    id: 'merge-histories',
    promise: 'P7',
    breaks: 'A database of another history is written to.',
    file: 'lib/engines/local/projection/cursor-check.ts',
    edits: [
      [
        '  if (mark.crc === cursor.appliedCrc && mark.gen === cursor.gen && mark.lastSeq === cursor.appliedSeq) return;',
        '  if (mark.lastSeq === cursor.appliedSeq) return;',
      ],
    ],
    test: ['test/unit/flush/flush-parts.spec.ts', 'checkCursor'],
  },
  {
    id: 'set-aside-what-cannot-be',
    promise: 'P10',
    breaks: 'An entry is set aside in the very text that the database refused.',
    file: 'lib/engines/local/storage/rejected/dead-entry-rows.ts',
    edits: [['escaped(lineOf(entry))', 'lineOf(entry)']],
    test: [
      'test/storage/repository/quarantine.spec.ts',
      'are set aside whatever was refused: text that the database cannot hold does not stop the flush of others',
    ],
  },
  {
    id: 'wait-for-a-silent-storage',
    promise: 'P10',
    breaks: 'A storage that says nothing is waited for without end.',
    file: 'lib/repository/answer-limit.ts',
    edits: [['        reject(silence(what, limitMs));\n', '        silence(what, limitMs);\n']],
    test: ['test/unit/repository/silent-storage.spec.ts', 'has its reads refused in time, and is asked again: findById'],
  },
  {
    id: 'batch-beside-a-late-one',
    promise: 'P7',
    breaks: 'A custom repository gets the next batch while an earlier one may still land.',
    file: 'lib/engines/local/storage/custom/batch-lane.ts',
    edits: [['    await this.previous();\n', '']],
    test: ['test/unit/repository/silent-storage.spec.ts', 'is away in time, and nothing is given beside it'],
  },
];
