// Writes the tables of options and errors in README.md from the classes themselves, so that they cannot drift.
// `node scripts/readme-tables.mjs` rewrites them; with `--check` it fails when they differ.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const README = join(root, 'README.md');

/** Classes of all files of a folder whose name ends so. */
function classesOf(folder, ending) {
  const classes = new Map();
  for (const name of readdirSync(join(root, folder))) {
    if (!name.endsWith(ending)) continue;
    const source = ts.createSourceFile(name, readFileSync(join(root, folder, name), 'utf8'), ts.ScriptTarget.ES2023, true);
    source.forEachChild((node) => {
      if (ts.isClassDeclaration(node) && node.name) classes.set(node.name.text, node);
    });
  }
  return classes;
}

const docOf = (node) =>
  (node.jsDoc ?? [])
    .map((doc) => (typeof doc.comment === 'string' ? doc.comment : (ts.getTextOfJSDocComment(doc.comment) ?? '')))
    .join(' ')
    .replace(/\s+/g, ' ')
    .trim();

const cell = (text) => text.replaceAll('|', '\\|');

function optionRows(classes, className, path) {
  const rows = [];
  for (const member of classes.get(className)?.members ?? []) {
    if (!ts.isPropertyDeclaration(member) || !ts.isIdentifier(member.name)) continue;
    const name = path === '' ? member.name.text : `${path}.${member.name.text}`;
    const { initializer } = member;
    if (initializer && ts.isNewExpression(initializer)) rows.push(...optionRows(classes, initializer.expression.getText(), name));
    else rows.push(`| \`${name}\` | ${initializer === undefined ? '' : `\`${cell(initializer.getText())}\``} | ${cell(docOf(member))} |`);
  }
  return rows;
}

/** The status of an error class: the number handed to the root's constructor, or its parent's. */
function statusOf(classes, node) {
  const call = /super\(\s*'[A-Z_]+',\s*(\d{3})|super\(\s*(?:code|options\?\.code[^,]*),\s*(\d{3})/.exec(node.getText());
  if (call) return Number(call[1] ?? call[2]);
  const parent = node.heritageClauses?.[0]?.types[0]?.expression.getText();
  return parent && classes.has(parent) ? statusOf(classes, classes.get(parent)) : undefined;
}

function errorRows(classes) {
  return [...classes.values()]
    .map((node) => ({ name: node.name.text, status: statusOf(classes, node), doc: docOf(node) }))
    .filter(({ name, status }) => status !== undefined && name !== 'TaskSystemError')
    .sort((a, b) => a.status - b.status || a.name.localeCompare(b.name))
    .map(({ name, status, doc }) => `| ${status} | \`${name}\` | ${cell(doc.replace(/^\d{3}[.,:]?\s*/, ''))} |`);
}

const tables = {
  options: [
    '| option | default | what it does |',
    '|---|---|---|',
    ...optionRows(classesOf('lib/config', '.options.ts'), 'TaskflowOptions', ''),
  ],
  errors: ['| HTTP | error | when |', '|---|---|---|', ...errorRows(classesOf('lib/errors', '.ts'))],
};

const before = readFileSync(README, 'utf8');
let after = before;
for (const [name, rows] of Object.entries(tables)) {
  if (rows.length < 10) throw new Error(`The table "${name}" has ${rows.length} rows: the classes were not understood.`);
  const block = new RegExp(`(<!-- ${name}:begin -->)[\\s\\S]*?(<!-- ${name}:end -->)`);
  if (!block.test(after)) throw new Error(`README.md has no place for the table "${name}".`);
  after = after.replace(block, (_, begin, end) => `${begin}\n\n${rows.join('\n')}\n\n${end}`);
}
if (process.argv.includes('--check')) {
  if (after !== before) {
    console.error('README.md: the generated tables are out of date. Run: npm run docs');
    process.exit(1);
  }
  console.log('README.md: tables of options and errors agree with the classes.');
} else {
  writeFileSync(README, after);
}
