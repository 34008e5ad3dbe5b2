/**
 * What a terminal would obey instead of showing: control characters of both sets, the separators that end a line for some readers, and
 * marks that turn the direction of text. Names of files, entries of a damaged log and answers of other processes may hold any of them.
 */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** One line. In JSON text the escapes are those of JSON, so that a program reads the same value. */
export const printable = (line: string): string => line.replace(UNPRINTABLE, escaped);

/** Several lines. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n');
