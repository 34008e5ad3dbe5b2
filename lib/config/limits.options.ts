import { IsInt, Min } from 'class-validator';

/** `limits`: sizes of what callers and handlers hand in, as JSON. */
export class LimitsOptions {
  /** A task's input. Unit: bytes. Default 256 KiB. */
  @IsInt() @Min(1) readonly maxInputBytes: number = 262_144;
  /** Payload of one `progress` or `custom` event. Unit: bytes. Default 64 KiB. */
  @IsInt() @Min(1) readonly maxEventBytes: number = 65_536;
  /** A task's result; a larger one fails the task without retry. Unit: bytes. Default 1 MiB. */
  @IsInt() @Min(1) readonly maxResultBytes: number = 1_048_576;
  /** Nesting of objects and arrays in any of them. Unit: levels. Default 64. */
  @IsInt() @Min(1) readonly maxDepth: number = 64;
}
