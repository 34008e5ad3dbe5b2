// Writes tables of the docs (options, errors, statistics, reasons for `degraded`) from the sources themselves, so that they cannot drift.
// `node scripts/readme-tables.mjs` rewrites them; with `--check` it fails when they differ.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));

const sourceOf = (file) => ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.ES2023, true);

/** Classes of all files of a folder whose name ends so. */
function classesOf(folder, ending) {
  const classes = new Map();
  for (const name of readdirSync(join(root, folder))) {
    if (!name.endsWith(ending)) continue;
    sourceOf(join(folder, name)).forEachChild((node) => {
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

/** Members of an interface, those of members that are object types by their path. */
function memberRows(members, path) {
  return members.filter(ts.isPropertySignature).flatMap((member) => {
    const name = `${path}${member.name.getText()}`;
    if (ts.isTypeLiteralNode(member.type)) return memberRows(member.type.members, `${name}.`);
    return [`| \`${name}\` | ${cell(docOf(member))} |`];
  });
}

/** The reasons for `degraded`: `name: degradation('name', { message, remedy, … })`. */
function degradationRows(file) {
  const rows = [];
  const visit = (node) => {
    if (ts.isCallExpression(node) && node.expression.getText() === 'degradation') {
      const [name, parts] = node.arguments;
      const of = (key) => parts.properties.find((property) => property.name.getText() === key)?.initializer;
      const yes = (key) => (of(key)?.getText() === 'true' ? 'yes' : '');
      rows.push(
        `| \`${name.text}\` | ${cell(of('message').text)} | ${cell(of('remedy').text)} | ${yes('refusesTasks')} | ${yes('needsRestart')} |`,
      );
    }
    node.forEachChild(visit);
  };
  visit(sourceOf(file));
  return rows;
}

/** What `index.ts` exports by name, with the declarations that the names stand for. */
function exportsOf(file) {
  const found = [];
  for (const node of sourceOf(file).statements) {
    if (!ts.isExportDeclaration(node) || node.moduleSpecifier === undefined || node.exportClause === undefined) continue;
    const source = sourceOf(join(file, '..', node.moduleSpecifier.text.replace(/\.js$/, '.ts')));
    for (const { name, isTypeOnly } of node.exportClause.elements) {
      const declarations = source.statements.filter((one) => declaredNames(one).includes(name.text));
      found.push({ name: name.text, isType: isTypeOnly || node.isTypeOnly, declarations });
    }
  }
  return found;
}

const declaredNames = (node) =>
  ts.isVariableStatement(node)
    ? node.declarationList.declarations.map((one) => one.name.getText())
    : node.name
      ? [node.name.getText()]
      : [];

const isPublic = (member) =>
  (ts.isMethodDeclaration(member) || ts.isGetAccessor(member)) &&
  !(ts.getCombinedModifierFlags(member) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected));

const tagsOf = (node) =>
  (node.jsDoc ?? [])
    .flatMap((doc) => doc.tags ?? [])
    .map((tag) => {
      const text = (typeof tag.comment === 'string' ? tag.comment : (ts.getTextOfJSDocComment(tag.comment) ?? ''))
        .replace(/\s+/g, ' ')
        .trim();
      return `*${tag.tagName.text}* ${tag.name ? `\`${tag.name.getText()}\` ` : ''}${text}`;
    });

const explained = (nodes) =>
  nodes
    .flatMap((node) => [docOf(node), ...tagsOf(node)])
    .filter((text) => text !== '')
    .join(' ');
const parametersOf = (node) =>
  node.parameters
    .map((one) => `${one.dotDotDotToken ? '…' : ''}${one.name.getText()}${one.questionToken || one.initializer ? '?' : ''}`)
    .join(', ');

/** Services that are injectable, and whose methods the parts of the engine call. */
const INNER = new Set(['StreamService', 'ExecutorService']);
/** Called by Nest, or by the package itself. */
const NOT_FOR_USERS = new Set(['onApplicationBootstrap', 'visible']);
const isForUsers = (name, member) =>
  !NOT_FOR_USERS.has(member.name.getText()) && (!INNER.has(name) || (name === 'ExecutorService' && member.name.getText() === 'start'));

function apiRows(file) {
  return exportsOf(file)
    .filter(({ isType, name }) => !isType && !name.endsWith('Error'))
    .flatMap(({ name, declarations }) => {
      const called = declarations.find((one) => ts.isFunctionDeclaration(one));
      const row = `| \`${name}${called ? `(${parametersOf(called)})` : ''}\` | ${cell(explained(declarations))} |`;
      const members = declarations
        .filter(ts.isClassDeclaration)
        .flatMap((one) => one.members.filter((member) => isPublic(member) && isForUsers(name, member)));
      // Of overloads the first one with a text speaks for all.
      const byName = new Map();
      for (const member of members) byName.set(member.name.getText(), [...(byName.get(member.name.getText()) ?? []), member]);
      const rows = [...byName]
        .filter(([, all]) => explained(all) !== '')
        .map(([member, all]) => {
          const [first] = all;
          const call = ts.isMethodDeclaration(first) ? `(${parametersOf(first)})` : '';
          return `| \`${name}.${member}${call}\` | ${cell(explained(all))} |`;
        });
      return explained(declarations) === '' ? rows : [row, ...rows];
    });
}

const statsOf = sourceOf('lib/contracts/task-system.interface.ts').statements.find((node) => node.name?.text === 'TaskSystemStats');

const tables = {
  options: [
    '| option | default | what it does |',
    '|---|---|---|',
    ...optionRows(classesOf('lib/config', '.options.ts'), 'TaskflowOptions', ''),
  ],
  errors: ['| HTTP | error | when |', '|---|---|---|', ...errorRows(classesOf('lib/errors', '.ts'))],
  api: ['| name | what it is for |', '|---|---|', ...apiRows('lib/index.ts')],
  health: ['| name | what it is for |', '|---|---|', ...apiRows('lib/health/index.ts')],
  swagger: ['| name | what it is for |', '|---|---|', ...apiRows('lib/swagger/index.ts')],
  client: ['| name | what it is for |', '|---|---|', ...apiRows('lib/client/index.ts')],
  testing: ['| name | what it is for |', '|---|---|', ...apiRows('lib/testing/index.ts')],
  stats: ['| member | what it says |', '|---|---|', ...memberRows(statsOf.members, '')],
  degradations: [
    '| name | what is wrong | what to do | refuses tasks | needs a restart |',
    '|---|---|---|---|---|',
    ...degradationRows('lib/lifecycle/degradations.ts'),
  ],
};

/** Each table stands on one page, between its marks. */
const pages = new Map(
  ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]
    .filter((file) => file.endsWith('.md'))
    .map((file) => [file, readFileSync(join(root, file), 'utf8')]),
);
const stale = [];
for (const [name, rows] of Object.entries(tables)) {
  if (rows.length < 4) throw new Error(`The table "${name}" has ${rows.length} rows: its source was not understood.`);
  const block = new RegExp(`(<!-- ${name}:begin -->)[\\s\\S]*?(<!-- ${name}:end -->)`);
  const places = [...pages].filter(([, text]) => block.test(text));
  if (places.length !== 1) throw new Error(`The table "${name}" has ${places.length} places: it needs one.`);
  const [[file, before]] = places;
  const after = before.replace(block, (_, begin, end) => `${begin}\n\n${rows.join('\n')}\n\n${end}`);
  if (after !== before) stale.push(file);
  pages.set(file, after);
}
if (process.argv.includes('--check')) {
  if (stale.length > 0) {
    console.error(`${stale.join(', ')}: the generated tables are out of date. Run: npm run docs`);
    process.exit(1);
  }
  console.log(`The tables of ${Object.keys(tables).join(', ')} agree with their sources.`);
} else {
  for (const file of stale) writeFileSync(join(root, file), pages.get(file));
}
