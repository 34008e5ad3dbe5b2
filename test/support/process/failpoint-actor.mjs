// Loaded before the package (`node --import`), by a process that is to meet its end at a failpoint. The flush worker inherits it.
//
//   TASKFLOW_FAILPOINTS = { "file": <where it is told of>, "arms": [{ "id", "point", "hit", "victim", "signal", "deaf" }] }
//
// At the `hit`-th time that a process comes past `point`, `victim` gets `signal`, once in all: the file says which arms have fired.
// With `deaf`, this process will not hear that its parent is gone. A process that was stopped tells of each point that it comes past
// afterwards.
// A line is in the kernel before the signal is sent, so that a test can tell a process that died here from one that just died.
import { existsSync, openSync, readFileSync, writeSync } from 'node:fs';

const { file, arms } = JSON.parse(process.env.TASKFLOW_FAILPOINTS);
const isWorker = process.argv[1]?.endsWith('flush-worker.js') === true;
const fired = existsSync(file)
  ? readFileSync(file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).arm)
  : [];
const note = openSync(file, 'a', 0o600);
const tell = (line) => writeSync(note, `${JSON.stringify(line)}\n`);
const open = arms.filter(({ id }) => !fired.includes(id));
const hits = new Map();

tell({ born: process.pid, isWorker });

const childOf = (pid) => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]);

/** Undefined: there is none at this moment, and the arm waits for the next time. */
function victimOf({ victim }) {
  if (victim === 'self') return process.pid;
  if (victim === 'parent') return process.ppid;
  return childOf(process.pid) || undefined;
}

let wasStopped = false;
function come(point) {
  if (wasStopped) tell({ passed: point, by: process.pid });
  if (!open.some((arm) => arm.point === point)) return;
  const hit = (hits.get(point) ?? 0) + 1;
  hits.set(point, hit);
  const arm = open.find((each) => each.point === point && each.hit <= hit);
  if (arm === undefined) return;
  const pid = victimOf(arm);
  if (pid === undefined) return;
  open.splice(open.indexOf(arm), 1);
  // The next arm of this point counts from here.
  hits.set(point, 0);
  tell({ arm: arm.id, point, hit, pid, by: process.pid });
  if (arm.deaf === true) process.removeAllListeners('disconnect');
  if (arm.signal === 'SIGSTOP') wasStopped = true;
  process.kill(pid, arm.signal ?? 'SIGKILL');
}

globalThis[Symbol.for('nestjs-taskflow.failpoint')] = come;
