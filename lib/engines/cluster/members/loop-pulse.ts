import type { RunLiveness } from '../../../contracts/run-liveness.interface.js';

/** Shows that the event loop that runs the handlers turns. */
export class LoopPulse implements RunLiveness {
  /** The node beats for all of its runs at once: there is no heartbeat of a single run that could be lost. */
  readonly dropped = 0;

  /** @param onBeat told at each turn of the loop that shows itself. */
  constructor(private readonly onBeat: () => void) {}

  beat(): void {
    this.onBeat();
  }
}
