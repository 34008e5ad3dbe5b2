import { Inject, Injectable } from '@nestjs/common';
import { ENGINE } from './config/taskflow.tokens.js';
import type { Engine, EngineStats } from './contracts/engine.interface.js';

// What an application injects by class to read the engine's counters, whichever engine runs. Each look reads them anew.

/** What was refused, and what runs now. */
@Injectable()
export class GuardService {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {}

  /** Submits that were refused since the start, by limit. */
  get rejections(): EngineStats['guard']['rejections'] {
    return this.engine.stats().guard.rejections;
  }
  /** Execution slots that are held now. */
  get slotsInUse(): number {
    return this.engine.stats().guard.slotsInUse;
  }
}

/** How the log of the engine is; an engine without one reports an empty log. */
@Injectable()
export class EventLogService {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {}

  /** The branch `eventLog` of `getStats()`. */
  stats(): EngineStats['eventLog'] {
    return this.engine.stats().eventLog;
  }
}

/** How far the database is behind the log. */
@Injectable()
export class FlushService {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {}

  /** The branch `flush` of `getStats()`. */
  stats(): EngineStats['flush'] {
    return this.engine.stats().flush;
  }
}

/** What became of runs whose process died. */
@Injectable()
export class RecoveryService {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {}

  /** Runs of dead processes that were put back since the start. */
  get recovered(): number {
    return this.engine.stats().leftovers.recovered;
  }
  /** Runs of dead processes that ended instead: the process died too often, or they were to be cancelled. */
  get ended(): { readonly failed: number; readonly cancelled: number } {
    const { failed, cancelled } = this.engine.stats().leftovers;
    return { failed, cancelled };
  }
  /** Running tasks of others without a sign of life at the last look. */
  get staleElsewhere(): number {
    return this.engine.stats().staleElsewhere;
  }
}
