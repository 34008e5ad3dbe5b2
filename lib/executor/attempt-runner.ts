import type { HandlerInstance } from '../contracts/handler-registry.interface.js';
import type { RecoveryReason, TaskAttempt, TaskContext } from '../contracts/task-handler.interface.js';
import type { TaskHistory } from '../contracts/task-history.interface.js';
import { encodeJson } from '../domain/json-encoding.js';
import { snapshotOf } from '../domain/task-snapshot.js';
import { comeAgainOf } from './come-again.js';
import { type InterceptorChain, isInsideInterceptor } from '../handlers/interceptor-chain.js';
import { INTERRUPTED, isGenerator, pump } from './generator-pump.js';
import { isThenable, validateInput } from './input-validation.js';
import type { Settlement } from './outcome-decision.js';
import { isShutdownRefusal } from './shutdown-refusal.js';
import { RecoveryRunContext, TaskRunContext } from './task-context.js';
import { callingFile, isCalledFrom } from '../primitives/called-from.js';
import type { RunSurroundings, TaskRun } from './task-run.js';

const HERE = callingFile();

/** True in what a handler or an interceptor of its attempt calls, and in what they await. */
export const isInsideAttempt = (): boolean => isCalledFrom(HERE, 'callHandler') || isInsideInterceptor();

/** What interrupted the run before, as long as `recover` has not answered for it. */
const interruptionOf = ({ start: { task }, isRecovered }: TaskRun): RecoveryReason | undefined =>
  isRecovered !== true && task.resume !== null && task.resume !== 'failed' ? task.resume : undefined;

const SILENT: Settlement = { kind: 'silent' };

/** One attempt: input, instance, `recover` where a run was interrupted, `handle`. Never rejects. */
export class AttemptRunner {
  constructor(
    private readonly shared: RunSurroundings,
    private readonly history: TaskHistory,
    private readonly interceptors: InterceptorChain,
    /** Nothing is started any more. */
    private readonly isStopping: () => boolean,
  ) {}

  /** Resolves when the handler has settled, or was abandoned because it ignored its signal. */
  attempt(run: TaskRun): Promise<Settlement> {
    return new Promise((resolve) => {
      run.open(resolve);
      // A run that is told to stop before it began is not begun.
      if (run.isAborted) return run.settle(SILENT);
      this.handlerSpan(run).then(
        (result) => run.settle(result === INTERRUPTED ? SILENT : this.returned(run, result)),
        (error: unknown) => this.threw(run, error),
      );
    });
  }

  private handlerSpan(run: TaskRun): Promise<unknown> {
    return this.shared.env.telemetry.span('taskflow.task.handler', { attributes: run.start.attributes }, () =>
      this.interceptors.isEmpty ? this.callHandler(run) : this.callIntercepted(run),
    );
  }

  private threw(run: TaskRun, error: unknown): void {
    // The system refused what the handler asked of it since it stops: the task failed at nothing, and goes on after the restart.
    if (this.isStopping() && isShutdownRefusal(error)) run.abort('shutdown', error);
    run.settle({ kind: 'threw', error: run.errorInfo(error), comeAgain: comeAgainOf(error), unrecovered: interruptionOf(run) });
  }

  /** The attempt is over when its handler is, also where an interceptor did not wait for it: two runs of a task must not overlap. */
  private async callIntercepted(run: TaskRun): Promise<unknown> {
    let wasInterrupted = false;
    let isOver = false;
    let handled: Promise<unknown> | undefined;
    const innermost = (): Promise<unknown> => {
      if (isOver) return Promise.reject(new Error('next() was called after intercept() had ended: the attempt is over.'));
      run.listensHere();
      handled = this.callHandler(run).then((result) => {
        wasInterrupted = result === INTERRUPTED;
        return wasInterrupted ? Promise.reject(run.reason) : result;
      });
      return handled;
    };
    const result = this.interceptors.around(this.attemptOf(run), innermost);
    await result.catch(() => undefined);
    isOver = true;
    await handled?.catch(() => undefined);
    // Whatever an interceptor made of it: the handler was stopped, so its attempt has no result.
    return wasInterrupted ? INTERRUPTED : result;
  }

  private attemptOf(run: TaskRun): TaskAttempt {
    return (run.attempt ??= { task: snapshotOf(run.task), context: this.contextOf(run) });
  }

  private contextOf(run: TaskRun): TaskContext {
    return (run.context ??= new TaskRunContext(run, this.shared, this.history));
  }

  private async callHandler(run: TaskRun): Promise<unknown> {
    const { handler, slot, validated } = run.start;
    const checked = validated === undefined ? this.inputOf(run) : validated.value;
    const input = validated === undefined && isThenable(checked) ? await checked : checked;
    const made = handler.instance(() => this.attemptOf(run));
    const instance = isThenable(made) ? await made : made;
    if (run.isAborted) return INTERRUPTED;
    const interruption = interruptionOf(run);
    if (interruption !== undefined) {
      if (instance.recover !== undefined) {
        const outcome = await this.recover(run, instance, interruption);
        if (outcome.recovered) return outcome.result;
        if (run.isAborted) return INTERRUPTED;
      }
      run.isRecovered = true;
    }
    slot.recovered();
    const returned: unknown = instance.handle(input, this.contextOf(run));
    const result = isThenable(returned) ? await returned : returned;
    return isGenerator(result) ? await pump(result, run, this.shared) : result;
  }

  /** Checked before each attempt: the rules may have changed since the task was submitted. */
  private inputOf({ start }: TaskRun): unknown {
    return validateInput(start.handler, start.task.input === undefined ? undefined : JSON.parse(start.task.input));
  }

  private async recover(
    run: TaskRun,
    instance: HandlerInstance,
    reason: RecoveryReason,
  ): Promise<{ recovered: boolean; result?: unknown }> {
    const context = new RecoveryRunContext(run, this.shared, this.history, reason);
    const outcome: unknown = await instance.recover!(snapshotOf(run.task), context);
    if (typeof outcome !== 'object' || outcome === null || typeof (outcome as { recovered?: unknown }).recovered !== 'boolean') {
      throw new TypeError(`recover() of "${run.task.name}" must answer { recovered: true, result } or { recovered: false }.`);
    }
    return outcome as { recovered: boolean; result?: unknown };
  }

  /** A result that cannot be stored is a failure that another attempt would only repeat. */
  private returned(run: TaskRun, result: unknown): Settlement {
    if (result === undefined) return { kind: 'returned', body: '' };
    const { maxResultBytes, maxDepth } = this.shared.env.options.limits;
    try {
      return { kind: 'returned', body: `{"result":${encodeJson(result, { field: 'result', maxBytes: maxResultBytes, maxDepth })}}` };
    } catch (error) {
      return { kind: 'threw', error: run.errorInfo(error) };
    }
  }
}
