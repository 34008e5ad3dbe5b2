import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('../../faults/libuv/failing-disk.c', import.meta.url));

export interface DiskCall {
  readonly operation: string;
  readonly what: string;
  readonly fd: number;
  readonly asked: number;
  readonly result: number;
  readonly errno: number;
  readonly isFault: boolean;
}

/** Why calls cannot be made to fail here, or undefined. */
export function whyNoFailingDisk(): string | undefined {
  if (process.platform !== 'linux') return 'LD_PRELOAD is of Linux';
  return compiler() === undefined ? 'no C compiler (cc, gcc or clang)' : undefined;
}

const compiler = (): string | undefined => ['cc', 'gcc', 'clang'].find((name) => spawnSync(name, ['--version']).status === 0);

/** Compiles `failing-disk.c` into a folder. Returns the path of the library. */
export function buildFailingDisk(folder: string): string {
  const library = `${folder}/failing-disk.so`;
  const { status, stderr } = spawnSync(compiler()!, ['-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-ldl', '-lpthread'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return library;
}

/** The disk of one process: what it did to the folder of its log, and what is to go wrong there. */
export class FailingDisk {
  private orders = 0;

  constructor(
    private readonly library: string | undefined,
    private readonly logFolder: string,
    private readonly folder: string,
  ) {}

  /** What the process is started with. libuv must call libc: what goes through io_uring is not seen. */
  get env(): NodeJS.ProcessEnv {
    if (this.library === undefined) return {};
    return {
      LD_PRELOAD: this.library,
      UV_USE_IO_URING: '0',
      FAILING_DISK_LOG: this.logFolder,
      FAILING_DISK_CONTROL: `${this.folder}/control`,
      FAILING_DISK_TRACE: `${this.folder}/trace`,
    };
  }

  /** From here on calls fail as the rules say; without any, none does. */
  order(...rules: readonly string[]): void {
    writeFileSync(`${this.folder}/control`, [String(++this.orders), ...rules, ''].join('\n'));
  }

  get calls(): DiskCall[] {
    const path = `${this.folder}/trace`;
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => {
      const [operation, what, fd, asked, result, errno, isFault] = line.split(' ');
      return {
        operation: operation!,
        what: what!,
        fd: Number(fd),
        asked: Number(asked),
        result: Number(result),
        errno: Number(errno),
        isFault: isFault === '1',
      };
    });
  }
}
