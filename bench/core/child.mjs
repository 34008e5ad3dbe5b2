import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('./child-main.mjs', import.meta.url));

/**
 * Runs `run(params)` of a module in a process of its own, so that no workload starts with another one's heap, code that was
 * optimised for another, or timers.
 */
export function inChild(module, params, { gc = false, execArgv = [], timeoutMs = 600_000, env = {} } = {}) {
  const child = spawnChild({ gc, execArgv, env });
  return new Promise((resolve, reject) => {
    const patience = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${module} took longer than ${timeoutMs / 1000} s.`));
    }, timeoutMs);
    child.once('message', ({ result, error }) => (error === undefined ? resolve(result) : reject(new Error(`${module}: ${error}`))));
    child.once('exit', (code, signal) => {
      clearTimeout(patience);
      // After a result this changes nothing.
      reject(new Error(`${module} ended without a result (${signal ?? code}).`));
    });
    child.send({ module, params });
  });
}

/** A process that stays: for what is killed, or measured several times. */
export function spawnChild({ gc = false, execArgv = [], env = {} } = {}) {
  return fork(MAIN, [], { execArgv: [...(gc ? ['--expose-gc'] : []), ...execArgv], env: { ...process.env, ...env } });
}

/** Sends a module and its parameters, and gives its next message. */
export function ask(child, message) {
  return new Promise((resolve, reject) => {
    const over = (code, signal) => reject(new Error(`${message.module ?? message.call} ended without an answer (${signal ?? code}).`));
    child.once('exit', over);
    child.once('message', ({ result, error }) => {
      child.off('exit', over);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    });
    child.send(message);
  });
}
