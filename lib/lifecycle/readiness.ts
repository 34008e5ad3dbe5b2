import { Injectable } from '@nestjs/common';
import type { TaskSystemError } from '../errors/task-system.error.js';
import { ShuttingDownError } from '../errors/admission.errors.js';

/**
 * Calls made before the storage is open have it opened, and wait for that alone: never for the application, which may wait for them.
 * Calls for something new are refused once the shutdown began.
 */
@Injectable()
export class Readiness {
  private opener: (() => void) | undefined;
  private open!: () => void;
  private refuse!: (error: unknown) => void;
  private ready = false;
  private stopping = false;
  private halted: TaskSystemError | undefined;
  private readonly opened: Promise<void> = new Promise((resolve, reject) => {
    this.open = resolve;
    this.refuse = reject;
  });

  constructor() {
    // Without a caller that waits, a failed start is reported by `initialize()` alone.
    this.opened.catch(() => {});
  }

  /** @param opener begins to open log and database, or does nothing where that is under way. */
  openWith(opener: () => void): void {
    this.opener = opener;
  }

  /** Resolves once log and database are open; has them opened where nobody did. @throws what the opening failed with. */
  async wait(): Promise<void> {
    if (this.ready) return;
    if (!this.stopping) this.opener?.();
    await this.opened;
  }

  /** True where `waitToAccept` would resolve at once: a submit that asks first spares two promises. */
  get isAccepting(): boolean {
    return this.ready && !this.stopping && this.halted === undefined;
  }

  /**
   * As `wait`, for calls that make something new.
   * @param isFromRun made by a task that is running: it may go on until its own end.
   * @throws ShuttingDownError; or why nothing new is accepted.
   */
  async waitToAccept(isFromRun: boolean): Promise<void> {
    for (;;) {
      if (this.stopping && !isFromRun) throw new ShuttingDownError();
      if (this.halted !== undefined) throw this.halted;
      if (this.ready) return;
      await this.wait();
    }
  }

  markReady(): void {
    this.ready = true;
    this.open();
  }

  failed(error: unknown): void {
    this.refuse(error);
  }

  /** Nothing new from now on. Reads go on. */
  stop(): void {
    this.stopping = true;
    if (!this.ready) this.refuse(new ShuttingDownError());
  }

  /** New work is refused with this error: the database is not the one that this log belongs to. */
  halt(error: TaskSystemError): void {
    this.halted = error;
  }
}
