/** W4: progress of one task to a subscriber in the same process. What it means differs by system: each brings its own `events`. */
export async function run({ system, ...params }) {
  return (await import(system)).events(params);
}
