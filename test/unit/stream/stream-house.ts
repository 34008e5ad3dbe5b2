import type { MessageEvent } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { resolveOptions } from '../../../lib/config/resolve-options.js';
import type { TaskEvent, TaskStream } from '../../../lib/contracts/task-event.interface.js';
import { RowFollower } from '../../../lib/engines/local/ledger/local-change-feed.js';
import { type OpenStreamOptions, StreamService } from '../../../lib/stream/stream.service.js';
import { FakeClock } from '../../support/clock/fake-clock.js';
import { FakeFacts } from '../../support/doubles/fake-facts.js';
import { FakeTelemetry } from '../../support/doubles/fake-telemetry.js';

/** A stream service over facts in memory and a clock that is moved by hand. */
export class StreamHouse {
  readonly clock = new FakeClock();
  readonly telemetry = new FakeTelemetry();
  readonly streams: StreamService;

  constructor(
    stream: Record<string, number | boolean> = {},
    readonly facts = new FakeFacts(),
  ) {
    this.facts.follow = (task, tell) => new RowFollower(task, this.facts, this.clock, 1_000, tell);
    this.streams = new StreamService(resolveOptions({ stream }), this.clock, this.facts, this.facts, this.telemetry);
    this.streams.start();
  }

  open(id: string, options: Partial<OpenStreamOptions> = {}): TaskStream {
    return this.streams.open(() => Promise.resolve(this.facts.state(id)), { userId: null, lastSeq: 0, ...options });
  }

  watch(id: string, options: Partial<OpenStreamOptions> = {}): Watched<TaskEvent> {
    return new Watched(this.open(id, options));
  }

  sse(id: string, options: Partial<OpenStreamOptions> = {}): Promise<Observable<MessageEvent>> {
    return this.streams.sse(this.facts.state(id), { userId: null, lastSeq: 0, ...options });
  }
}

/** What an observer was told, in order. */
export class Watched<T> {
  readonly values: T[] = [];
  isComplete = false;
  error: unknown;
  private readonly subscription;

  constructor(source: Observable<T>) {
    this.subscription = source.subscribe({
      next: (value) => this.values.push(value),
      complete: () => (this.isComplete = true),
      error: (error: unknown) => (this.error = error),
    });
  }
  leave(): void {
    this.subscription.unsubscribe();
  }
}

export const seqs = (watched: Watched<TaskEvent>): (number | undefined)[] => watched.values.map((event) => event.seq);
export const types = (watched: Watched<TaskEvent>): string[] => watched.values.map((event) => event.type);
export const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
