import type { z } from 'zod'
import type { Environment } from './environment.ts'
import type { Backend } from './ports.ts'

/** Where a node of a configuration is opened. */
export interface BackendPlace {
  /** The node's name, for errors. */
  readonly node: string
  /** Calls at once. */
  readonly slots: number
  /** Paths of the configuration start from it. */
  readonly folder: string
  /** Where the API keys are that a configuration names, and the proxies. */
  readonly environment: Environment
}

/** What the flags of `worker stages` say of a node; absent where they say nothing. */
export interface BackendFlags {
  readonly url?: string
  /** A file starts from the current folder. */
  readonly model?: string
  readonly apiKeyEnv?: string
  readonly tokens?: number
  readonly firstTokenMs?: number
  readonly tokenMs?: number
}

/** One kind of model server: what a configuration says of a node that is one, and how it is opened. */
export interface BackendKind<C = unknown> {
  /** As `backend` of a node names it. */
  readonly name: string
  /** One line. */
  readonly summary: string
  /** The keys of a node, beside `name`, `backend`, `slots`, `pool` and `models`. */
  readonly shape: z.ZodRawShape
  /** Throws `CAESURA_E_CONFIG`. Written as a method: a kind has a type of its own. */
  open(config: C, place: BackendPlace): Backend | Promise<Backend>
  /** What must be in no log, in what the configuration says and in the environment. */
  secrets?(config: C, environment: Environment): readonly string[]
  /** The names of the one model that a node has by its configuration; absent for a server, which tells its models itself. */
  modelNames?(config: C): readonly string[]
  /**
   * The keys of the configuration for what flags of `worker stages` say. `known`: whether the configuration has the node already, so that
   * only what is said is told; else with what is meant where nothing is said. A flag that is not used here is refused for this kind.
   */
  fromFlags?(flags: BackendFlags, environment: Environment, known: boolean): Readonly<Record<string, unknown>>
  /** The flags that `fromFlags` uses. */
  readonly flags?: readonly (keyof BackendFlags)[]
}

/** A kind with a configuration of its own type, as a list of kinds takes it. */
export const backendKind = <C>(kind: BackendKind<C>): BackendKind => kind
