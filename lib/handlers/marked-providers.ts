import { Injectable, type Type } from '@nestjs/common';
import type { Task } from '../contracts/task.interface.js';
import { ConfigValidationError } from '../errors/config.errors.js';
import type { FieldIssue } from '../errors/request.errors.js';
import { AttemptProviders, isConstructed, isShared } from './attempt-providers.js';
import { nameIssue } from '../domain/text-rules.js';
import { HandlerRegistry } from './handler-registry.js';
import { InterceptorChain } from './interceptor-chain.js';
import { onTaskMetadata, type OnTaskMetadata, TASK_MOMENTS } from './on-task.decorator.js';
import { type DiscoveredProvider, labelOf, ProviderExplorer } from './provider-explorer.js';
import { taskHandlerMetadata } from './task-handler.decorator.js';
import { TaskHandlerDefinitions } from './task-handler.definitions.js';
import { TaskListeners } from './task-listeners.js';
import { type TaskInterceptor, taskInterceptorMetadata } from './task-interceptor.decorator.js';

const isMarked = (type: unknown): boolean =>
  taskHandlerMetadata(type).length > 0 || taskInterceptorMetadata(type) !== undefined || onTaskMetadata(type).length > 0;

/** Brings in what providers of the application are marked as: once for all modules at the start, later for those of lazy modules. */
@Injectable()
export class MarkedProviders {
  /** Every module that was there at the start has been looked at. */
  isComplete = false;
  /** Classes by what they were added as: one that two modules provide is added once. */
  private readonly interceptors = new Set<unknown>();
  private readonly listening = new Set<unknown>();

  constructor(
    private readonly explorer: ProviderExplorer,
    private readonly definitions: TaskHandlerDefinitions,
    private readonly registry: HandlerRegistry,
    private readonly providers: AttemptProviders,
    private readonly chain: InterceptorChain,
    private readonly listeners: TaskListeners,
  ) {}

  /** A submit may come before all are registered: until then, what it names is looked for. */
  discoverEarly(): void {
    this.registry.discoverWith((wanted) => this.definitions.find(wanted));
  }

  /** @throws ConfigValidationError that names class and module of every provider at fault. */
  registerAll(): void {
    this.register(() => true);
    this.registry.completed();
    this.isComplete = true;
  }

  /** For a module that was loaded after the start. What is known already stays as it is. @throws ConfigValidationError */
  registerLate(types: readonly Type<unknown>[]): void {
    this.check(types);
    this.register((type) => types.includes(type as Type<unknown>));
  }

  /** @throws ConfigValidationError for a class that is not marked, or that no module provides. */
  check(types: readonly Type<unknown>[]): void {
    const provided = new Set([...this.explorer.marked(isMarked)].map(({ type }) => type));
    const issues = types
      .filter((type) => !provided.has(type))
      .map((type) => ({ path: `forFeature.${nameOf(type)}`, message: missing(type) }));
    if (issues.length > 0) throw new ConfigValidationError(issues);
  }

  private register(isAsked: (type: unknown) => boolean): void {
    const issues: FieldIssue[] = [];
    for (const found of this.explorer.marked((type) => isAsked(type) && taskInterceptorMetadata(type) !== undefined))
      issues.push(...this.addInterceptor(found));
    for (const found of this.explorer.marked((type) => isAsked(type) && onTaskMetadata(type).length > 0))
      issues.push(...this.addListeners(found));
    const definitions = this.definitions.all(isAsked);
    if (issues.length > 0) throw new ConfigValidationError(issues);
    for (const definition of definitions) this.registry.define(definition);
  }

  private addInterceptor(found: DiscoveredProvider): FieldIssue[] {
    if (this.interceptors.has(found.type)) return [];
    this.interceptors.add(found.type);
    const { order = 0 } = taskInterceptorMetadata(found.type)!;
    const path = labelOf(found);
    if (!Number.isFinite(order)) return [{ path: `${path}.order`, message: 'must be a finite number' }];
    const maker = (isConstructed(found.wrapper) && isShared(found.wrapper) ? found.wrapper.instance : found.type.prototype) as
      Partial<TaskInterceptor> | undefined;
    if (typeof maker?.intercept !== 'function')
      return [{ path: `${path}.intercept`, message: 'is missing: a task interceptor has a method intercept(run, next)' }];
    this.chain.add({ order, name: found.className, instance: this.providers.of<TaskInterceptor>(found.wrapper) });
    return [];
  }

  private addListeners(found: DiscoveredProvider): FieldIssue[] {
    if (this.listening.has(found.type)) return [];
    this.listening.add(found.type);
    const make = this.providers.of<Record<PropertyKey, (task: Task) => unknown>>(found.wrapper);
    const issues: FieldIssue[] = [];
    for (const metadata of onTaskMetadata(found.type)) {
      const { method, moment } = metadata;
      const label = `${labelOf(found)}.${String(method)}`;
      const names = namesOf(metadata);
      if (!TASK_MOMENTS.includes(moment))
        issues.push({ path: label, message: `@OnTask: the event must be one of ${TASK_MOMENTS.join(', ')}` });
      else if (typeof names === 'string') issues.push({ path: label, message: `@OnTask: ${names}` });
      else this.listeners.add({ moment, names, label, call: async (task) => (await make(() => ({ task })))[method]!(task) });
    }
    return issues;
  }
}

/** @returns a text: what is wrong with what a listener says it wants to hear of. */
function namesOf({ handler }: OnTaskMetadata): ReadonlySet<string> | undefined | string {
  if (handler.length === 0) return undefined;
  const [wanted] = handler;
  if (typeof wanted === 'string') return nameIssue(wanted) ?? new Set([wanted]);
  const names = taskHandlerMetadata(wanted).map(({ name }) => name);
  if (names.length > 0) return new Set(names);
  return wanted === undefined
    ? 'names a class that is undefined: two files import each other; give the task name instead'
    : `names ${nameOf(wanted)}, which is not marked with @TaskHandler`;
}

const nameOf = (type: unknown): string => (typeof type === 'function' ? type.name : String(type));

const missing = (type: unknown): string =>
  isMarked(type)
    ? 'is no provider: list it in `providers` of the module that imports forFeature'
    : 'is not marked: decorate the class with @TaskHandler or @TaskInterceptor, or a method with @OnTask';
