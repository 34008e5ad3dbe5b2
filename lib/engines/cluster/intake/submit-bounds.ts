import type { BackpressureOptions } from '../../../config/backpressure.options.js';
import type { GuardService } from '../../../guard/guard.service.js';
import type { WaitingBound } from '../../../guard/waiting-count.js';
import type { SubmitCall } from '../storage/submit-call.interface.js';

/** The server counts no further at each submit: larger bounds are held against what `QueueSizes` counted, a moment ago. */
const MAX_COUNTED = 10_000;

/** What every submit is held against, by all nodes alike. */
export function submitBounds(
  { windowSizeMs, maxTasksPerWindow, maxTasksPerUserWindow }: BackpressureOptions,
  { waiting }: GuardService,
  lockMs: number,
): Pick<SubmitCall, 'window' | 'queued' | 'delayed' | 'lockMs'> {
  const window = { sizeMs: windowSizeMs, max: maxTasksPerWindow, maxPerUser: maxTasksPerUserWindow };
  return { window, queued: counted(waiting.queued.bound), delayed: counted(waiting.delayed.bound), lockMs };
}

const counted = (bound: WaitingBound): WaitingBound | null => (isCounted(bound) ? bound : null);

export const isCounted = ({ max }: WaitingBound): boolean => max <= MAX_COUNTED;
