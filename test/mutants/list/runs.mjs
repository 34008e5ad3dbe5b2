/** Breakages of runs, recovery, and streams. */
export const RUN_MUTANTS = [
  {
    id: 'burn-attempt-at-shutdown',
    promise: 'P6',
    breaks: 'A task that is released at shutdown loses an attempt.',
    file: 'lib/executor/outcome-decision.ts',
    edits: [["entry(input, 'released', 'retry', { reason: 'shutdown',", "entry(input, 'released', 'retry', { reason: 'failed',"]],
    test: ['test/unit/executor/races.spec.ts', 'Shutdown against complete'],
  },
  {
    id: 'complete-after-cancel',
    promise: 'P5',
    breaks: 'A task whose cancel request is durable completes with what its handler returns.',
    file: 'lib/executor/outcome-decision.ts',
    edits: [['  if (cancelRequest !== null) return cancelled(input, cancelRequest);\n', '']],
    test: ['test/unit/executor/races.spec.ts', 'ends cancelled when the request is first, whatever the handler returns'],
  },
  {
    id: 'write-late',
    promise: 'P5',
    breaks: 'A run that was abandoned may still write.',
    file: 'lib/executor/task-run.ts',
    edits: [['    if (this.over || this.isSettled) {\n', '    if (this.over && !this.isSettled) {\n']],
    test: ['test/unit/executor/races.spec.ts', 'writes nothing more, frees its slot, and the next run is the only one that counts'],
  },
  {
    id: 'end-before-output',
    promise: 'P3',
    breaks: 'A run ends before what it emitted is in the log.',
    file: 'lib/executor/task-run.ts',
    edits: [
      ['return this.output === undefined || this.output.pendingEntries === 0 ? undefined : this.output.drained();', 'return undefined;'],
    ],
    test: [
      'test/unit/executor/output.spec.ts',
      'waits in its run while the log has no room, and is made in order afterwards; no attempt is burnt',
    ],
  },
  {
    id: 'unbounded-output',
    promise: 'P9',
    breaks: 'A run may have any number of entries on their way.',
    file: 'lib/executor/run-output.ts',
    edits: [['this.queue.length >= MAX_PENDING_ENTRIES || ', '']],
    test: ['test/unit/executor/output.spec.ts', 'is bounded at 1,000 entries: the call rejects, is counted, and the attempt goes on'],
  },
  {
    id: 'forget-crashes',
    promise: 'P6',
    breaks: 'Crashes are not counted, so that a lethal task runs for ever.',
    file: 'lib/engines/local/startup/recovery.service.ts',
    edits: [['this.livedLong(state) ? 1 : state.recoveries + 1;', 'this.livedLong(state) ? 1 : 1;']],
    test: ['test/unit/system/recovery.spec.ts', 'is counted one by one until the loop is cut, and the count starts anew after a long run'],
  },
  {
    id: 'forget-cancel-request',
    promise: 'P5',
    breaks: 'A cancel request is not kept with its task, so that a crash forgets it.',
    file: 'lib/domain/fold.ts',
    edits: [
      ['        : changed(state, { cancelRequest: { at: entry.at, ...cancelDataOf(entry.data) } });', '        : changed(state, {});'],
    ],
    test: ['test/unit/domain/fold.spec.ts', 'agrees with the gate that let the entries through'],
  },
  {
    id: 'forget-cancel-reason',
    promise: 'P5',
    breaks: 'Why a run was asked to stop is not kept with its task, so that its end does not say it after a crash.',
    file: 'lib/domain/fold.ts',
    edits: [
      [
        '        : changed(state, { cancelRequest: { at: entry.at, ...cancelDataOf(entry.data) } });',
        '        : changed(state, { cancelRequest: { at: entry.at } });',
      ],
    ],
    test: [
      'test/unit/system/recovery.spec.ts',
      'ends the task cancelled for its reason, its handler not called again (flushed: the request)',
    ],
  },
  {
    id: 'offer-a-page-of-old-rows',
    promise: 'P6',
    breaks: 'A waiting task is queued as a row had it, though it waits for a backoff since.',
    file: 'lib/engines/local/startup/recovery.service.ts',
    edits: [["return row.status === 'created' && this.executor.knows(row.id) ? null : row;", 'return row;']],
    test: ['test/unit/system/recovery.spec.ts', 'arrives when its task waits out a backoff since, does not start it again'],
  },
  {
    id: 'leave-orphans',
    promise: 'P6',
    breaks: 'Tasks that a dead process left running stay as they are.',
    file: 'lib/engines/local/startup/recovery.service.ts',
    edits: [
      [
        "else if (state.status === 'running' && state.owner !== this.log.owner)",
        "else if (state.status === 'running' && state.owner === this.log.owner)",
      ],
    ],
    test: ['test/unit/system/recovery.spec.ts', 'recovers what it left running once the database is back'],
  },
  {
    id: 'resume-off-by-one',
    promise: 'P4',
    breaks: 'A stream that goes on begins with the event that the client has.',
    file: 'lib/stream/stream.service.ts',
    edits: [
      [
        'lastSeq: options.lastSeq, heartbeats: options.live ?? true };',
        'lastSeq: Math.max(0, options.lastSeq - 1), heartbeats: options.live ?? true };',
      ],
    ],
    test: [
      'test/unit/stream/subscribe.spec.ts',
      'resumes after every position with exactly the events behind it, from memory and from history alike',
    ],
  },
  {
    id: 'hide-lost-history',
    promise: 'P4',
    breaks: 'A stream is not told that history begins later than it asks.',
    file: 'lib/engines/local/ledger/task-reader.service.ts',
    edits: [
      [
        '    if (first !== undefined && first !== afterSeq + 1) throw new StreamOverflowError(afterSeq, first);\n',
        '    if (first === -1) throw new StreamOverflowError(afterSeq, first);\n',
      ],
    ],
    test: ['test/unit/system/reading.spec.ts', 'is told when its rows begin later than it asks'],
  },
  {
    id: 'end-stream-at-any-terminal',
    promise: 'P4',
    breaks: 'A stream ends at a terminal event although a retry by hand follows.',
    file: 'lib/stream/stream-cursor.ts',
    edits: [
      [
        '    this.isOver = this.channel.ended && this.at === this.channel.head;',
        "    this.isOver = ['complete', 'error', 'cancelled'].includes(next.entry.type);",
      ],
    ],
    test: ['test/unit/stream/subscribe.spec.ts', 'goes past a terminal event that a retry by hand has followed, also within one frame'],
  },
  {
    id: 'unlimited-subscribers',
    promise: 'P9',
    breaks: 'One user may have any number of streams.',
    file: 'lib/stream/subscriber-quota.ts',
    edits: [['(this.perUser.get(user) ?? 0) >= maxSubscribersPerUser)', '(this.perUser.get(user) ?? 0) < 0 * maxSubscribersPerUser)']],
    test: ['test/unit/stream/limits.spec.ts', 'Subscriber limits'],
  },
  {
    id: 'throw-in-a-timer',
    promise: 'P6',
    breaks: "An iterator without a sound `return()` throws where its signal fires, in nobody's hands.",
    file: 'lib/executor/generator-pump.ts',
    edits: [['    returned = tellToReturn(generator);\n', '    returned = generator.return(undefined);\n']],
    test: ['test/unit/executor/hostile-handlers.spec.ts', 'An iterator by hand'],
  },
  {
    id: 'drop-an-end-that-is-refused',
    promise: 'P6',
    breaks: 'A result that the log will never take leaves its task running with nobody.',
    file: 'lib/executor/run-conclusion.ts',
    edits: [["!isFactRefused(error) && settled.kind === 'returned'", 'false']],
    test: [
      'test/unit/executor/hostile-handlers.spec.ts',
      'has an owner to its end: a result that the log will never take fails the task, once, without a restart',
    ],
  },
];
