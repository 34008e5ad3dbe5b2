import fc from 'fast-check';

/** What a user, a handler, the world, and time may do. Numbers pick among what is there at that moment. */
export interface Submit {
  readonly do: 'submit';
  readonly key: number | null;
  readonly input: number;
  readonly user: number;
  readonly delayMs: number;
}

const PICKING = [
  /** Of a run under way. `rotate` reports so much that the next entry begins another file; every other `fail` is for good. */
  ...(['progress', 'rotate', 'complete', 'fail'] as const),
  /** Of a task. `duplicate` and `conflict` submit its key again, with its input or with another one. */
  ...(['duplicate', 'conflict', 'cancel', 'resume', 'retryDead'] as const),
  /** A subscriber that takes one event and stops reading; `drain` lets all of them read on. */
  'stall',
] as const;
/** `poison`: a sync fails and its data is gone, so that the log is dead until the process starts again. */
const PLAIN = ['stop', 'flush', 'sweep', 'full', 'drain', 'poison'] as const;
const CRASHES = ['drop', 'keep', 'sectors', 'drop-names', 'drop-data'] as const;

export type Step =
  | Submit
  /** All in one turn; then, after so many turns of promises, a power failure or a stop. */
  | {
      readonly do: 'burst';
      readonly submits: readonly Submit[];
      readonly cancel: number;
      readonly end: 'crash' | 'stop' | 'nothing';
      readonly turns: number;
    }
  | { readonly do: (typeof PICKING)[number]; readonly pick: number }
  | { readonly do: (typeof PLAIN)[number] }
  | { readonly do: 'crash'; readonly mode: (typeof CRASHES)[number]; readonly turns: number }
  | { readonly do: 'database'; readonly isAway: boolean }
  | { readonly do: 'wait'; readonly ms: number };

const pick = fc.nat(20);
const picking = (weight: number, ...names: readonly (typeof PICKING)[number][]) =>
  names.map((name) => ({ weight, arbitrary: fc.record({ do: fc.constant(name), pick }) }));
const plain = (weight: number, ...names: readonly (typeof PLAIN)[number][]) =>
  names.map((name) => ({ weight, arbitrary: fc.record({ do: fc.constant(name) }) }));

const submit: fc.Arbitrary<Submit> = fc.record({
  do: fc.constant('submit' as const),
  key: fc.option(fc.nat(2)),
  input: fc.nat(1),
  user: fc.nat(1),
  delayMs: fc.constantFrom(0, 0, 0, 2_000),
});
const burst = fc.record({
  do: fc.constant('burst' as const),
  submits: fc.array(submit, { minLength: 2, maxLength: 6 }),
  cancel: pick,
  end: fc.constantFrom('crash' as const, 'stop' as const, 'nothing' as const),
  turns: fc.nat(120),
});
const crash = fc.record({ do: fc.constant('crash' as const), mode: fc.constantFrom(...CRASHES), turns: fc.nat(12) });
const database = fc.record({ do: fc.constant('database' as const), isAway: fc.boolean() });
const wait = fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(10, 300, 1_500, 6_000, 70_000) });

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: submit },
    { weight: 6, arbitrary: burst },
    ...picking(7, 'progress'),
    ...picking(6, 'complete', 'fail'),
    ...picking(4, 'cancel', 'resume', 'retryDead'),
    ...picking(3, 'rotate', 'stall', 'duplicate'),
    ...picking(2, 'conflict'),
    { weight: 4, arbitrary: crash },
    ...plain(4, 'flush'),
    ...plain(3, 'sweep'),
    ...plain(2, 'stop', 'full', 'drain'),
    ...plain(1, 'poison'),
    { weight: 4, arbitrary: database },
    { weight: 8, arbitrary: wait },
  ),
  { minLength: 5, maxLength: 30, size: 'medium' },
);
