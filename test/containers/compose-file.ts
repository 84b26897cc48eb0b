import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

const root = new URL('../../', import.meta.url)
export const rootPath = (name: string): string => fileURLToPath(new URL(name, root))
export const rootFile = (name: string): string => readFileSync(rootPath(name), 'utf8')

/** One service, as far as the tests look at it. */
export interface Service {
  readonly image: string
  readonly build?: string
  readonly command?: readonly string[]
  readonly user?: string
  readonly profiles?: readonly string[]
  readonly init?: boolean
  readonly read_only?: boolean
  readonly privileged?: boolean
  readonly restart?: string
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly networks?: unknown
  readonly environment?: Readonly<Record<string, string>>
  readonly stop_grace_period?: string
  readonly logging?: { readonly options?: Readonly<Record<string, string>> }
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string; readonly required?: boolean }>>
  readonly deploy?: {
    readonly resources?: {
      readonly limits?: { readonly memory?: string }
      readonly reservations?: { readonly devices?: readonly { driver: string; capabilities: readonly string[] }[] }
    }
  }
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>
  readonly configs: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly secrets: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly volumes: Readonly<Record<string, unknown>>
}

/** The assignments of an env file. */
export const readEnv = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]))

const VARIABLE = /\$\{([A-Z_]+)(?::([-?])([^}]*))?\}/g

/** The names that a Compose file reads from the environment. */
export const variablesOf = (text: string): string[] => [
  ...new Set([...text.matchAll(VARIABLE)].map(([, name]) => name!)),
]

/** A Compose file with its variables filled in, for the forms `${A}`, `${A:-default}` and `${A:?message}`. Throws where Compose would. */
export function readCompose(text: string, env: Readonly<Record<string, string>>): unknown {
  const fill = (value: string) =>
    value.replace(VARIABLE, (_, name: string, kind?: string, rest = '') => {
      const given = env[name]
      if (given !== undefined && given !== '') return given
      if (kind === '?') throw new Error(`${name} ${rest}`)
      return rest
    })
  const filled = (value: unknown): unknown => {
    if (typeof value === 'string') return fill(value)
    if (Array.isArray(value)) return value.map(filled)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, filled(inner)]))
  }
  return filled(parse(text, { merge: true }))
}
