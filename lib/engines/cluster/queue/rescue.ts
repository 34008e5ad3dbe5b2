import type { LoggerService } from '@nestjs/common';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { FactPort } from '../../../contracts/fact-port.interface.js';
import type { Telemetry } from '../../../contracts/telemetry.interface.js';
import { type CrashBounds, crashVerdict } from '../../../domain/crash-verdict.js';
import type { TaskState } from '../../../domain/task-state.js';
import { InterruptibleLoop } from '../../../primitives/interruptible-loop.js';
import type { Membership } from '../members/membership.js';
import type { HeldRun, ServerFunctions } from '../storage/server-functions.js';

export interface RescueParts {
  readonly functions: Pick<ServerFunctions, 'orphans'>;
  readonly facts: Pick<FactPort, 'append'>;
  readonly membership: Pick<Membership, 'mayClaim' | 'onChange'>;
  readonly bounds: CrashBounds;
  readonly clock: Clock;
  readonly logger: LoggerService;
  readonly telemetry: Telemetry;
  /** Tasks were put back. */
  readonly offer: (task: TaskState) => void;
}

const LOOK_MS = 1_000;
const MAX_RUNS = 100;

/**
 * Takes up the runs whose node is no member any more. Found by what is missing, not by a list of the dead: a rescuer that dies half-way
 * leaves nothing that the next one does not find. Each run is moved only as it was seen, so that two rescuers do not both move it.
 */
export class Rescue {
  recovered = 0;
  failed = 0;
  cancelled = 0;
  private readonly loop: InterruptibleLoop;

  constructor(private readonly parts: RescueParts) {
    const { clock, logger, membership } = parts;
    const onError = (error: unknown): void => logger.debug?.(`Runs of dead nodes could not be looked for: ${String(error)}`);
    this.loop = new InterruptibleLoop(clock, { intervalMs: LOOK_MS, turn: (signal) => this.look(signal), onError });
    membership.onChange(() => this.loop.wake());
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async look(signal: AbortSignal): Promise<void> {
    const { functions, membership, telemetry } = this.parts;
    if (!membership.mayClaim) return;
    const orphans = await functions.orphans(MAX_RUNS);
    if (orphans.length === 0 || signal.aborted) return;
    await telemetry.span('taskflow.recovery.scan', {}, async () => {
      // Together: one after the other, each would wait for a call of its own.
      await Promise.all(orphans.map((orphan) => this.rescue(orphan)));
    });
  }

  private async rescue({ task }: HeldRun): Promise<void> {
    const { facts, bounds } = this.parts;
    const outcome = await facts.append([crashVerdict(task, task.cancelRequest, 'stale', bounds)]);
    if (outcome.kind === 'applied') this.tell(outcome.task);
    // Else a cancel request came in between, which the next look decides on, or somebody was faster.
  }

  private tell(task: TaskState): void {
    const { status, name, id, attempt, error } = task;
    const { logger, telemetry } = this.parts;
    if (status === 'created') this.recovered++;
    else if (status === 'cancelled') this.cancelled++;
    else this.failed++;
    if (status === 'failed')
      logger.error(
        `Task ${name} (${id}) failed at attempt ${attempt}: ${error?.message ?? ''} It is not tried again, unless by tasks.retry().`,
      );
    const counter = status === 'created' ? 'recovered' : status === 'cancelled' ? 'cancelled' : 'failed';
    telemetry.count(`taskflow.tasks.${counter}`, 1, { 'taskflow.task.name': name });
    if (status === 'created') this.parts.offer(task);
  }
}
