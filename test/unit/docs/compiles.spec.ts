import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const root = fileURLToPath(new URL('../../..', import.meta.url));
/** Packages that recipes use and development does not: what is ours around them is checked. */
const FOREIGN = `
declare module '@nestjs/schedule';
declare module '@nestjs/typeorm';
declare module '@opentelemetry/exporter-prometheus';
declare module '@sentry/node';
declare module '@nestjs/config' {
  export const ConfigModule: import('@nestjs/common').DynamicModule;
  export class ConfigService { get<T>(name: string, otherwise: T): T; getOrThrow(name: string): any; }
}
declare module 'nestjs-cls' {
  export class ClsService { run<T>(work: () => T): T; set(key: string, value: unknown): void; }
}
declare module 'nestjs-pino' {
  export const LoggerModule: { forRoot(): import('@nestjs/common').DynamicModule };
  export class Logger { log(message: any): void; error(message: any): void; warn(message: any): void; }
}`;

/** Blocks that are whole files: they have imports. One that begins with `// name.ts` is found by the others of its page under that name. */
function filesOf(page: string): Map<string, string> {
  const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/^```ts\n(.*?)^```/gms)].map((match) => match[1]!);
  const folder = page.replaceAll(/\W/g, '-');
  return new Map(
    blocks
      .filter((block) => /^import /m.test(block))
      .map((block, at) => [
        join(root, 'test/.docs', folder, /^\/\/ (?:src\/)?([\w.-]+\.ts)/.exec(block)?.[1] ?? `${at}.ts`),
        block.replaceAll(/ from '(\.\/[\w.-]+?)(\.js)?'/g, " from '$1.js'"), // pages name files as applications do
      ]),
  );
}

const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((page) => page.endsWith('.md'));
const files = new Map(pages.flatMap((page) => [...filesOf(page)]));
files.set(join(root, 'test/.docs/foreign.d.ts'), FOREIGN);

function compile(): Map<string, string[]> {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: object };
  const { options } = ts.parseJsonConfigFileContent({ ...config, files: [], include: [] }, ts.sys, root);
  const host = ts.createCompilerHost({ ...options, noUnusedLocals: false });
  const { fileExists, readFile, getSourceFile, directoryExists } = host;
  host.fileExists = (file) => files.has(file) || fileExists(file);
  host.readFile = (file) => files.get(file) ?? readFile(file);
  host.directoryExists = (folder) => [...files.keys()].some((file) => file.startsWith(`${folder}/`)) || directoryExists!(folder);
  host.getSourceFile = (file, version, ...rest) =>
    files.has(file) ? ts.createSourceFile(file, files.get(file)!, version, true) : getSourceFile(file, version, ...rest);
  const program = ts.createProgram(
    [...files.keys()],
    { ...options, noUnusedLocals: false, noUnusedParameters: false, declaration: false },
    host,
  );
  const faults = new Map<string, string[]>();
  for (const file of files.keys()) {
    const source = program.getSourceFile(file)!;
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(({ start, messageText }) => {
      const line = source.getLineAndCharacterOfPosition(start ?? 0).line + 1;
      return `${file.slice(root.length)}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    });
    faults.set(file, found);
  }
  return faults;
}

describe('Code of the docs that has its imports', () => {
  const faults = compile();

  it.each(pages.filter((page) => filesOf(page).size > 0))('compiles as it is pasted: %s', (page) => {
    for (const file of filesOf(page).keys()) expect(faults.get(file)).toEqual([]);
  });
});
