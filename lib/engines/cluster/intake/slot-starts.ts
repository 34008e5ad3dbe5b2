import type { Clock } from '../../../contracts/clock.interface.js';
import type { Submission } from '../../../contracts/submission.interface.js';
import { SlotTimeoutError } from '../../../errors/admission.errors.js';
import type { NodeSlots } from '../queue/node-slots.js';
import type { NewTask, RunLimits, SubmitOutcome } from '../storage/submit-call.interface.js';
import type { SubmitCaller } from './submit-caller.js';

export interface SlotStartParts {
  readonly submits: SubmitCaller;
  readonly slots: NodeSlots;
  readonly clock: Clock;
  readonly limits: RunLimits;
  readonly slotTimeoutMs: number;
  /** This node runs tasks. */
  readonly takesWork: () => boolean;
  /** Counts a submit that waited in vain. */
  readonly timedOut: () => void;
}

/** How often a submit asks again. Unit: ms. */
const POLL_MS = 150;

/** Submits that wait for a slot: created and started at once, or not at all. Asked again until a slot is free over all nodes, and on this one. */
export class SlotStarts {
  /** Submits that may have started their task, and do not know yet. */
  underWay = 0;

  constructor(private readonly parts: SlotStartParts) {}

  /** @throws SlotTimeoutError; the signal's reason. Then nothing was created. */
  async start(row: NewTask, submission: Submission, signal: AbortSignal): Promise<SubmitOutcome> {
    const { clock, slotTimeoutMs, takesWork, timedOut } = this.parts;
    const endsAt = clock.monotonic() + slotTimeoutMs;
    for (;;) {
      signal.throwIfAborted();
      if (!takesWork()) throw new SlotTimeoutError(0, slotTimeoutMs);
      const outcome = await this.tryToStart(row, submission);
      if (outcome !== undefined) return outcome;
      const leftMs = endsAt - clock.monotonic();
      if (leftMs <= 0) {
        timedOut();
        throw new SlotTimeoutError(slotTimeoutMs, slotTimeoutMs);
      }
      await this.pause(Math.min(POLL_MS, leftMs), signal);
    }
  }

  /** @returns undefined: no slot is free. */
  private async tryToStart(row: NewTask, { handler, request }: Submission): Promise<SubmitOutcome | undefined> {
    const { submits, slots, limits } = this.parts;
    if (slots.free === 0) return undefined;
    // Held while the answer is on its way, so that no claim takes the same place.
    const slot = slots.take(handler.name, request.userId, () => undefined);
    this.underWay++;
    try {
      const start = { limits, handlerLimit: handler.maxConcurrentExecutions ?? null };
      const { outcomes } = await submits.submit([row], true, start);
      const outcome = outcomes[0]!;
      return outcome.kind === 'refused' && outcome.limit === 'slot' ? undefined : outcome;
    } finally {
      this.underWay--;
      slot.release();
    }
  }

  private pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const onEnd = (): void => {
        signal.removeEventListener('abort', onEnd);
        timer.cancel();
        resolve();
      };
      const timer = this.parts.clock.after(ms, onEnd, true);
      signal.addEventListener('abort', onEnd, { once: true });
    });
  }
}
