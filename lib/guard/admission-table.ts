/** No entry: end of a list. */
export const NIL = -1;

/** Admissions of one user, or of all, oldest first: a list through one pair of columns. */
export class AdmissionList {
  head = NIL;
  tail = NIL;
  count = 0;
  constructor(readonly column: 0 | 1) {}
}

/**
 * Admissions as rows of typed columns, each in two lists: all, and its user's. Grows with use up to `capacity`; a row that is given
 * free is used again first.
 */
export class AdmissionTable {
  private admittedAt = new Float64Array(0);
  /** Tells a row's present admission from an earlier one: whoever kept a row number also kept this. */
  private serials = new Float64Array(0);
  /** [next, previous] of both lists: four numbers a row. */
  private links = new Int32Array(0);
  private free = NIL;
  private used = 0;
  private lastSerial = 0;

  constructor(private readonly capacity: number) {}

  add(admittedAt: number): number {
    let row = this.free;
    if (row !== NIL) this.free = this.links[row * 4]!;
    else {
      if (this.used === this.admittedAt.length) this.grow();
      row = this.used;
      this.used += 1;
    }
    this.admittedAt[row] = admittedAt;
    this.serials[row] = this.lastSerial += 1;
    return row;
  }

  release(row: number): void {
    this.serials[row] = 0;
    this.links[row * 4] = this.free;
    this.free = row;
  }

  append(list: AdmissionList, row: number): void {
    const at = row * 4 + list.column * 2;
    this.links[at] = NIL;
    this.links[at + 1] = list.tail;
    if (list.tail === NIL) list.head = row;
    else this.links[list.tail * 4 + list.column * 2] = row;
    list.tail = row;
    list.count += 1;
  }

  unlink(list: AdmissionList, row: number): void {
    const at = row * 4 + list.column * 2;
    const next = this.links[at]!;
    const previous = this.links[at + 1]!;
    if (previous === NIL) list.head = next;
    else this.links[previous * 4 + list.column * 2] = next;
    if (next === NIL) list.tail = previous;
    else this.links[next * 4 + list.column * 2 + 1] = previous;
    list.count -= 1;
  }

  after(list: AdmissionList, row: number): number {
    return this.links[row * 4 + list.column * 2]!;
  }

  timeOf(row: number): number {
    return this.admittedAt[row]!;
  }

  serialOf(row: number): number {
    return this.serials[row]!;
  }

  private grow(): void {
    const length = Math.min(this.capacity, Math.max(64, this.used * 2));
    const admittedAt = new Float64Array(length);
    const serials = new Float64Array(length);
    const links = new Int32Array(length * 4);
    admittedAt.set(this.admittedAt);
    serials.set(this.serials);
    links.set(this.links);
    this.admittedAt = admittedAt;
    this.serials = serials;
    this.links = links;
  }
}
