import { IsCount, IsTimerMs } from './bounded.decorators.js';

/** `guard.slots`: how much work runs at once. */
export class SlotsOptions {
  /** Runs at once, all users together. Default 50. */
  @IsCount(1) readonly maxExecutionGlobal: number = 50;
  /** Runs at once of one user. Default 10. */
  @IsCount(1) readonly maxExecutionPerUser: number = 10;
  /** How long `submit({ waitForSlot: true })` waits for a slot. Unit: ms. Default 30 s. */
  @IsTimerMs(0) readonly slotTimeoutMs: number = 30_000;
}
