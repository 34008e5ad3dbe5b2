import { IsInt, Min } from 'class-validator';

/** `guard.slots`: how much work runs at once. */
export class SlotsOptions {
  /** Runs at once, all users together. Default 50. */
  @IsInt() @Min(1) readonly maxExecutionGlobal: number = 50;
  /** Runs at once of one user. Default 10. */
  @IsInt() @Min(1) readonly maxExecutionPerUser: number = 10;
  /** How long `submit({ waitForSlot: true })` waits for a slot. Unit: ms. Default 30 s. */
  @IsInt() @Min(0) readonly slotTimeoutMs: number = 30_000;
}
