/** What the beating thread tells its node without a message, as a loop that was blocked looks at its lease before it reads messages. */
export class BeatBoard {
  private readonly words: BigInt64Array;

  constructor(readonly memory: SharedArrayBuffer = new SharedArrayBuffer(PLACES * 8)) {
    this.words = new BigInt64Array(memory);
  }

  /** On the monotonic clock of the main thread. Unit: ms, kept in µs. */
  set sentAt(ms: number) {
    Atomics.store(this.words, SENT_AT, BigInt(Math.floor(ms * 1_000)));
  }

  /** When the last good beat was sent; undefined: none arrived. */
  get sentAt(): number | undefined {
    const at = Atomics.load(this.words, SENT_AT);
    return at === NONE ? undefined : Number(at) / 1_000;
  }

  set isReaped(reaped: boolean) {
    Atomics.store(this.words, REAPED, reaped ? 1n : 0n);
  }

  get isReaped(): boolean {
    return Atomics.load(this.words, REAPED) === 1n;
  }

  /** Another incarnation begins: what was told belongs to the one before. */
  set incarnation(number: number) {
    Atomics.store(this.words, SENT_AT, NONE);
    this.isReaped = false;
    Atomics.store(this.words, INCARNATION, BigInt(number));
  }

  get incarnation(): number {
    return Number(Atomics.load(this.words, INCARNATION));
  }
}

const PLACES = 3;
const [SENT_AT, REAPED, INCARNATION] = [0, 1, 2] as const;
const NONE = -1n;
