// emails.spec.ts
import { Test, type TestingModule } from '@nestjs/testing';
import { RepositoryError, TaskSystem } from 'nestjs-taskflow';
import { collect, taskContext, TaskflowTesting, TaskflowTestingModule } from 'nestjs-taskflow/testing';
import { EmailsModule, Mailer, SendEmail } from './emails.js';

describe('SendEmail', () => {
  let app: TestingModule;
  let tasks: TaskSystem;
  let testing: TaskflowTesting;
  let sent: string[];
  let failures: number;
  const mailer: Mailer = {
    async send(to) {
      if (failures-- > 0) throw new Error('no connection');
      sent.push(to);
    },
  };

  beforeEach(async () => {
    sent = [];
    failures = 0;
    app = await Test.createTestingModule({ imports: [TaskflowTestingModule.forTest(), EmailsModule] })
      .overrideProvider(Mailer)
      .useValue(mailer)
      .compile();
    await app.init();
    tasks = app.get(TaskSystem);
    testing = app.get(TaskflowTesting);
  });
  afterEach(() => app.close());

  it('is submitted, and runs when the test says so', async () => {
    const task = await tasks.submit(SendEmail, { input: { to: 'a@b.example' } });
    testing.expectSubmitted(SendEmail, { to: expect.stringContaining('@b.example') });
    expect(sent).toEqual([]);
    await testing.drain();
    expect(await tasks.getStatus(task)).toMatchObject({ status: 'completed', result: { sent: 'a@b.example' } });
  });

  it('is retried after a second', async () => {
    failures = 1;
    await tasks.submit(SendEmail, { input: { to: 'a@b.example' } });
    expect(await testing.runNext()).toMatchObject({ status: 'created', attempt: 2, error: { message: 'no connection' } });
    expect(await testing.runNext()).toBeNull();
    await testing.clock.advance(1_000);
    expect(sent).toEqual(['a@b.example']);
  });

  it('shows its progress to subscribers', async () => {
    const task = await tasks.submit(SendEmail, { input: { to: 'a@b.example' } });
    const events = await collect(tasks.subscribe(task));
    expect(events.map(({ type }) => type)).toEqual(['created', 'start', 'progress', 'complete']);
  });

  it('survives a crash, and is accepted while the database is away', async () => {
    testing.fail('database-away');
    const task = await tasks.submit(SendEmail, { input: { to: 'a@b.example' } });
    await expect(tasks.list()).rejects.toThrow(RepositoryError);
    testing.fail(null);
    await testing.crash();
    await testing.drain();
    expect(await tasks.getStatus(task)).toMatchObject({ status: 'completed' });
  });

  it('tells of its progress', async () => {
    const ctx = taskContext();
    expect(await new SendEmail(mailer).handle({ to: 'a@b.example' }, ctx)).toEqual({ sent: 'a@b.example' });
    expect(ctx.emitted).toEqual([{ type: 'progress', payload: { sending: 'a@b.example' } }]);
  });
});
