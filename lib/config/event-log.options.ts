import { IsIn, IsNotEmpty, IsString } from 'class-validator';
import { IsBytes, IsCount, IsDurationMs, IsTimerMs } from './bounded.decorators.js';

/** `eventLog`: the segments on disk. */
export class EventLogOptions {
  /** Where the segments are: `./.taskflow/events.log` means files `./.taskflow/events-<first seq>.log`. Default './.taskflow/events.log'. */
  @IsString() @IsNotEmpty() readonly eventLogPath: string = './.taskflow/events.log';
  /** A segment is closed once it is this large. Unit: bytes. Default 10 MiB. */
  @IsBytes(1) readonly maxSizeBytesPerFile: number = 10_485_760;
  /** A segment is closed once it is this old. Unit: ms. Default 1 h. */
  @IsDurationMs(1) readonly maxAgePerFile: number = 3_600_000;
  /** Closed segments that stay although they are wholly in the database; others stay anyway. Unit: files. Default 5. */
  @IsCount(0) readonly retentionCount: number = 5;
  /** Beyond this much that is not in the database yet, submits, `progress`, `custom` and heartbeats are refused. Unit: bytes. Default 1 GiB. */
  @IsBytes(1) readonly maxUnflushedBytes: number = 1_073_741_824;
  /** With less free space on the disk, submits, `progress`, `custom` and heartbeats are refused. Unit: bytes. Default 512 MiB. */
  @IsBytes(0) readonly minFreeBytes: number = 536_870_912;
  /** How long a second process waits for the log before it fails. Unit: ms. Default 45 s. */
  @IsTimerMs(0) readonly lockTimeoutMs: number = 45_000;
  /** After a failed disk sync: 'stay' (reads go on, the status is `degraded`) or 'exit' the process. Default 'stay'. */
  @IsIn(['stay', 'exit']) readonly onFailure: 'stay' | 'exit' = 'stay';
}
