/**
 * Peers may make up what is added, so the oldest one goes
 */
export function addBounded (set: Set<string>, value: string, max: number): void {
  set.add(value)

  if (set.size > max) {
    set.delete(set.values().next().value as string)
  }
}
