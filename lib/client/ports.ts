/** Time, chance and the page around a watch: tests bring their own. */
export interface WatchPorts {
  /** Epoch ms, for a `Retry-After` that is a date. */
  now(): number;
  /** From 0 to below 1. */
  random(): number;
  /** @returns what cancels it. */
  after(delayMs: number, callback: () => void): () => void;
  isHidden(): boolean;
  /** Tells when the page is shown or hidden, or the network comes back. @returns what ends that. */
  onChange(listener: () => void): () => void;
}

interface Page extends EventTarget {
  readonly hidden: boolean;
}
type Surroundings = Partial<EventTarget> & { readonly document?: Page };

/** Of a browser; in Node there is no page, and nobody tells of the network. */
export const surroundings: WatchPorts = {
  now: () => Date.now(),
  random: () => Math.random(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  isHidden: () => (globalThis as Surroundings).document?.hidden === true,
  onChange: (listener) => {
    const global = globalThis as Surroundings;
    const { document } = global;
    document?.addEventListener('visibilitychange', listener);
    global.addEventListener?.('online', listener);
    return () => {
      document?.removeEventListener('visibilitychange', listener);
      global.removeEventListener?.('online', listener);
    };
  },
};
