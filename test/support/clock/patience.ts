/**
 * How long a test waits for what must come. A backstop, so that a test says what did not come: only what never comes takes so long,
 * and a machine that is busy with other things may need minutes for what else takes a moment. Below `testTimeout` of jest. Unit: ms.
 */
export const PATIENCE_MS = 300_000;

/** Waits for what another part of the system does in its own time; fails with what was seen last. */
export async function eventually<T>(read: () => Promise<T> | T, holds: (value: T) => boolean, withinMs = PATIENCE_MS): Promise<T> {
  const until = performance.now() + withinMs;
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    if (performance.now() > until) throw new Error(`Not reached within ${withinMs} ms; last seen: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
