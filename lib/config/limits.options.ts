import { MAX_BODY_BYTES, MAX_NESTING } from '../domain/bounds.js';
import { IsIntegerWithin } from './bounded.decorators.js';

/** `limits`: sizes of what callers and handlers hand in, as JSON. None is above 8,323,072 bytes: a frame of the log holds 8 MiB. */
export class LimitsOptions {
  /** A task's input. Unit: bytes. Default 256 KiB. */
  @IsIntegerWithin(1, MAX_BODY_BYTES) readonly maxInputBytes: number = 262_144;
  /** Payload of one `progress` or `custom` event. Unit: bytes. Default 64 KiB. */
  @IsIntegerWithin(1, MAX_BODY_BYTES) readonly maxEventBytes: number = 65_536;
  /** A task's result; a larger one fails the task without retry. Unit: bytes. Default 1 MiB. */
  @IsIntegerWithin(1, MAX_BODY_BYTES) readonly maxResultBytes: number = 1_048_576;
  /** Nesting of objects and arrays in any of them. Unit: levels. Default 64. */
  @IsIntegerWithin(1, MAX_NESTING) readonly maxDepth: number = 64;
}
