// app.spec.ts
import { Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { TaskflowModule, TaskSystem } from 'nestjs-taskflow';
import { TaskflowTesting, TaskflowTestingModule } from 'nestjs-taskflow/testing';
import { EmailsModule, SendEmail } from './emails.js';

/** A constant, so that a test can name it. */
export const Taskflow = TaskflowModule.forRoot({ repository: { type: 'sqlite', database: './.taskflow/tasks.db' } });

@Module({ imports: [Taskflow, EmailsModule] })
export class AppModule {}

describe('The application', () => {
  it('sends what it was told to', async () => {
    const app = await Test.createTestingModule({ imports: [AppModule] })
      .overrideModule(Taskflow)
      .useModule(TaskflowTestingModule.forTest())
      .compile();
    await app.init();
    const spy = app.get(TaskflowTesting).spyOn(SendEmail);
    spy.answer(async ({ to }) => ({ sent: `not really, ${to}` }));
    const task = await app.get(TaskSystem).submit(SendEmail, { input: { to: 'a@b.example' } });
    expect(await app.get(TaskSystem).result(task)).toEqual({ sent: 'not really, a@b.example' });
    expect(spy.calls).toHaveLength(1);
    await app.close();
  });
});
