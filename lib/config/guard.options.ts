import { BackpressureOptions } from './backpressure.options.js';
import { DeadLetterOptions } from './dead-letter.options.js';
import { SlotsOptions } from './slots.options.js';

/** `guard`: limits. */
export class GuardOptions {
  readonly backpressure: BackpressureOptions = new BackpressureOptions();
  readonly slots: SlotsOptions = new SlotsOptions();
  readonly dlq: DeadLetterOptions = new DeadLetterOptions();
}
