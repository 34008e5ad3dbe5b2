import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import ts from 'typescript';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (file: string): string => readFileSync(root + file, 'utf8');

it('docs/streams.md shows code that compiles, browsers included', () => {
  const blocks = [...read('docs/streams.md').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);
  expect(blocks).toHaveLength(3);
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, (path) => readFileSync(path, 'utf8')) as {
    config: { compilerOptions: object };
  };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const files = new Map(blocks.map((code, at) => [`${root}test/streams-page-${at}.ts`, code]));
  const host = ts.createCompilerHost({ ...options, noEmit: true });
  const [readFile, fileExists, getSourceFile] = [host.readFile, host.fileExists, host.getSourceFile].map((method) => method.bind(host)) as [
    typeof host.readFile,
    typeof host.fileExists,
    typeof host.getSourceFile,
  ];
  host.readFile = (path) => files.get(path) ?? readFile(path);
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.getSourceFile = (path, version, ...more) => {
    const code = files.get(path);
    return code === undefined ? getSourceFile(path, version, ...more) : ts.createSourceFile(path, code, version, true);
  };
  const program = ts.createProgram([...files.keys()], { ...options, types: ['node'], noEmit: true }, host);
  const said = [...files.keys()].flatMap((file) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(file))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
  );
  expect(said).toEqual([]);
});
