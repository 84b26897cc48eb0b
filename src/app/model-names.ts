import type { ModelInfo } from '../core/ports.ts'

/** Alias → the names that it may stand for, most wanted first. */
export type Aliases = Readonly<Record<string, readonly string[]>>

/** What the names of the examples stand for on an Ollama server when no configuration says otherwise. */
export const builtInAliases: Aliases = {
  fast: ['gemma3:1b', 'caesura-demo'],
  slow: ['gemma3:4b', 'caesura-demo'],
}

/** The server's own name for a model. Ollama lists `name:latest` for what is asked for as `name`. */
export function nameOnServer(wanted: string, models: readonly ModelInfo[]): string | undefined {
  const names = models.map((model) => model.name)
  const bare = wanted.endsWith(':latest') ? wanted.slice(0, -':latest'.length) : wanted
  return [wanted, bare, `${bare}:latest`].find((name) => names.includes(name))
}

/** What a stage's `model` may be called on a server, most wanted first. */
export const candidates = (model: string, aliases: Aliases): readonly string[] =>
  Object.hasOwn(aliases, model) ? (aliases[model] ?? []) : [model]

/** Each stage's `model` as the server calls it, and those that it does not have. */
export function resolveOn(
  models: readonly ModelInfo[],
  wanted: readonly string[],
  aliases: Aliases,
): { readonly found: Record<string, string>; readonly missing: readonly string[] } {
  const found: Record<string, string> = {}
  const missing: string[] = []
  for (const model of new Set(wanted)) {
    const name = candidates(model, aliases)
      .map((candidate) => nameOnServer(candidate, models))
      .find((candidate) => candidate !== undefined)
    if (name === undefined) missing.push(model)
    else found[model] = name
  }
  return { found, missing }
}

/** The model of a stage; with a fallback the model and what it falls back to, in order. */
export type Wanted = string | readonly string[]

/** All names that stages ask for. */
export const allNames = (wanted: readonly Wanted[]): string[] => [...new Set(wanted.flat())]

/**
 * `resolveOn` for stages: `missing` are the models of stages of which nothing is there, `notices` say what else is not.
 * `nodes`: names that a fallback may have beside those of models; they stand for the stage's own model.
 */
export function resolveStages(
  models: readonly ModelInfo[],
  wanted: readonly Wanted[],
  aliases: Aliases,
  nodes: readonly string[] = [],
): {
  readonly found: Record<string, string>
  readonly missing: readonly string[]
  readonly notices: readonly string[]
} {
  const choices = wanted.map((stage) =>
    typeof stage === 'string' ? [stage] : stage.filter((name, index) => index === 0 || !nodes.includes(name)),
  )
  const { found } = resolveOn(models, allNames(choices), aliases)
  const named = { ...found }
  const missing = new Set<string>()
  const notices = new Set<string>()
  for (const names of choices) {
    const first = names.find((name) => Object.hasOwn(found, name))
    if (first === undefined) {
      missing.add(names[0]!)
      continue
    }
    for (const name of names.filter((other) => !Object.hasOwn(found, other))) {
      named[name] = candidates(name, aliases)[0] ?? name
      const isAhead = names.indexOf(name) < names.indexOf(first)
      notices.add(
        isAhead
          ? `No node has the model ${name}; ${first} takes its place.`
          : `No node has the model ${name}, which a stage falls back to.`,
      )
    }
  }
  return { found: named, missing: [...missing], notices: [...notices] }
}
