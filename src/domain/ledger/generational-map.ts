/** As JSON can hold it. */
export interface GenerationalMapState<V> {
  forgotten: string
  old: [string, V][]
  young: [string, V][]
}

/** The keys alone, oldest first, a space between them: a quarter of a million are heavy in any other form. */
export interface GenerationalMapIds {
  forgotten: string
  old: string
  young: string
}

/**
 * The latest keys and what is known of them, in bounded memory: the last `limit` at least, twice that at most.
 *
 * Two generations rather than one map with its oldest key removed: taking keys off the front of a Map leaves holes
 * that every look at the front must skip.
 */
export class GenerationalMap<V> {
  /** The greatest key that was forgotten; '' while nothing was. */
  forgotten = ''
  private young = new Map<string, V>()
  private old = new Map<string, V>()
  /** No key is greater. Keys that grow with time are mostly new, and a comparison is cheaper than two look-ups. */
  private greatest = ''

  constructor(private readonly limit: number) {}

  get(key: string): V | undefined {
    return this.young.get(key) ?? this.old.get(key)
  }

  has(key: string): boolean {
    if (key > this.greatest) return false
    return this.young.has(key) || this.old.has(key)
  }

  set(key: string, value: V): void {
    if (this.young.size >= this.limit) this.age()
    this.young.set(key, value)
    if (key > this.greatest) this.greatest = key
  }

  delete(key: string): void {
    if (!this.young.delete(key)) this.old.delete(key)
  }

  state(): GenerationalMapState<V> {
    return { forgotten: this.forgotten, old: [...this.old], young: [...this.young] }
  }

  /** state() without the values. No key may hold a space. */
  ids(): GenerationalMapIds {
    const joined = (keys: Iterable<string>): string => [...keys].join(' ')
    return { forgotten: this.forgotten, old: joined(this.old.keys()), young: joined(this.young.keys()) }
  }

  /** Takes the place of what was remembered. */
  restore({ forgotten, old, young }: GenerationalMapState<V>): void {
    this.remember(forgotten, new Map(old), new Map(young))
  }

  /** The same with keys alone, all of one value. */
  restoreIds({ forgotten, old, young }: GenerationalMapIds, value: V): void {
    const mapOf = (ids: string): Map<string, V> => {
      const map = new Map<string, V>()
      if (ids !== '') for (const id of ids.split(' ')) map.set(id, value)
      return map
    }
    this.remember(forgotten, mapOf(old), mapOf(young))
  }

  private remember(forgotten: string, old: Map<string, V>, young: Map<string, V>): void {
    this.forgotten = forgotten
    this.old = old
    this.young = young
    this.greatest = ''
    for (const map of [old, young]) for (const key of map.keys()) if (key > this.greatest) this.greatest = key
  }

  private age(): void {
    for (const key of this.old.keys()) if (key > this.forgotten) this.forgotten = key
    this.old = this.young
    this.young = new Map()
  }
}
