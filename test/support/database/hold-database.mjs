// A process that takes a SQLite database for itself, until its stdin closes. Says `held` once it has it.
// argv: file, 'everything' (nobody reads either; only before others have connected) or 'writes'.
import sqlite3 from 'sqlite3';

const [file, what] = process.argv.slice(2);
const database = new sqlite3.Database(file);
const run = (sql) => new Promise((resolve, reject) => database.all(sql, (error) => (error ? reject(error) : resolve())));
process.stdin.resume().on('end', () => process.exit(0));
await run('PRAGMA busy_timeout = 20000');
if (what === 'everything') await run('PRAGMA locking_mode = EXCLUSIVE');
await run('BEGIN EXCLUSIVE');
process.stdout.write('held\n');
