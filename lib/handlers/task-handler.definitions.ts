import { Injectable, Logger, type LoggerService, type Type } from '@nestjs/common';
import { handlerOptionIssues } from '../config/handler-option-issues.js';
import type { HandlerInstance } from '../contracts/handler-registry.interface.js';
import { ConfigValidationError } from '../errors/config.errors.js';
import type { FieldIssue } from '../errors/request.errors.js';
import type { HandlerDefinition } from './handler-registry.js';
import { nameIssue } from '../domain/text-rules.js';
import { AttemptProviders, isConstructed, isShared } from './attempt-providers.js';
import { type DiscoveredProvider, labelOf, ProviderExplorer } from './provider-explorer.js';
import { taskHandlerMetadata, type TaskHandlerMetadata } from './task-handler.decorator.js';

interface DiscoveredHandler extends DiscoveredProvider {
  readonly metadata: TaskHandlerMetadata;
  /** The decorated class: what `submit(SendEmail, …)` names. */
  readonly type: Type<HandlerInstance>;
}

/** What the registry is told of the classes marked with `@TaskHandler`. */
@Injectable()
export class TaskHandlerDefinitions {
  private readonly logger: LoggerService = new Logger('TaskHandlers');

  constructor(
    private readonly explorer: ProviderExplorer,
    private readonly providers: AttemptProviders,
  ) {}

  /**
   * @param isAsked leaves out other classes. Default: all.
   * @throws ConfigValidationError that names class and module of every handler at fault.
   */
  all(isAsked: (type: unknown) => boolean = () => true): HandlerDefinition[] {
    const issues: FieldIssue[] = [];
    const byName = new Map<string, DiscoveredHandler>();
    for (const found of this.explore(isAsked)) {
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
    for (const found of this.explore(() => true))
      if (found.metadata.name === wanted || found.type === wanted) return this.definitionOf(found);
    return undefined;
  }

  private definitionOf(found: DiscoveredHandler): HandlerDefinition {
    return {
      name: found.metadata.name,
      options: found.metadata.options,
      handlerClass: found.type,
      instance: this.providers.of<HandlerInstance>(found.wrapper),
    };
  }

  private *explore(isAsked: (type: unknown) => boolean): Generator<DiscoveredHandler> {
    for (const found of this.explorer.marked((type) => isAsked(type) && taskHandlerMetadata(type).length > 0)) {
      for (const metadata of taskHandlerMetadata(found.type)) yield { ...found, metadata, type: found.type as Type<HandlerInstance> };
    }
  }

  private warnOfSecondProvider(first: DiscoveredHandler, second: DiscoveredHandler): void {
    if (first.wrapper === second.wrapper) return;
    const where = `${first.moduleName} and ${second.moduleName}`;
    this.logger.warn(
      `${first.className} is a provider of ${where}: the one of ${first.moduleName} handles "${first.metadata.name}". Export it from there instead of listing it twice.`,
    );
  }
}

function issuesOf(found: DiscoveredHandler): FieldIssue[] {
  const path = labelOf(found);
  const { name, options } = found.metadata;
  const issues = handlerOptionIssues(options).map((issue) => ({ path: `${path}.${issue.path}`, message: issue.message }));
  const ofName = nameIssue(name);
  if (ofName !== undefined) issues.unshift({ path: `${path}.name`, message: ofName });
  const maker = (isConstructed(found.wrapper) && isShared(found.wrapper) ? found.wrapper.instance : found.type.prototype) as
    Partial<HandlerInstance> | undefined;
  if (typeof maker?.handle !== 'function')
    issues.push({ path: `${path}.handle`, message: 'is missing: a task handler has a method handle(input, ctx)' });
  if (maker?.recover !== undefined && typeof maker.recover !== 'function')
    issues.push({ path: `${path}.recover`, message: 'must be a method' });
  return issues;
}
