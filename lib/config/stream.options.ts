import { IsBoolean } from 'class-validator';
import { IsCount, IsTimerMs } from './bounded.decorators.js';

/** `stream`: delivery of events to subscribers. */
export class StreamOptions {
  /** Latest events of a task that are kept in memory. Default 100. */
  @IsCount(1) readonly streamBufferSize: number = 100;
  /** How long they are kept after the last subscriber or event. Unit: ms. Default 60 s. */
  @IsTimerMs(0) readonly streamRetentionMs: number = 60_000;
  /** Subscribers of one task at once. Default 50. */
  @IsCount(1) readonly maxSubscribersPerTask: number = 50;
  /** Subscribers of one user at once. Default 100. */
  @IsCount(1) readonly maxSubscribersPerUser: number = 100;
  /** Subscribers at once, all together. Default 5000. */
  @IsCount(1) readonly maxSubscribers: number = 5000;
  /** Pause between keep-alive comments on SSE. Unit: ms. Default 15 s. */
  @IsTimerMs(1) readonly keepAliveMs: number = 15_000;
  /** An SSE stream that is older is ended with a hint to come back, so that whether its client may still listen is looked at again: at nine tenths of it at the earliest. Unit: ms. Default 30 min. */
  @IsTimerMs(1) readonly maxAgeMs: number = 1_800_000;
  /** On: clients are shown the messages of unexpected errors too, on SSE and in the JSON of tasks and events; off, only their names and codes. Default false. */
  @IsBoolean() readonly exposeErrorMessages: boolean = false;
}
