// What happened, newest first, from pages that were asked for and from the stream, without doubles. Pure: tested by
// tests/browser/page/.

export class News {
  #kept = new Map();

  /** @param {number} capacity how many are kept, the newest */
  constructor(capacity) {
    this.capacity = capacity;
  }

  /** Takes more, in any order; what is known already is replaced. */
  add(list) {
    for (const one of list) this.#kept.set(one.seq, one);
    if (this.#kept.size > this.capacity) this.#kept = new Map(this.list().slice(0, this.capacity).map((one) => [one.seq, one]));
  }

  /** Another life of the node counts anew: forgets everything. */
  clear() {
    this.#kept.clear();
  }

  /** Newest first. */
  list() {
    return [...this.#kept.values()].sort((a, b) => b.seq - a.seq);
  }

  /** The smallest number known; null without any. */
  get oldest() {
    return this.#kept.size ? Math.min(...this.#kept.keys()) : null;
  }
}
