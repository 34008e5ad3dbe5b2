#!/usr/bin/env node
/**
 * Fails when a declaration file that users can reach from an entry of package.json's `exports` imports a package that they may not have:
 * every type we publish must compile with the required peers alone. Optional peers never appear.
 */
import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** Required peers of every Nest application, and nothing else. */
const ALLOWED = new Set(['@nestjs/common', '@nestjs/core', 'rxjs']);
const packageOf = (name) => name.split('/', name.startsWith('@') ? 2 : 1).join('/');
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const { exports } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'));
const published = Object.values(exports).flatMap(({ types }) => (types === undefined ? [] : [resolve(root, types)]));
const entries = process.argv[2] === undefined ? published : [resolve(process.argv[2])];

const reached = new Set();
const faults = [];
const waiting = [...entries];
while (waiting.length > 0) {
  const file = waiting.pop();
  if (reached.has(file)) continue;
  reached.add(file);
  const info = ts.preProcessFile(readFileSync(file, 'utf8'), true, true);
  for (const { fileName: name } of [...info.importedFiles, ...info.typeReferenceDirectives]) {
    if (name.startsWith('.')) waiting.push(resolve(dirname(file), name.replace(/\.js$/, '.d.ts')));
    else if (!ALLOWED.has(packageOf(name))) faults.push(`${relative(root, file)} imports ${name}`);
  }
}

if (reached.size <= entries.length) faults.push('The entries reach no other file: nothing was checked');
for (const fault of faults) console.error(fault);
console.log(`public types: ${reached.size} declaration files, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
