import type { Task, TaskSystem } from 'nestjs-taskflow';

export interface OfferedLoad {
  /** Acknowledged tasks, in order. */
  readonly acked: readonly Task[];
  readonly refused: readonly unknown[];
}

/** Submits at a pace that does not wait for answers, so that a stall is met by everyone who comes during it. */
export async function offer(system: TaskSystem, name: string, perSecond: number, seconds: number): Promise<OfferedLoad> {
  const acked: Task[] = [];
  const refused: unknown[] = [];
  const answers: Promise<void>[] = [];
  const submit = async (n: number): Promise<void> => {
    try {
      acked.push(await system.submit(name, { input: { n } }));
    } catch (error) {
      refused.push(error);
    }
  };
  const startedAt = performance.now();
  for (let sent = 0; sent < perSecond * seconds;) {
    const due = Math.min(perSecond * seconds, Math.ceil(((performance.now() - startedAt) / 1000) * perSecond));
    for (; sent < due; sent++) answers.push(submit(sent));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(answers);
  return { acked, refused };
}
