import { Inject, Injectable, type Type } from '@nestjs/common';
import { handlerOptionIssues } from '../config/handler-option-issues.js';
import { nearestOption } from '../config/option-issues.js';
import { TASKFLOW_OPTIONS } from '../config/taskflow.tokens.js';
import type { RegisteredHandler } from '../contracts/handler-registry.interface.js';
import type { RetryOptions, TaskHandlerOptions } from '../contracts/task-handler.interface.js';
import { ConfigValidationError } from '../errors/config.errors.js';
import { ConflictError, type FieldIssue, HandlerNotFoundError, ValidationError } from '../errors/request.errors.js';
import { nameIssue } from '../domain/text-rules.js';

export interface HandlerDefinition {
  readonly name: string;
  readonly options: TaskHandlerOptions;
  readonly handlerClass?: Type<unknown> | undefined;
  readonly instance: RegisteredHandler['instance'];
}

/** The options that fill in what a handler leaves out. */
export interface HandlerDefaults {
  readonly executor: { readonly defaultTimeoutMs: number; readonly retry: RegisteredHandler['retry'] };
}

/** Task names and what runs them. Names are added, never taken away. */
@Injectable()
export class HandlerRegistry {
  private readonly handlers = new Map<string, RegisteredHandler>();
  private readonly byClass = new Map<Type<unknown>, RegisteredHandler>();
  private readonly listeners: ((handler: RegisteredHandler) => void)[] = [];
  private discover: ((wanted: string | Type<unknown>) => HandlerDefinition | undefined) | undefined;

  constructor(@Inject(TASKFLOW_OPTIONS) private readonly options: HandlerDefaults) {}

  /** @param discover finds a handler that nobody defined yet, by name or class: a submit may come before all are defined. */
  discoverWith(discover: (wanted: string | Type<unknown>) => HandlerDefinition | undefined): void {
    this.discover = discover;
  }

  /** Every handler there is was defined: what is unknown from here on does not exist. */
  completed(): void {
    this.discover = undefined;
  }

  /**
   * Adds a task name; parked tasks of that name become runnable. The same name and class once more is the same handler.
   * @throws ConfigValidationError listing every option at fault; ConflictError (`ALREADY_DEFINED`) when the name is taken.
   */
  define(definition: HandlerDefinition): RegisteredHandler {
    const issues = issuesOf(definition);
    if (issues.length > 0) throw new ConfigValidationError(issues);
    const taken = this.handlers.get(definition.name);
    if (taken?.handlerClass !== undefined && taken.handlerClass === definition.handlerClass) return taken;
    if (taken !== undefined) throw new ConflictError('ALREADY_DEFINED', alreadyDefined(taken, definition));
    const handler = this.resolve(definition);
    this.handlers.set(handler.name, handler);
    // A class may stand for several names; submit by class then means the first.
    if (handler.handlerClass !== undefined && !this.byClass.has(handler.handlerClass)) this.byClass.set(handler.handlerClass, handler);
    for (const listener of this.listeners) listener(handler);
    return handler;
  }

  get(name: string): RegisteredHandler | undefined {
    return this.handlers.get(name);
  }

  getByClass(type: Type<unknown>): RegisteredHandler | undefined {
    return this.byClass.get(type) ?? this.discovered(type);
  }

  names(): string[] {
    return [...this.handlers.keys()];
  }

  /** @throws HandlerNotFoundError with the nearest name that is defined; ValidationError for what cannot be a name, which is not repeated. */
  require(name: string): RegisteredHandler {
    const handler = this.handlers.get(name) ?? this.discovered(name);
    if (handler !== undefined) return handler;
    const unfit = nameIssue(name);
    if (name !== '' && unfit !== undefined) throw new ValidationError('name', unfit);
    const known = this.names();
    throw new HandlerNotFoundError(name, known, nearestOption(name, known));
  }

  /** Called with every handler that is defined from now on. */
  onDefined(listener: (handler: RegisteredHandler) => void): void {
    this.listeners.push(listener);
  }

  private discovered(wanted: string | Type<unknown>): RegisteredHandler | undefined {
    const definition = this.discover?.(wanted);
    return definition === undefined ? undefined : this.define(definition);
  }

  private resolve({ name, options, handlerClass, instance }: HandlerDefinition): RegisteredHandler {
    const { defaultTimeoutMs, retry } = this.options.executor;
    return {
      name,
      options,
      type: options.type ?? 'user',
      timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
      retry: retryOver(retry, options.retry ?? {}),
      maxConcurrentExecutions: options.maxConcurrentExecutions,
      input: options.input,
      schema: options.schema,
      idempotency: options.idempotency ?? 'none',
      handlerClass,
      instance,
    };
  }
}

/** Paths start with the task's name, so that one of many definitions is found. */
function issuesOf({ name, options }: HandlerDefinition): FieldIssue[] {
  const ofName = nameIssue(name);
  if (ofName !== undefined) return [{ path: 'name', message: ofName }];
  return handlerOptionIssues(options).map((issue) => ({ path: `${name}.${issue.path}`, message: issue.message }));
}

/** Member by member, since a present but undefined option must not erase a default. */
function retryOver(defaults: RegisteredHandler['retry'], own: RetryOptions): RegisteredHandler['retry'] {
  const initialDelayMs = own.initialDelayMs ?? defaults.initialDelayMs;
  return {
    maxAttempts: own.maxAttempts ?? defaults.maxAttempts,
    initialDelayMs,
    // A first delay above the common bound is meant: it raises the bound, unless the handler sets one itself.
    maxDelayMs: own.maxDelayMs ?? Math.max(defaults.maxDelayMs, initialDelayMs),
    backoffMultiplier: own.backoffMultiplier ?? defaults.backoffMultiplier,
    jitter: own.jitter ?? defaults.jitter,
  };
}

function alreadyDefined(taken: RegisteredHandler, next: HandlerDefinition): string {
  const label = (type: Type<unknown> | undefined): string => (type === undefined ? 'defineTask' : `class ${type.name}`);
  return `Task "${taken.name}" is defined twice: by ${label(taken.handlerClass)} and by ${label(next.handlerClass)}. Give one of them another name.`;
}
