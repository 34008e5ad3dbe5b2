import { Injectable } from '@nestjs/common';
import type { TaskSystemError } from '../errors/task-system.error.js';
import { ShuttingDownError } from '../errors/admission.errors.js';

/** Calls made before `initialize()` has finished wait for it; calls after shutdown began are refused. */
@Injectable()
export class Readiness {
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

  /** Resolves once the system accepts calls. @throws what `initialize()` failed with. */
  async wait(): Promise<void> {
    if (!this.ready) await this.opened;
  }

  /** True where `waitToAccept` would resolve at once: a submit that asks first spares two promises. */
  get isAccepting(): boolean {
    return this.ready && !this.stopping && this.halted === undefined;
  }

  /** As `wait`, for calls that make something new. @throws ShuttingDownError; or why nothing new is accepted. */
  async waitToAccept(): Promise<void> {
    if (this.stopping) throw new ShuttingDownError();
    if (this.halted !== undefined) throw this.halted;
    if (this.ready) return;
    await this.opened;
    return this.waitToAccept();
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
