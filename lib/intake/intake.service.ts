import { Inject, Injectable } from '@nestjs/common';
import type { TaskflowOptions } from '../config/taskflow.options.js';
import { CLOCK, TASK_CREATOR, TASKFLOW_OPTIONS } from '../config/taskflow.tokens.js';
import type { Clock } from '../contracts/clock.interface.js';
import type { RegisteredHandler } from '../contracts/handler-registry.interface.js';
import type { Submission } from '../contracts/submission.interface.js';
import type { TaskCreator } from '../contracts/task-creator.interface.js';
import type { SubmitParams } from '../contracts/task-system.interface.js';
import type { Task } from '../contracts/task.interface.js';
import { encodeJson, inputHash, type JsonLimits } from '../domain/json-encoding.js';
import { derivedKey } from '../domain/key-rules.js';
import { ValidationError } from '../errors/request.errors.js';
import { ExecutorService } from '../executor/executor.service.js';
import { validateInput } from '../executor/input-validation.js';
import { managerOf, parseSubmit } from './submit-request.js';

const MAX_ITEMS = 1_000;

/** From what a caller gives to a submission that is right in itself: parsed, encoded and validated once. The engine does the rest. */
@Injectable()
export class IntakeService {
  private readonly engine: TaskflowOptions['engine'];
  private readonly inputLimits: JsonLimits;
  private readonly asksTheStack = (): boolean => this.executor.isInsideRun;

  constructor(
    @Inject(TASKFLOW_OPTIONS) options: TaskflowOptions,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(TASK_CREATOR) private readonly creator: TaskCreator,
    private readonly executor: ExecutorService,
  ) {
    this.engine = options.engine;
    this.inputLimits = { field: 'input', maxBytes: options.limits.maxInputBytes, maxDepth: options.limits.maxDepth };
  }

  /**
   * The task as of its `created` event, or the existing task of the same key.
   * @param isFromRun a running task asks, as was seen already; else it is looked for where it matters.
   * @throws ValidationError at once for what is wrong with the call itself; the promise rejects with the rest.
   */
  submit(handler: RegisteredHandler, params: SubmitParams<unknown>, isFromRun = false): Promise<Task> {
    const submission = this.encode(handler, params, isFromRun);
    // Handed on as it is: each promise around another costs its caller two turns of the microtask queue.
    return validates(handler) ? this.submitChecked(submission) : this.creator.create(submission, undefined);
  }

  /** @throws what `submit` throws; a ValidationError names the item. Then nothing was created. */
  async submitMany(handler: RegisteredHandler, items: readonly SubmitParams<unknown>[], isFromRun: boolean): Promise<readonly Task[]> {
    if (!Array.isArray(items)) throw new ValidationError('items', 'must be an array of parameters as submit takes them');
    if (items.length > MAX_ITEMS) throw new ValidationError('items', `must have at most ${MAX_ITEMS} members, got ${items.length}`);
    const submissions = items.map((params: SubmitParams<unknown>, at) => this.encodeItem(handler, params, isFromRun, at));
    const values = validates(handler) ? await Promise.all(submissions.map(validItem)) : submissions.map(() => undefined);
    return this.creator.createMany(submissions, values);
  }

  private async submitChecked(submission: Submission): Promise<Task> {
    return this.creator.create(submission, await validateInput(submission.handler, JSON.parse(submission.input)));
  }

  private encodeItem(handler: RegisteredHandler, params: SubmitParams<unknown>, isFromRun: boolean, at: number): Submission {
    try {
      const submission = this.encode(handler, params, isFromRun);
      if (submission.request.waitForSlot) throw new ValidationError('waitForSlot', 'is for submit: many tasks wait as tasks');
      if (submission.manager !== undefined) throw new ValidationError('manager', 'is for submit: call it for each task of the transaction');
      return submission;
    } catch (error) {
      throw inItem(at, error);
    }
  }

  /** @throws ValidationError naming the first field at fault. */
  private encode(handler: RegisteredHandler, params: SubmitParams<unknown>, isFromRun: boolean): Submission {
    const request = parseSubmit(params, handler, this.clock.now());
    const manager = managerOf(params, this.engine);
    const input = encodeJson(params.input ?? null, this.inputLimits);
    const key = request.key ?? (handler.idempotency === 'input' ? derivedKey(handler.name, input, request.userId) : null);
    const hash = key === null ? null : inputHash(input);
    return { handler, request, input, key, inputHash: hash, isFromRun: isFromRun ? seen : this.asksTheStack, manager };
  }
}

const seen = (): boolean => true;

const validates = ({ input, schema }: RegisteredHandler): boolean => input !== undefined || schema !== undefined;

async function validItem({ handler, input }: Submission, at: number): Promise<unknown> {
  try {
    return await validateInput(handler, JSON.parse(input));
  } catch (error) {
    throw inItem(at, error);
  }
}

/** What is wrong with one of many names it: `items[3].priority`. */
const inItem = (at: number, error: unknown): unknown =>
  ValidationError.is(error)
    ? new ValidationError(
        `items[${at}].${error.field}`,
        error.issues.map(({ path, message }) => ({ path: `items[${at}].${path}`, message })),
        error.getStatus() >= 500 ? 'application' : 'caller',
      )
    : error;
