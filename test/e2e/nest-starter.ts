import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = dirname(createRequire(import.meta.url).resolve('nestjs-taskflow/package.json'));
const SQLITE = 'node_modules/sqlite3/build/Release/node_sqlite3.node';
const NPM = { env: { ...process.env, NODE_OPTIONS: '' }, maxBuffer: 64 * 1024 * 1024 };
const QUIETLY = ['--no-audit', '--no-fund', '--fetch-retries=0', '--prefer-offline'];

export const npm = async (folder: string, ...args: string[]): Promise<string> =>
  (await promisify(execFile)('npm', args, { ...NPM, cwd: folder })).stdout;

/** Undefined: packages can be installed. Otherwise why not. */
export async function whyNoRegistry(): Promise<string | undefined> {
  const cache = await mkdtemp(join(tmpdir(), 'taskflow-npm-'));
  try {
    // An empty cache, so that nothing is answered from it; `npm run -s` would keep npm from saying what went wrong.
    await npm(ROOT, 'view', '@nestjs/core@11', 'version', '--fetch-retries=0', '--loglevel=error', '--cache', cache);
    return undefined;
  } catch (error) {
    return /npm error code (\S+)/.exec(String((error as { stderr?: string }).stderr))?.[1] ?? 'npm view failed';
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

/** What `nest new` makes with Nest 11: Jest with ts-jest, CommonJS. */
const PACKAGE = {
  name: 'starter',
  private: true,
  dependencies: {
    '@nestjs/common': '^11.2.0',
    '@nestjs/core': '^11.2.0',
    '@nestjs/platform-express': '^11.2.0',
    'reflect-metadata': '^0.2.2',
    rxjs: '^7.8.1',
  },
  devDependencies: {
    '@nestjs/testing': '^11.2.0',
    '@types/jest': '^30.0.0',
    '@types/node': '^22.10.7',
    jest: '^30.0.0',
    'ts-jest': '^29.2.5',
    typescript: '^5.7.3',
  },
  jest: {
    moduleFileExtensions: ['js', 'json', 'ts'],
    rootDir: 'src',
    testRegex: '.*\\.spec\\.ts$',
    transform: { '^.+\\.(t|j)s$': 'ts-jest' },
    testEnvironment: 'node',
  },
};
const COMPILER_OPTIONS = {
  declaration: true,
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  allowSyntheticDefaultImports: true,
  target: 'ES2023',
  sourceMap: true,
  outDir: './dist',
  skipLibCheck: true,
  strictNullChecks: true,
};
/** Of the starter as it is now, and as it was before TypeScript's `nodenext`. */
export const TSCONFIGS = {
  nodenext: { ...COMPILER_OPTIONS, module: 'nodenext', moduleResolution: 'nodenext', esModuleInterop: true, isolatedModules: true },
  commonjs: { ...COMPILER_OPTIONS, module: 'commonjs' },
};

/** An application in a folder of its own, with this package as it would be published. */
export class NestStarter {
  private constructor(private readonly folder: string) {}

  /** @param files below `src`. */
  static async build(folder: string, files: Readonly<Record<string, string>>): Promise<NestStarter> {
    await mkdir(join(folder, 'src'), { recursive: true });
    await writeFile(join(folder, 'package.json'), JSON.stringify(PACKAGE, null, 2));
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, 'src', name), text);
    const packed = (await npm(ROOT, 'pack', '--silent', '--pack-destination', folder)).trim();
    const { version } = JSON.parse(await readFile(join(ROOT, 'node_modules/sqlite3/package.json'), 'utf8')) as { version: string };
    const peers = ['typeorm@^0.3.31', `sqlite3@${version}`, 'class-validator', 'class-transformer'];
    // What is compiled is there already, and takes a minute.
    await npm(folder, 'install', '--ignore-scripts', ...QUIETLY, `./${packed}`, ...peers);
    await mkdir(dirname(join(folder, SQLITE)), { recursive: true });
    await copyFile(join(ROOT, SQLITE), join(folder, SQLITE));
    return new NestStarter(folder);
  }

  /** @returns what jest says, and how it ended. */
  async jest(compilerOptions: object, options: object): Promise<{ code: number; said: string }> {
    await writeFile(join(this.folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
    await writeFile(join(this.folder, 'jest.config.json'), JSON.stringify({ ...PACKAGE.jest, ...options }));
    const args = ['node_modules/jest/bin/jest.js', '--config', 'jest.config.json', '--rootDir', 'src'];
    return promisify(execFile)(process.execPath, args, { ...NPM, cwd: this.folder }).then(
      ({ stdout, stderr }) => ({ code: 0, said: stdout + stderr }),
      (error: { code?: number; stdout: string; stderr: string }) => ({ code: error.code ?? -1, said: error.stdout + error.stderr }),
    );
  }
}
