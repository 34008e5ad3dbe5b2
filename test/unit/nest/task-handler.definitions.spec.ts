import 'reflect-metadata';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Inject, Injectable, Logger, Module, Scope, type ModuleMetadata } from '@nestjs/common';
import { DiscoveryModule, REQUEST } from '@nestjs/core';
import { Test, type TestingModule, type TestingModuleBuilder } from '@nestjs/testing';
import type { TaskAttempt } from '../../../lib/contracts/task-handler.interface.js';
import { TaskHandler } from '../../../lib/handlers/task-handler.decorator.js';
import { ConfigValidationError } from '../../../lib/errors/config.errors.js';
import type { HandlerDefinition } from '../../../lib/handlers/handler-registry.js';
import { TaskHandlerDefinitions } from '../../../lib/handlers/task-handler.definitions.js';
import { AttemptProviders } from '../../../lib/handlers/attempt-providers.js';
import { ProviderExplorer } from '../../../lib/handlers/provider-explorer.js';

@Injectable()
class Mailer {
  readonly sent: unknown[] = [];
}

@TaskHandler('send-email', { timeoutMs: 5 })
class SendEmail implements TaskHandler<{ to: string }, string> {
  constructor(readonly mailer: Mailer) {}
  async handle(input: { to: string }): Promise<string> {
    this.mailer.sent.push(input);
    return `sent to ${input.to}`;
  }
}

@TaskHandler('per-request')
@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  constructor(
    @Inject(REQUEST) readonly request: unknown,
    readonly mailer: Mailer,
  ) {}
  async handle(): Promise<unknown> {
    return this.request;
  }
}

const request = (): TaskAttempt => ({}) as TaskAttempt;

