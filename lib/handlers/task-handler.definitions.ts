import { Injectable, Logger, type LoggerService, type Type } from '@nestjs/common';
import { ContextIdFactory, ModuleRef } from '@nestjs/core';
import { handlerOptionIssues } from '../config/handler-option-issues.js';
import type { HandlerInstance } from '../contracts/handler-registry.interface.js';
import { ConfigValidationError } from '../errors/config.errors.js';
import type { FieldIssue } from '../errors/request.errors.js';
import type { HandlerDefinition } from './handler-registry.js';
import { nameIssue } from '../domain/text-rules.js';
import { type DiscoveredHandler, TaskHandlerExplorer } from './task-handler.explorer.js';

/** What the registry is told of the classes marked with `@TaskHandler`. */
@Injectable()
export class TaskHandlerDefinitions {
  private readonly logger: LoggerService = new Logger('TaskHandlers');

  constructor(
    private readonly explorer: TaskHandlerExplorer,
    private readonly moduleRef: ModuleRef,
  ) {}

  /** @throws ConfigValidationError that names class and module of every handler at fault. */
  all(): HandlerDefinition[] {
    const issues: FieldIssue[] = [];
    const byName = new Map<string, DiscoveredHandler>();
    for (const found of this.explorer.explore()) {
      const first = byName.get(found.metadata.name);
      if (first?.type === found.type) {
        this.warnOfSecondProvider(first, found);
        continue;
      }
      if (first === undefined) byName.set(found.metadata.name, found);
      else issues.push({ path: labelOf(found), message: `task "${found.metadata.name}" is also handled by ${labelOf(first)}: rename one` });
      issues.push(...issuesOf(found));
    }
    if (issues.length > 0) throw new ConfigValidationError(issues);
    return [...byName.values()].map((found) => this.definitionOf(found));
  }

  /** One by name or class, while Nest may still be making providers: looks at what is known of a class, and at no instance. */
  find(wanted: string | Type<unknown>): HandlerDefinition | undefined {
    for (const found of this.explorer.explore())
      if (found.metadata.name === wanted || found.type === wanted) return this.definitionOf(found);
    return undefined;
  }

  private definitionOf(found: DiscoveredHandler): HandlerDefinition {
    let instance: HandlerDefinition['instance'] | undefined;
    return {
      name: found.metadata.name,
      options: found.metadata.options,
      handlerClass: found.type,
      // When the first run asks for it, every provider is made. Asked earlier, Nest would remember a scope that it does not know yet.
      instance: (request) => (instance ??= this.instanceOf(found))(request),
    };
  }

  /** How a run comes by its handler: the provider itself, or a new one per attempt where its scope asks for that. */
  private instanceOf({ wrapper }: DiscoveredHandler): HandlerDefinition['instance'] {
    if (isShared(wrapper)) {
      const instance = wrapper.instance as HandlerInstance;
      return () => instance;
    }
    return (request?: unknown) => {
      const contextId = ContextIdFactory.create();
      this.moduleRef.registerRequestByContextId(request, contextId);
      return this.moduleRef.resolve<HandlerInstance>(wrapper.token as never, contextId, { strict: false });
    };
  }

  private warnOfSecondProvider(first: DiscoveredHandler, second: DiscoveredHandler): void {
    if (first.wrapper === second.wrapper) return;
    const where = `${first.moduleName} and ${second.moduleName}`;
    this.logger.warn(
      `${first.className} is a provider of ${where}: the one of ${first.moduleName} handles "${first.metadata.name}". Export it from there instead of listing it twice.`,
    );
  }
}

const labelOf = ({ moduleName, className }: DiscoveredHandler): string => `${moduleName}.${className}`;

/** One object for all runs. A transient provider is static in Nest's terms, but what its wrapper holds was never constructed. */
const isShared = (wrapper: DiscoveredHandler['wrapper']): boolean => wrapper.isDependencyTreeStatic() && !wrapper.isTransient;

function issuesOf(found: DiscoveredHandler): FieldIssue[] {
  const path = labelOf(found);
  const { name, options } = found.metadata;
  const issues = handlerOptionIssues(options).map((issue) => ({ path: `${path}.${issue.path}`, message: issue.message }));
  const ofName = nameIssue(name);
  if (ofName !== undefined) issues.unshift({ path: `${path}.name`, message: ofName });
  const maker = (isShared(found.wrapper) ? found.wrapper.instance : found.type.prototype) as Partial<HandlerInstance> | undefined;
  if (typeof maker?.handle !== 'function')
    issues.push({ path: `${path}.handle`, message: 'is missing: a task handler has a method handle(input, ctx)' });
  if (maker?.recover !== undefined && typeof maker.recover !== 'function')
    issues.push({ path: `${path}.recover`, message: 'must be a method' });
  return issues;
}
