/**
 * Edges at which the promises are most likely to break: between two steps of which a crash may leave the first one alone. In the
 * order in which a process comes past them, stage by stage.
 */
export const FAILPOINTS = [
  'submit.before-append',
  'submit.after-durable',
  'claim.before-start',
  'claim.after-start',
  'completion.after-handler',
  'completion.before-append',
  'completion.after-durable',
  'completion.before-release',
  'commit.after-write',
  'commit.after-sync',
  'rotation.after-next-file',
  'rotation.after-seal-write',
  'rotation.after-seal-sync',
  'rotation.after-rename',
  'rotation.after-folder-sync',
  'flush.before-transaction',
  'flush.after-rows',
  'flush.after-events',
  'flush.after-quarantined-gone',
  'flush.after-dead-entries',
  'flush.after-cursor',
  'flush.after-commit',
  'flush.before-report',
  'flush.before-release',
  'retention.before-confirm',
  'retention.after-confirm',
  'retention.after-unlink',
  'retention.after-folder-sync',
  'retention.before-pruned',
  'retention.after-pruned',
  'replace.after-copy',
  'replace.after-sync',
  'replace.after-rename',
  'replace.after-folder-sync',
  'recovery.after-next-file',
  'recovery.after-rename',
  'recovery.after-folder-sync',
  'recovery.before-cursor-check',
  'recovery.after-fold',
  'recovery.after-leftover',
  'shutdown.begin',
  'shutdown.runs-ended',
  'shutdown.drained',
  'shutdown.before-seal',
  'shutdown.after-seal',
  'shutdown.unlocked',
] as const;

export type Failpoint = (typeof FAILPOINTS)[number];

/** Read once, when the package is loaded. Only a process that was started to be killed has one. */
const hook = (globalThis as { [key: symbol]: ((point: Failpoint) => void) | undefined })[Symbol.for('nestjs-taskflow.failpoint')];

/**
 * Does nothing, unless a test put a function under `Symbol.for('nestjs-taskflow.failpoint')` before this package was loaded. The
 * package itself holds no code that could end a process here, whatever its environment says. Not for use once per entry.
 */
export function failpoint(point: Failpoint): void {
  if (hook !== undefined) hook(point);
}