describe('TaskHandlerDefinitions', () => {
  let module: TestingModule | undefined;
  afterEach(async () => {
    await module?.close();
    jest.restoreAllMocks();
  });

  async function definitions(
    metadata: ModuleMetadata,
    change = (builder: TestingModuleBuilder): TestingModuleBuilder => builder,
  ): Promise<HandlerDefinition[]> {
    @Module({ ...metadata, providers: [Mailer, ...(metadata.providers ?? [])] })
    class AppModule {}
    const providers = [ProviderExplorer, AttemptProviders, TaskHandlerDefinitions];
    module = await change(Test.createTestingModule({ imports: [DiscoveryModule, AppModule], providers })).compile();
    return module.get(TaskHandlerDefinitions).all();
  }
  async function issuesOf(metadata: ModuleMetadata): Promise<string[]> {
    const error: unknown = await definitions(metadata).catch((reason: unknown) => reason);
    if (!ConfigValidationError.is(error)) throw new Error(`no ConfigValidationError: ${String(error)}`);
    return error.issues.map((issue) => `${issue.path}: ${issue.message}`);
  }

  it('finds a class without @Injectable, with its dependencies', async () => {
    const [definition] = await definitions({ providers: [SendEmail] });
    expect(definition).toMatchObject({ name: 'send-email', options: { timeoutMs: 5 }, handlerClass: SendEmail });
    const instance = await definition!.instance(request);
    await expect(instance.handle({ to: 'a' }, undefined as never)).resolves.toBe('sent to a');
    expect(module!.get(Mailer, { strict: false }).sent).toEqual([{ to: 'a' }]);
  });

  it.each([
    ['useClass', { provide: 'x', useClass: SendEmail }],
    ['useFactory', { provide: 'x', useFactory: async (mailer: Mailer) => new SendEmail(mailer), inject: [Mailer] }],
    ['useValue', { provide: 'x', useValue: new SendEmail(new Mailer()) }],
  ])('finds a provider by %s', async (_form, provider) => {
    const found = await definitions({ providers: [provider] });
    expect(found.map(({ name, handlerClass }) => [name, handlerClass])).toEqual([['send-email', SendEmail]]);
    expect(await found[0]!.instance(request)).toBe(module!.get('x', { strict: false }));
  });

  it('finds an alias once, where it points to', async () => {
    expect(await definitions({ providers: [SendEmail, { provide: 'x', useExisting: SendEmail }] })).toHaveLength(1);
  });

  it('lets a test double handle the tasks of the class that it stands for', async () => {
    const double = { handle: jest.fn() };
    const [definition] = await definitions({ providers: [SendEmail] }, (builder) => builder.overrideProvider(SendEmail).useValue(double));
    expect(definition?.handlerClass).toBe(SendEmail);
    expect(await definition!.instance(request)).toBe(double);
  });

  it('makes a request-scoped handler anew for each attempt, and injects the request', async () => {
    const [definition] = await definitions({ providers: [PerRequest] });
    const [first, second] = [
      await definition!.instance(() => ({ task: 1 }) as never),
      await definition!.instance(() => ({ task: 2 }) as never),
    ] as unknown as PerRequest[];
    expect([first!.request, second!.request]).toEqual([{ task: 1 }, { task: 2 }]);
    expect(first!.mailer).toBe(second!.mailer);
    expect(first!.mailer).toBeInstanceOf(Mailer);
  });

  it('makes a handler anew whose dependency is request-scoped, or which is transient', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Tenant {}
    @TaskHandler('dependent')
    class Dependent {
      constructor(readonly tenant: Tenant) {}
      async handle(): Promise<void> {}
    }
    @TaskHandler('transient')
    @Injectable({ scope: Scope.TRANSIENT })
    class Transient {
      readonly made = true;
      async handle(): Promise<void> {}
    }
    const found = await definitions({ providers: [Tenant, Dependent, Transient] });
    const [dependent, transient] = found as [HandlerDefinition, HandlerDefinition];
    const made = (await dependent.instance(request)) as unknown as Dependent;
    expect(made.tenant).toBeInstanceOf(Tenant);
    expect(await dependent.instance(request)).not.toBe(made);
    expect(await transient.instance(request)).toMatchObject({ made: true });
    expect(await transient.instance(request)).not.toBe(await transient.instance(request));
  });

  it('finds handlers of every module, one class once, and says which of two modules runs it', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    @Module({ providers: [Mailer, SendEmail] })
    class EmailModule {}
    @TaskHandler('other')
    class Other {
      async handle(): Promise<void> {}
    }
    const found = await definitions({ imports: [EmailModule], providers: [SendEmail, Other] });
    expect(found.map(({ name }) => name).sort()).toEqual(['other', 'send-email']);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]![0]).toMatch(/SendEmail is a provider of (AppModule and EmailModule|EmailModule and AppModule)/);
  });

  it('does not let an undecorated subclass answer for its parent’s task', async () => {
    class Child extends SendEmail {}
    expect(await definitions({ providers: [Child] })).toEqual([]);
  });

  it('takes a class for every name it is decorated with', async () => {
    @TaskHandler('one')
    @TaskHandler('two', { timeoutMs: 2 })
    class Both {
      async handle(): Promise<void> {}
    }
    const found = await definitions({ providers: [Both] });
    expect(found.map(({ name, options }) => [name, options.timeoutMs])).toEqual([['one', undefined], ['two', 2]]); // prettier-ignore
  });

  it('refuses to start on a name that two classes share, and names both with their modules', async () => {
    @TaskHandler('send-email')
    class SendMail {
      async handle(): Promise<void> {}
    }
    expect(await issuesOf({ providers: [SendEmail, SendMail] })).toEqual([
      'AppModule.SendMail: task "send-email" is also handled by AppModule.SendEmail: rename one',
    ]);
  });

  it('names every fault of every handler, with class and module, in one error', async () => {
    @TaskHandler('', { timeoutMs: -1 })
    class Nameless {
      recover = 5;
    }
    @TaskHandler('both', { input: Mailer, schema: { '~standard': { version: 1, vendor: 'x', validate: () => ({ value: 1 }) } } })
    @Injectable({ scope: Scope.REQUEST })
    class Both {}
    expect((await issuesOf({ providers: [Nameless, Both] })).map((issue) => issue.slice(0, issue.indexOf(':')))).toEqual([
      'AppModule.Nameless.name',
      'AppModule.Nameless.timeoutMs',
      'AppModule.Nameless.handle',
      'AppModule.Nameless.recover',
      'AppModule.Both.schema',
      'AppModule.Both.handle',
    ]);
  });
});
