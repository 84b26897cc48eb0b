import type { ModelInfo } from './core/ports.ts'

/** Alias → the names that it may stand for, most wanted first. */
export type Aliases = Readonly<Record<string, readonly string[]>>

/** What the names of the examples stand for on an Ollama server when no configuration says otherwise. */
export const builtInAliases: Aliases = {
  fast: ['gemma3:1b', 'caesura-demo'],
  slow: ['gemma3:4b', 'caesura-demo'],
}

/** The name of a model file as stages write it: the file's name up to the first dot. */
export function modelNameOf(file: string): string {
  const name = file.replace(/^.*[/\\]/, '')
  return name.replace(/\..*$/, '') || name
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
