import { describe, expect, it } from '@jest/globals';
import { workerFlags } from '../../../lib/engines/local/projection/worker/worker-flags.js';

describe('The flags of the flush worker', () => {
  it.each([
    ['a preloaded exporter', '--require ./metrics.cjs', []],
    ['one with a blank in its path', '--require "./my metrics.cjs" --use-openssl-ca', ['--use-openssl-ca']],
    ['one in its short form', '-r ./metrics.cjs', []],
    ['an imported one', '--import=file:///app/otel.mjs', []],
    ['a loader', '--experimental-loader ts-node/esm', []],
    ['a debugger with a fixed port', '--inspect=127.0.0.1:9229 --inspect-brk', []],
    ['a profiler', '--cpu-prof --heap-prof --prof', []],
    [
      'names and addresses',
      '--dns-result-order=ipv4first --no-network-family-autoselection',
      ['--dns-result-order=ipv4first', '--no-network-family-autoselection'],
    ],
    [
      'certificates and TLS',
      '--use-system-ca --tls-min-v1.2 --openssl-legacy-provider',
      ['--use-system-ca', '--tls-min-v1.2', '--openssl-legacy-provider'],
    ],
    ['a bound of the heap', '--max-old-space-size=96 --max_semi_space_size=16', ['--max-old-space-size=96', '--max_semi_space_size=16']],
    [
      "Yarn Plug'n'Play, in whose zip files the packages are",
      '--require /app/.pnp.cjs --experimental-loader file:///app/.pnp.loader.mjs',
      ['--require=/app/.pnp.cjs', '--experimental-loader=file:///app/.pnp.loader.mjs'],
    ],
    ['the same with a quoted path', '-r "/my app/.pnp.cjs"', ['-r', '/my app/.pnp.cjs']],
    ['nothing', undefined, []],
  ])('of NODE_OPTIONS: %s', (_what, options, flags) => {
    expect(workerFlags(options, [])).toEqual(flags);
  });

  it('of the command line: by the same rule, without the program that it names', () => {
    const execArgv = ['-e', 'startServer()', '--import', 'tsx', '--use-bundled-ca', '--test', '--watch-path', './src', '--tls-max-v1.2'];
    expect(workerFlags('--dns-result-order verbatim', execArgv)).toEqual([
      '--dns-result-order=verbatim',
      '--use-bundled-ca',
      '--tls-max-v1.2',
    ]);
  });
});
