import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from '@jest/globals';
import { NestStarter, npm, TSCONFIGS, whyNoRegistry } from './nest-starter.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const manifest = JSON.parse(read('package.json')) as Record<string, any>;

describe('The published package', () => {
  const packed = npm(root, 'pack', '--dry-run', '--json').then(
    (out) => new Set((JSON.parse(out) as [{ files: { path: string }[] }])[0].files.map(({ path }) => path)),
  );

  it('says where it comes from, and where its faults are told', () => {
    expect(manifest).toMatchObject({
      author: expect.stringContaining('contributors'),
      repository: { type: 'git', url: expect.stringMatching(/^git\+https:\/\/.+\.git$/) },
      homepage: expect.stringMatching(/^https:/),
      bugs: expect.stringMatching(/^https:/),
    });
  });

  it('holds every document that its documents lead to', async () => {
    const files = await packed;
    const documents = [...files].filter((file) => file.endsWith('.md'));
    expect(documents).toEqual(expect.arrayContaining(['README.md', 'CHANGELOG.md', 'docs/guarantees.md']));
    const dead = documents.flatMap((document) =>
      [...read(document).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)]
        .map((match) => match[1]!)
        .filter((link) => !link.startsWith('https:'))
        .map((link) => normalize(join(dirname(document), link)))
        .filter((link) => !files.has(link))
        .map((link) => `${document} -> ${link}`),
    );
    expect(dead).toEqual([]);
  });

  it('holds no map that leads to a file which is not in it', async () => {
    const files = await packed;
    const maps = [...files].filter((file) => file.endsWith('.map'));
    expect(maps.length).toBeGreaterThan(100);
    const astray = maps.filter((map) => {
      const { sources, sourcesContent } = JSON.parse(read(map)) as { sources: string[]; sourcesContent?: (string | null)[] };
      return sources.some((source, at) => typeof sourcesContent?.[at] !== 'string' && !files.has(normalize(join(dirname(map), source))));
    });
    expect(astray).toEqual([]);
    const scripts = [...files].filter((file) => /\.(c?js|d\.c?ts)$/.test(file));
    const named = scripts.flatMap((file) =>
      [...read(file).matchAll(/^\/\/# sourceMappingURL=(.+)$/gm)].map((match) => join(dirname(file), match[1]!)),
    );
    expect(named.filter((map) => !files.has(map))).toEqual([]);
  });

  it('has nothing that is a syntax error to what transforms it to CommonJS', async () => {
    const scripts = [...(await packed)].filter((file) => file.endsWith('.js') && file.startsWith('dist/'));
    expect(scripts.length).toBeGreaterThan(100);
    expect(scripts.filter((file) => /^[^*]*\bimport\.meta\b/m.test(read(file)))).toEqual([]);
    expect(scripts.filter((file) => /^(const .*= )?await /m.test(read(file)) && !file.startsWith('dist/cli/'))).toEqual([]);
  });

  it('goes with the reflect-metadata of any Nest that it goes with', () => {
    expect(manifest['peerDependencies']['reflect-metadata']).toBe('^0.1.13 || ^0.2.0');
  });
});

const FILES = {
  'emails.ts': `
    import { Injectable, Module } from '@nestjs/common';
    import { IsEmail } from 'class-validator';
    import { type TaskContext, TaskflowModule, TaskHandler } from 'nestjs-taskflow';

    export class SendEmailDto {
      @IsEmail() to!: string;
    }
    @Injectable()
    @TaskHandler('send-email', { input: SendEmailDto })
    export class SendEmail implements TaskHandler<SendEmailDto, { sent: string }> {
      async handle(input: SendEmailDto, ctx: TaskContext): Promise<{ sent: string }> {
        await ctx.progress({ status: 'sending' });
        return { sent: input.to };
      }
    }
    export const moduleIn = (folder: string, worker: 'process' | 'inline') => {
      @Module({
        imports: [
          TaskflowModule.forRoot({
            repository: { type: 'sqlite', database: folder + '/tasks.db' },
            eventLog: { eventLogPath: folder + '/events.log', minFreeBytes: 0 },
            flush: { worker, flushIntervalMs: 20 },
          }),
        ],
        providers: [SendEmail],
      })
      class AppModule {}
      return AppModule;
    };`,
  'emails.spec.ts': `
    import { mkdtempSync, rmSync } from 'node:fs';
    import { tmpdir } from 'node:os';
    import { join } from 'node:path';
    import { Test } from '@nestjs/testing';
    import { TaskSystem, ValidationError } from 'nestjs-taskflow';
    import { moduleIn, SendEmail } from './emails';

    jest.setTimeout(300_000);
    it.each(['process', 'inline'] as const)('runs a task, and its rows are written: %s', async (worker) => {
      const folder = mkdtempSync(join(tmpdir(), 'starter-'));
      const app = (await Test.createTestingModule({ imports: [moduleIn(folder, worker)] }).compile()).createNestApplication();
      await app.init();
      const tasks = app.get(TaskSystem);
      const task = await tasks.submit(SendEmail, { input: { to: 'a@b.example' } });
      expect(await tasks.result(task)).toEqual({ sent: 'a@b.example' });
      await expect(tasks.submit(SendEmail, { input: { to: 'nobody' } })).rejects.toThrow(ValidationError);
      expect(tasks.getStats().flush.workerPid === null).toBe(worker === 'inline');
      while (tasks.getStats().flush.appliedSeq < tasks.getStats().eventLog.durableSeq) await new Promise((resolve) => setTimeout(resolve, 10));
      await app.close();
      rmSync(folder, { recursive: true });
    });`,
};
const offline = await whyNoRegistry();

describe(`The Nest 11 starter with Jest as CommonJS${offline === undefined ? '' : ` (SKIPPED: no package registry, ${offline})`}`, () => {
  let folder: string | undefined;
  let starter: Promise<NestStarter> | undefined;
  const built = (): Promise<NestStarter> =>
    (starter ??= mkdtemp(join(tmpdir(), 'taskflow-starter-')).then((made) => NestStarter.build((folder = made), FILES)));
  afterAll(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });
  /** As the README says it. */
  const transformIgnorePatterns = [/transformIgnorePatterns: \['([^']+)'\]/.exec(read('README.md'))?.[1]];

  (offline === undefined ? it.each(Object.keys(TSCONFIGS) as (keyof typeof TSCONFIGS)[]) : it.skip.each(['any'] as never[]))(
    'transforms this package with the one option that the README names, and its tests run (%s)',
    async (name) => {
      const { code, said } = await (await built()).jest(TSCONFIGS[name], { transformIgnorePatterns });
      expect({ code, said }).toMatchObject({ code: 0, said: expect.stringContaining('2 passed') });
    },
  );
});
