const TERMINAL = { complete: 'completed', error: 'failed', cancelled: 'cancelled' };
const SHOWN = 5;

/** Counts checks and keeps what broke them. */
export class Verdict {
  passed = 0;
  violations = [];

  /** One check over many items: it passes when nothing is at fault. */
  check(promise, faults) {
    if (faults.length === 0) this.passed++;
    else
      this.violations.push(`${promise}: ${faults.slice(0, SHOWN).join('; ')}${faults.length > SHOWN ? ` … ${faults.length} in all` : ''}`);
  }

  get failed() {
    return this.violations.length;
  }
}

/** What the app answered about tasks, against what was promised about them. */
export function judgeAnswer(verdict, ledger, { ids, keys, tags }, answer) {
  const { before, again, listed, streams, after } = answer;
  verdict.check(
    'P1 every acknowledged task is there after the crash',
    ids.filter((id) => before[id] === null),
  );
  verdict.check('the list has every acknowledged task, and none twice', faultsOfLists(ledger, tags, listed));
  verdict.check(
    'P3 seqs are 1, 2, 3 …',
    faultsOf(streams, (stream) => stream.some(([seq], at) => seq !== at + 1) || stream[0]?.[1] !== 'created'),
  );
  verdict.check(
    'P5 one end, and it is the last event',
    faultsOf(streams, (stream) => !endsOnce(stream)),
  );
  verdict.check(
    'P6 the state agrees with the end of the stream',
    faultsOf(streams, (stream, id) => {
      const [lastSeq, type] = stream.at(-1) ?? [];
      return after[id]?.status !== TERMINAL[type] || after[id].lastSeq !== lastSeq;
    }),
  );
  verdict.check('P2 nothing that a subscriber saw was taken back', faultsOfSeen(ledger, streams));
  verdict.check(
    'progress goes on after the last durable step',
    faultsOf(streams, (stream) => {
      const steps = stream.filter(([, type]) => type === 'progress').map(([, , , done]) => done);
      return steps.some((done, at) => done !== at + 1);
    }),
  );
  const cancelled = ledger.all('cancel').filter(({ id }) => streams[id] !== undefined);
  verdict.check(
    'a durable cancel ends the task cancelled',
    cancelled.filter(({ id }) => streams[id].at(-1)?.[1] !== 'cancelled').map(({ id }) => id),
  );
  verdict.check('the same key gives the same task', faultsOfKeys(ledger, keys, again));
}

const endsOnce = (stream) => stream.filter(([, type]) => type in TERMINAL).length === 1 && stream.at(-1)[1] in TERMINAL;

const faultsOf = (streams, isFault) =>
  Object.entries(streams)
    .filter(([id, stream]) => isFault(stream, id))
    .map(([id, stream]) => `${id} ${JSON.stringify(stream.map(([seq, type]) => `${seq} ${type}`))}`);

function faultsOfLists(ledger, tags, listed) {
  const acked = new Map(ledger.all('ack').map(({ id, life }) => [id, `life-${life}`]));
  return tags.flatMap((tag) => {
    const ids = new Set(listed[tag]);
    const missing = [...acked].filter(([id, of]) => of === tag && !ids.has(id)).map(([id]) => `${id} not listed`);
    return ids.size === listed[tag].length ? missing : [...missing, `${listed[tag].length - ids.size} listed twice`];
  });
}

function faultsOfSeen(ledger, streams) {
  return [...ledger.all('ended'), ...ledger.all('retried')]
    .filter(({ id }) => streams[id] !== undefined)
    .filter(({ k, id, seq, type = 'retry' }) => streams[id][seq - 1]?.[1] !== type || (k === 'ended' && streams[id].length !== seq))
    .map(
      ({ id, seq, type = 'retry' }) =>
        `${id}: ${seq} ${type} was seen, the stream is ${JSON.stringify(streams[id].map(([at, kind]) => `${at} ${kind}`))}`,
    );
}

function faultsOfKeys(ledger, keys, again) {
  const acked = new Map(
    ledger
      .all('ack')
      .filter(({ key }) => key !== undefined)
      .map(({ key, id }) => [key, id]),
  );
  const given = new Map(again.map((answer) => [answer.key, answer]));
  return keys.flatMap(({ key }) => {
    const { id, error } = given.get(key) ?? {};
    if (id === undefined) return `${key}: ${error ?? 'no answer'}`;
    return acked.has(key) && acked.get(key) !== id ? `${key}: ${acked.get(key)} was acknowledged, ${id} given` : [];
  });
}

/** What the ledger alone can tell: handlers are called again for a reason only. Returns how many calls were repeated, as they may be. */
export function judgeLedger(verdict, ledger) {
  const tasks = new Map();
  const faults = { ended: [], fence: [], attempt: [], same: [], strange: [] };
  let doubleStarts = 0;
  for (const { k, id, life, fence, attempt, reason, message } of ledger.lines) {
    const task = tasks.get(id) ?? { starts: [], failedAttempt: 0, hasEnded: false };
    tasks.set(id, task);
    if (k === 'ended') task.hasEnded = true;
    if (k === 'retried' && reason === 'failed') task.failedAttempt = Math.max(task.failedAttempt, attempt);
    if (k === 'two-for-one-key') faults.strange.push(`two tasks for one key: ${id}`);
    if (k === 'refused' || k === 'watch-failed') faults.strange.push(`${k}: ${message}`);
    if (k !== 'start') continue;
    if (task.hasEnded) faults.ended.push(`${id} fence ${fence}`);
    if (task.starts.some((start) => start.fence >= fence)) faults.fence.push(`${id} fence ${fence}`);
    if (attempt <= task.failedAttempt) faults.attempt.push(`${id} attempt ${attempt}`);
    const sameAttempt = task.starts.filter((start) => start.attempt === attempt);
    if (sameAttempt.some((start) => start.life === life)) faults.same.push(`${id} attempt ${attempt} in life ${life}`);
    if (sameAttempt.length > 0) doubleStarts++;
    task.starts.push({ fence, attempt, life });
  }
  verdict.check('P6 nothing that had ended is started again', faults.ended);
  verdict.check('the fence of a task grows with every start', faults.fence);
  verdict.check('an attempt that was seen to fail is not made again', faults.attempt);
  verdict.check('an attempt is made again only after its process died', faults.same);
  verdict.check('no submit is refused, no stream breaks', faults.strange);
  return doubleStarts;
}

/** The database at the end of it all, after a clean stop: rows are what the streams said (P7). */
export function judgeRows(verdict, rows, counts, deadEntries, streams) {
  const eventsOf = new Map(counts.map(({ task_id: id, events, last }) => [id, { events, last }]));
  const rowOf = new Map(rows.map((row) => [row.id, row]));
  verdict.check(
    'P7 the rows equal the streams',
    faultsOf(streams, (stream, id) => {
      const [lastSeq, type] = stream.at(-1) ?? [];
      const { events, last } = eventsOf.get(id) ?? {};
      return rowOf.get(id)?.status !== TERMINAL[type] || rowOf.get(id).last_seq !== lastSeq || events !== lastSeq || last !== lastSeq;
    }),
  );
  verdict.check(
    'P7 no task is in the database that no stream knows',
    rows.filter(({ id }) => streams[id] === undefined).map(({ id }) => id),
  );
  verdict.check(
    'no entry was set aside as poisonous',
    deadEntries.map(({ seq, reason }) => `${seq}: ${reason}`),
  );
}
