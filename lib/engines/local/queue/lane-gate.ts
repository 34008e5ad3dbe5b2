/** What stands in one list at most, and knows its neighbours there. */
export interface Linked<T extends Linked<T>> {
  list: LinkedList<T> | null;
  before: T | null;
  after: T | null;
}

/** A list that any member leaves in O(1). */
export class LinkedList<T extends Linked<T>> {
  first: T | null = null;
  last: T | null = null;

  push(member: T): void {
    member.list = this;
    member.before = this.last;
    member.after = null;
    if (this.last === null) this.first = member;
    else this.last.after = member;
    this.last = member;
  }

  remove(member: T): void {
    if (member.before === null) this.first = member.after;
    else member.before.after = member.after;
    if (member.after === null) this.last = member.before;
    else member.after.before = member.before;
    member.list = null;
    member.before = null;
    member.after = null;
  }
}

/** A limit that lanes stand before: of a user, of a handler, of recovering runs. */
export class Gate<T extends Linked<T>> {
  /** Lanes that met it closed, in the order in which they did. */
  readonly waiting = new LinkedList<T>();
  /** Lanes of this limit that are in the ring: no more of them are called back than there are permits. */
  inRing = 0;

  /** @param free permits left; 0 or less: closed. */
  constructor(readonly free: () => number) {}
}
