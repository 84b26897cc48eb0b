/** The entries of `T` that may be undefined become optional. */
export type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** Without the keys whose value is undefined: what was not observed is absent. The others stay in their order. */
export function present<T extends object>(value: T): Present<T> {
  // Four times as fast as by way of the entries; a spread of a condition is twice as fast as this, and stays where it is done for each token or run.
  const kept: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const entry = value[key as keyof T]
    if (entry !== undefined) kept[key] = entry
  }
  return kept as Present<T>
}
