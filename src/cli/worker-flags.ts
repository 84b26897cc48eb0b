import { hostname } from 'node:os'
import { dirname, resolve } from 'node:path'
import ms from 'ms'
import type { BackendFlags, BackendKind } from '../core/backend-kind.ts'
import type { Catalogue } from '../core/catalogue.ts'
import { CaesuraError, CaesuraErrors } from '../core/errors.ts'
import { present } from '../core/present.ts'
import { didYouMean, orList } from '../core/problems.ts'
import { defineConfig, type NodeConfig } from '../nodes/config-schema.ts'
import type { Settings } from './settings.ts'

const LONGEST_MS = ms('365d')
const DURATION = /^(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)?$/

/** Reads a length of time: a number of ms, or `250ms`, `10s`, `2m`, `24h`, `7d`. Yields whole ms. Throws `CAESURA_E_USAGE`. */
export const lengthOfTime = (flag: string) => (value: string) => {
  const length = DURATION.test(value) ? ms(value as ms.StringValue) : Number.NaN
  if (length <= LONGEST_MS) return Math.round(length)
  throw unreadable(flag, value, 'a length of time up to 365d, such as 500ms, 10s or 24h')
}

/** Reads `CALLS/TIME`, such as 10/1s. Throws `CAESURA_E_USAGE`. */
export function callRate(value: string): { readonly calls: number; readonly ms: number } {
  const [, calls, time] = /^([1-9]\d{0,6})\/(.+)$/.exec(value) ?? []
  const length = time === undefined ? 0 : lengthOfTime('--rate')(time)
  if (calls === undefined || length === 0)
    throw unreadable('--rate', value, 'calls and a length of time, such as 10/1s')
  return { calls: Number(calls), ms: length }
}

const unreadable = (flag: string, received: string, expected: string) =>
  new CaesuraError('CAESURA_E_USAGE', `${flag} cannot be read`, { received, expected })

/** The flags that say which node a stage worker serves. */
export interface StageNodeFlags extends BackendFlags {
  readonly node?: string
  readonly backend?: string
  readonly slots?: number
  readonly pool?: string
}

/** Each flag that is of use with some backends only, as a person types it. */
const typed: Record<keyof BackendFlags, string> = {
  url: '--url',
  model: '--model',
  apiKeyEnv: '--api-key-env',
  tokens: '--tokens',
  firstTokenMs: '--first-token-ms',
  tokenMs: '--token-ms',
}
const backendFlags = Object.keys(typed) as (keyof BackendFlags)[]

/**
 * The node that the flags and the configuration describe: a node of the configuration where it has one of this name, with what the
 * flags say instead. `folder`: what its paths start from. Throws `CAESURA_E_USAGE`, `CAESURA_E_CONFIG`.
 */
export function stageNode(flags: StageNodeFlags, settings: Settings): { config: NodeConfig; folder: string } {
  const { node: asked, backend, url, slots, pool } = flags
  const name = asked ?? hostname()
  const nodes = settings.config?.nodes ?? []
  const configured = nodes.find((node) => node.name === name)
  if (configured === undefined && asked !== undefined && nodes.length > 0 && url === undefined && backend === undefined)
    throw unknownNode(
      name,
      nodes.map((node) => node.name),
    )
  const base = backend === undefined || backend === configured?.backend ? configured : undefined
  const kind = kindNamed(backend ?? configured?.backend ?? 'ollama', settings.catalogue)
  const given = Object.fromEntries(backendFlags.map((flag) => [flag, flags[flag]]))
  refuseOthers(kind, given, settings.catalogue)
  const value = {
    ...base,
    name,
    backend: kind.name,
    ...kind.fromFlags?.(present(given), process.env, base !== undefined),
    ...present({ slots, pool }),
  }
  return { config: checkedNode(value, settings.catalogue), folder: dirname(resolve(settings.configFile ?? '.')) }
}

function kindNamed(name: string, { backends }: Catalogue): BackendKind {
  const kind = backends.find((known) => known.name === name)
  if (kind !== undefined) return kind
  const names = backends.map((known) => known.name)
  const hint = didYouMean(name, names)
  throw new CaesuraError('CAESURA_E_USAGE', 'there is no such backend', {
    received: name,
    expected: orList(names),
    ...present({ hint }),
  })
}

/** Throws `CAESURA_E_USAGE` for a flag that this kind of backend has no use for. */
function refuseOthers(
  { flags = [] }: BackendKind,
  given: Readonly<Record<string, unknown>>,
  { backends }: Catalogue,
): void {
  const refused = backendFlags.find((flag) => given[flag] !== undefined && !flags.includes(flag))
  if (refused === undefined) return
  const users = backends.filter((kind) => kind.flags?.includes(refused)).map(({ name }) => name)
  throw new CaesuraError('CAESURA_E_USAGE', `${typed[refused]} is of use with --backend ${orList(users)} only`, {
    received: `${typed[refused]} ${String(given[refused])}`,
    ...(flags.length > 0 && { expected: orList(flags.map((flag) => typed[flag])) }),
  })
}

const unknownNode = (received: string, names: readonly string[]) =>
  new CaesuraError('CAESURA_E_USAGE', 'the configuration has no node of this name', {
    received,
    expected: names.join(', '),
    hint: didYouMean(received, names) ?? 'Say what it is with --url or --backend, or add it to the configuration.',
  })

/** The rules of the configuration hold for the flags as well. */
function checkedNode(value: unknown, catalogue: Catalogue): NodeConfig {
  try {
    return defineConfig(catalogue, { nodes: [value] }).nodes[0]!
  } catch (error) {
    const [first] = error instanceof CaesuraErrors ? error.errors : error instanceof CaesuraError ? [error] : []
    if (first === undefined) throw error
    const { path: _, ...place } = first.place
    throw new CaesuraError('CAESURA_E_USAGE', first.message.replaceAll('nodes[0].', '--'), place)
  }
}
