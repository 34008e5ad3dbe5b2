import type { EventIdentity } from '../domain/task-event.js';

/** A task as its stream shows it. */
export interface ShownTask extends EventIdentity {
  /** `stream.exposeErrorMessages`. */
  readonly exposesErrors: boolean;
}
