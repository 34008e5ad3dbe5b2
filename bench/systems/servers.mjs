import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { until } from '../core/load.mjs';
import { newFolder, removeFolder } from '../core/settings.mjs';

const POSTGRES = process.env.BENCH_POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres';

/**
 * What the peers need: two Redis servers of our own, and a database of our own on a Postgres that is there.
 * @returns by need: the environment of a peer, or `{ reason }` why it is skipped; versions; and `stop`.
 */
export async function startServers(needs) {
  const servers = {};
  const stops = [];
  const versions = {};
  const start = async (need, begin) => {
    if (!needs.has(need)) return;
    try {
      const { env, version, stop } = await begin();
      servers[need] = { env };
      stops.push(stop);
      Object.assign(versions, version);
    } catch (error) {
      servers[need] = { reason: error.message };
    }
  };
  await start('redis', () => startRedis(['--appendonly', 'no']));
  await start('redis-aof', () => startRedis(['--appendonly', 'yes', '--appendfsync', 'always']));
  await start('postgres', startDatabase);
  return { servers, versions, stop: async () => void (await Promise.allSettled(stops.map((stop) => stop()))) };
}

async function startRedis(settings) {
  const version = { redis: /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] };
  const port = await freePort();
  const folder = await newFolder();
  const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...settings], {
    stdio: 'ignore',
  });
  const ended = once(redis, 'exit');
  const stop = async () => {
    redis.kill('SIGKILL');
    await ended;
    await removeFolder(folder);
  };
  try {
    await until(() => accepts(port), `redis-server on port ${port}`, 10_000);
  } catch (error) {
    await stop();
    throw error;
  }
  return { env: { BENCH_REDIS_PORT: String(port) }, version, stop };
}

async function startDatabase() {
  const { default: pg } = await import('pg');
  const name = `taskflow_bench_${process.pid}`;
  const inServer = async (work) => {
    const client = new pg.Client({ connectionString: POSTGRES, connectionTimeoutMillis: 5_000 });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  };
  const setting = async (client, which) => Object.values((await client.query(`SHOW ${which}`)).rows[0])[0];
  const version = await inServer(async (client) => {
    await client.query(`CREATE DATABASE ${name}`);
    return {
      postgres: `${await setting(client, 'server_version')}, fsync ${await setting(client, 'fsync')}, synchronous_commit ${await setting(client, 'synchronous_commit')}`,
    };
  });
  const url = new URL(POSTGRES);
  url.pathname = `/${name}`;
  const stop = () => inServer((client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  return { env: { BENCH_DATABASE_URL: url.href }, version, stop };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const settle = (isOpen) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
