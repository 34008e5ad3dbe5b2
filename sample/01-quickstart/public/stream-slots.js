/**
 * A browser has six connections to a server over HTTP/1.1, for all its tabs together; pages and buttons need some of them. So all tabs
 * share four for streams, of which one tab takes two at most. Over HTTP/2 there would be no such limit.
 */
const SHARED = 4;
const OWN = 2;

let taken = 0;

/** @returns {Promise<(() => void) | undefined>} gives the place back; undefined: there is none now. */
export async function takeSlot() {
  if (taken >= OWN) return undefined;
  taken++;
  const free = () => taken--;
  // Locks need a secure context, as localhost is one.
  if (navigator.locks === undefined) return once(free);
  for (let slot = 0; slot < SHARED; slot++) {
    const unlock = await tryLock(`taskflow-stream-${slot}`);
    if (unlock === undefined) continue;
    return once(() => {
      unlock();
      free();
    });
  }
  free();
  return undefined;
}

/** The browser frees it also when the tab is closed or dies. */
const tryLock = (name) =>
  new Promise((resolve) => {
    void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (lock === null) return resolve(undefined);
      return new Promise((unlock) => resolve(unlock));
    });
  });

function once(action) {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}
