import type { Clock } from '../../../../contracts/clock.interface.js';
import type { TaskRepository } from '../../../../contracts/task-repository.interface.js';
import { answerWithin } from '../../../../repository/answer-limit.js';

/** After that `initialize` is called again: its connection may be gone. */
const LOST_AFTER_MS = 30_000;
/** What a close waits for an initialisation that is under way. */
const CLOSE_LIMIT_MS = 5_000;

/** A custom repository is initialised and closed once, however many ask for it, and whenever it answers. */
export class RepositoryOpening {
  private isDone = false;
  private isClosed = false;
  private opening: { readonly since: number; readonly done: Promise<void> } | undefined;

  constructor(
    private readonly repository: Pick<TaskRepository, 'initialize' | 'close'>,
    private readonly clock: Clock,
  ) {}

  get isOpen(): boolean {
    return this.isDone;
  }

  get wasClosed(): boolean {
    return this.isClosed;
  }

  /** May never settle, as the repository may not: one call at a time, and one that stays silent may be made again. */
  open(): Promise<void> {
    const now = this.clock.monotonic();
    if (this.opening !== undefined && now - this.opening.since >= LOST_AFTER_MS) this.opening = undefined;
    this.opening ??= { since: now, done: this.initialize() };
    const { opening } = this;
    return opening.done.finally(() => {
      if (this.opening === opening) this.opening = undefined;
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    // What a call that stays silent may open yet, it closes itself.
    const { opening } = this;
    if (opening !== undefined)
      await answerWithin(this.clock, CLOSE_LIMIT_MS, 'custom repository', () => opening.done).catch(() => undefined);
    await this.closeOpened();
  }

  private async initialize(): Promise<void> {
    await this.repository.initialize();
    this.isDone = true;
    if (this.isClosed) await this.closeOpened();
  }

  private async closeOpened(): Promise<void> {
    if (!this.isDone) return;
    this.isDone = false;
    await this.repository.close();
  }
}
