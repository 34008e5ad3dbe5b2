import { basename } from 'node:path';

/** How a process reaches a database (names, addresses, TLS, certificates), finds its files, and how large it may grow. */
const KEPT = new RegExp(
  `^--(${[
    'dns-result-order',
    '(no-)?network-family-autoselection(-attempt-timeout)?',
    'tls-.*',
    'openssl-.*',
    'use-(openssl|bundled|system)-ca',
    '(enable|force)-fips',
    'use-env-proxy',
    'preserve-symlinks(-main)?',
    'icu-data-dir',
    'max-(old|semi)-space-size',
  ].join('|')})$`,
);
const LOADS_CODE = /^(-r|--require|--import|--loader|--experimental-loader)$/;
/** Without these no package is found in an application of Yarn Plug'n'Play. */
const PLUG_AND_PLAY = /^\.pnp\.(cjs|js|loader\.mjs)$/;

interface Flag {
  readonly name: string;
  readonly value: string | undefined;
}

/**
 * Flags that the flush worker gets of its parent's. All others are the application's own: what is loaded first there would be loaded a
 * second time here, where a metrics port or a debugger's is taken, so that the worker would die of it again and again.
 */
export function workerFlags(nodeOptions: string | undefined, execArgv: readonly string[]): string[] {
  const kept = [...flagsOf(wordsOf(nodeOptions ?? '')), ...flagsOf(execArgv)].filter(isKept);
  return kept.flatMap(({ name, value }) => (value === undefined ? [name] : name === '-r' ? [name, value] : [`${name}=${value}`]));
}

function isKept({ name, value }: Flag): boolean {
  if (LOADS_CODE.test(name)) return value !== undefined && PLUG_AND_PLAY.test(basename(value));
  return KEPT.test(name.replaceAll('_', '-'));
}

function flagsOf(words: readonly string[]): Flag[] {
  const flags: { name: string; value: string | undefined }[] = [];
  for (const word of words) {
    const last = flags.at(-1);
    if (word.startsWith('-')) {
      const at = word.indexOf('=');
      flags.push(at < 0 ? { name: word, value: undefined } : { name: word.slice(0, at), value: word.slice(at + 1) });
    } else if (last !== undefined && last.value === undefined) last.value = word;
  }
  return flags;
}

/** As Node reads NODE_OPTIONS: spaces part words, but not between double quotes, where a backslash takes the next character as it is. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  let [word, isQuoted, isOpen] = ['', false, false];
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === ' ' && !isQuoted) {
      if (isOpen) words.push(word);
      [word, isOpen] = ['', false];
      continue;
    }
    isOpen = true;
    if (char === '"') isQuoted = !isQuoted;
    else if (char === '\\' && isQuoted && at + 1 < text.length) word += text[++at]!;
    else word += char;
  }
  if (isOpen) words.push(word);
  return words;
}
