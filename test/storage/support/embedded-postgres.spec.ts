import { chmod, cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EmbeddedPostgres } from '../../support/database/embedded-postgres.mjs';
import { offerPostgres } from '../../support/database/postgres-setup.mjs';
import { onServer } from '../../support/database/test-databases.js';

const isRoot = process.getuid?.() === 0;
const noServer = process.env['TASKFLOW_TEST_PG_SKIPPED'] ?? process.env['TASKFLOW_TEST_PG_OWN_SKIPPED'];
const where = noServer === undefined ? '' : ` (SKIPPED: ${noServer})`;

describe('The PostgreSQL of the tests', () => {
  let folder: string;
  let server: EmbeddedPostgres | undefined;
  const toClose: Server[] = [];
  const temporary = process.env['TMPDIR'];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'taskflow private '));
    await chmod(folder, 0o700);
  });
  afterEach(async () => {
    if (temporary === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = temporary;
    await server?.stop();
    server = undefined;
    for (const each of toClose.splice(0)) each.close();
    await rm(folder, { recursive: true, force: true });
  });

  const answers = async (): Promise<void> => onServer('SELECT 1', server!.url);
  const installed = async (): Promise<string> => {
    const { postgres } = (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as { postgres: string };
    return dirname(dirname(postgres));
  };
  /** Binaries that do what the scripts say. */
  const fake = async (scripts: Record<string, string>): Promise<string> => {
    const native = join(folder, 'native');
    await mkdir(join(native, 'bin'), { recursive: true });
    for (const [name, script] of Object.entries(scripts))
      await writeFile(join(native, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return native;
  };
  const VERSION = 'if [ "$1" = --version ]; then exit 0; fi';

  describe(`that can be started${where}`, () => {
    const test = noServer === undefined ? it : it.skip;

    (isRoot ? test : it.skip)('runs for root below a folder that other users may not enter, whose name has spaces', async () => {
      const native = join(folder, 'native');
      await cp(await installed(), native, { recursive: true, verbatimSymlinks: true });
      server = await EmbeddedPostgres.start({ native });
      await answers();
    });

    (isRoot ? test : it.skip)('runs for root when the temporary folder is one that other users may not enter', async () => {
      process.env['TMPDIR'] = folder;
      server = await EmbeddedPostgres.start();
      await answers();
    });

    test('runs when another process takes the port that was free a moment before', async () => {
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      toClose.push(taken);
      const ports = [(taken.address() as AddressInfo).port];
      server = await EmbeddedPostgres.start({ findPort: async () => ports.pop() ?? (await anotherPort()) });
      expect(ports).toEqual([]);
      await answers();
    });

    test('comes back with its data after a crash', async () => {
      server = await EmbeddedPostgres.start();
      await onServer('CREATE TABLE kept AS SELECT 7 AS number', server.url);
      await onServer('CHECKPOINT', server.url);
      await server.crash();
      await expect(answers()).rejects.toThrow('ECONNREFUSED');
      await server.startAgain();
      await onServer('SELECT number FROM kept', server.url);
    });
  });

  it.each([
    ['its binaries are missing', {}, 'ENOENT'],
    ['a binary is no program', { initdb: VERSION, postgres: 'exec /nowhere' }, 'postgres --version ended with 127'],
    [
      'a library is missing',
      { initdb: 'echo error while loading shared libraries: libssl.so >&2; exit 127', postgres: VERSION },
      'error while loading shared libraries',
    ],
    ['initdb fails', { initdb: `${VERSION}; echo no room >&2; exit 3`, postgres: VERSION }, 'initdb ended with 3: no room'],
    [
      'the server ends at once',
      { initdb: VERSION, postgres: `${VERSION}; echo FATAL: no shared memory >&2; exit 1` },
      'postgres ended with 1: FATAL: no shared memory',
    ],
    ['the server is killed', { initdb: VERSION, postgres: `${VERSION}; kill -9 $$` }, 'postgres ended with SIGKILL'],
    [
      'every port is taken',
      { initdb: VERSION, postgres: `${VERSION}; echo could not bind: Address already in use >&2; exit 1` },
      'Address already in use',
    ],
  ])('that cannot be started is a skip that says why, and leaves nothing behind: %s', async (_what, scripts, why) => {
    const { TASKFLOW_TEST_PG_URL, TASKFLOW_TEST_PG_SKIPPED } = process.env;
    const native = await fake(scripts);
    // A temporary folder of its own: other tests have servers too.
    const temporaryFolder = join(folder, 'tmp');
    await mkdir(temporaryFolder);
    process.env['TMPDIR'] = temporaryFolder;
    await chmod(folder, 0o755);
    try {
      delete process.env['TASKFLOW_TEST_PG_URL'];
      delete process.env['TASKFLOW_TEST_PG_SKIPPED'];
      expect(await offerPostgres(() => EmbeddedPostgres.start({ native }))).toContain(why);
      expect(process.env['TASKFLOW_TEST_PG_SKIPPED']).toContain(why);
      expect(process.env['TASKFLOW_TEST_PG_URL']).toBeUndefined();
    } finally {
      delete process.env['TASKFLOW_TEST_PG_SKIPPED'];
      Object.assign(process.env, JSON.parse(JSON.stringify({ TASKFLOW_TEST_PG_URL, TASKFLOW_TEST_PG_SKIPPED })));
    }
    expect(await readdir(temporaryFolder)).toEqual([]);
  });
});

async function anotherPort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
