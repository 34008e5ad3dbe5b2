import { setTimeout as sleep } from 'node:timers/promises';
import { IsInt, IsOptional, Max, Min } from 'class-validator';
import { type RecoveryContext, type RecoveryOutcome, type Task, type TaskContext, TaskHandler, type TaskYield } from 'nestjs-taskflow';

export class ImportRowsDto {
  @IsInt() @Min(1) @Max(100_000) readonly rows!: number;
  /** Time that one batch takes. Unit: ms. */
  @IsOptional() @IsInt() @Min(0) @Max(60_000) readonly batchMs?: number;
}

export interface ImportProgress {
  readonly done: number;
  readonly total: number;
}

const BATCH_ROWS = 5;
const DEFAULT_BATCH_MS = 200;

/**
 * A generator: what it yields is an event, durable and in order. It is long enough to be killed in the middle, and `recover` goes on
 * from the last progress that reached the disk.
 */
@TaskHandler('import-rows', { input: ImportRowsDto, timeoutMs: 3_600_000 })
export class ImportRows implements TaskHandler<ImportRowsDto, { rows: number }> {
  async *handle(input: ImportRowsDto, ctx: TaskContext): AsyncGenerator<TaskYield, { rows: number }, void> {
    for await (const payload of importFrom(doneSoFar(ctx), input, ctx)) yield { type: 'progress', payload };
    return { rows: input.rows };
  }

  /** Called in place of `handle` after a crash or a shutdown. `{ recovered: false }` would mean: start `handle` after all. */
  async recover(task: Task<ImportRowsDto>, ctx: RecoveryContext): Promise<RecoveryOutcome<{ rows: number }>> {
    const from = doneSoFar(ctx);
    await ctx.emit('resumed', { reason: ctx.reason, fromRow: from });
    for await (const progress of importFrom(from, task.input, ctx)) await ctx.progress(progress);
    return { recovered: true, result: { rows: task.input.rows } };
  }
}

/** How far the runs before this one came, as their last durable progress says. */
function doneSoFar({ previousEvents }: TaskContext): number {
  const last = previousEvents.findLast((event) => event.type === 'progress');
  return (last?.payload as ImportProgress | undefined)?.done ?? 0;
}

/**
 * A batch whose progress was not on disk yet is imported again, so writing a row twice has to do no harm: write by primary key, or
 * hand `ctx.fence` to the target and let it refuse writers older than the newest it saw.
 */
async function* importFrom(from: number, input: ImportRowsDto, { signal }: TaskContext): AsyncGenerator<ImportProgress, void, void> {
  for (let done = from; done < input.rows;) {
    await sleep(input.batchMs ?? DEFAULT_BATCH_MS, undefined, { signal });
    done = Math.min(input.rows, done + BATCH_ROWS);
    yield { done, total: input.rows };
  }
}
