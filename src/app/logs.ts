import type { Catalogue } from '../core/catalogue.ts'
import type { Environment } from '../core/environment.ts'
import { CaesuraError } from '../core/errors.ts'
import { type Log, type LogLevel, logLevels, silentLog } from '../core/log.ts'
import { passwordsOf, redactor, valuesOfList } from '../logging/redaction.ts'
import type { Config, NodeConfig } from '../nodes/config-schema.ts'
import { kindOf } from './configured-nodes.ts'

export { redactor }

/** Part of the composition root: the log of a process, as its flags and its environment ask for it. */

export const logFormats = ['text', 'json', 'silent'] as const
export type LogFormat = (typeof logFormats)[number]

export interface LogWishes {
  readonly environment: Environment
  /** Stronger than `CAESURA_LOG` and `CAESURA_LOG_LEVEL`. */
  readonly format?: LogFormat
  readonly level?: LogLevel
  /** Whether a person sees stderr: text by default there, else JSON. */
  readonly isTerminal: boolean
  /** By which lines name this process. */
  readonly service: string
  readonly config?: Config
  /** Knows the backends of the configuration; the one that ships by default. */
  readonly catalogue?: Catalogue
  /** What must never be written, beside what the environment and the configuration name. */
  readonly secrets?: readonly string[]
  /** A URL whose password must never be written. */
  readonly redis?: string
}

export interface ProcessLog {
  readonly log: Log
  readonly format: LogFormat
  /** Takes secrets out of what is written elsewhere. */
  redact(text: string): string
}

/** Throws `CAESURA_E_USAGE` for a variable that can't be used. */
export async function openLog(wishes: LogWishes): Promise<ProcessLog> {
  const { environment, config, isTerminal, service } = wishes
  const format =
    wishes.format ??
    readChoice('CAESURA_LOG', logFormats, environment.CAESURA_LOG) ??
    (isTerminal ? ('text' as const) : ('json' as const))
  const level =
    wishes.level ?? readChoice('CAESURA_LOG_LEVEL', logLevels, environment.CAESURA_LOG_LEVEL) ?? ('info' as const)
  const secrets = [...secretsOf(wishes), ...passwordsOf(wishes.redis), ...(wishes.secrets ?? [])]
  const redact = redactor(secrets)
  if (format === 'silent') return { log: silentLog, format, redact }
  const { pinoLog } = await import('../logging/pino-log.ts')
  const captureContent = await capturesContent(environment, config)
  return { log: pinoLog({ format, level, service, secrets, captureContent }), format, redact }
}

/** Undefined where nothing is said. Throws `CAESURA_E_USAGE`. */
export function readChoice<T extends string>(
  from: string,
  choices: readonly T[],
  value: string | undefined,
): T | undefined {
  const asked = value?.trim()
  if (!asked) return undefined
  const found = choices.find((choice) => choice === asked)
  if (found !== undefined) return found
  throw new CaesuraError('CAESURA_E_USAGE', `${from} cannot be read`, { received: asked, expected: choices.join(', ') })
}

/** Variables whose URLs may have a password. */
const WITH_PASSWORD = ['REDIS_URL', 'HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'OLLAMA_HOST']

/** What a node of the configuration is reached with, as far as its kind says. */
export const secretsOfNode = (node: NodeConfig, environment: Environment, kinds?: Catalogue): readonly string[] =>
  kindOf(node, kinds).secrets?.(node, environment) ?? []

/** The secrets that a process knows of. */
function secretsOf({ environment, config, catalogue }: LogWishes): string[] {
  const ofNodes = (config?.nodes ?? []).flatMap((node) => secretsOfNode(node, environment, catalogue))
  const headers = Object.entries(environment).filter(([name]) => /^OTEL_EXPORTER_OTLP_(.+_)?HEADERS$/.test(name))
  return [
    ...ofNodes,
    ...WITH_PASSWORD.flatMap((name) => passwordsOf(environment[name])),
    ...passwordsOf(config?.redis),
    ...headers.flatMap(([, list]) => valuesOfList(list)),
  ]
}

/** The environment is stronger than the configuration. */
async function capturesContent(environment: Environment, config: Config | undefined): Promise<boolean> {
  if (!environment.CAESURA_CAPTURE_CONTENT?.trim()) return config?.captureContent?.logs ?? false
  // Loaded only where it is asked: OpenTelemetry's packages come with it.
  const { telemetrySettings } = await import('../telemetry/settings.ts')
  return telemetrySettings(environment).captureContent.logs
}

/** The environment with what the configuration says of content, where it says nothing of that itself. */
export function withCapture(environment: Environment, config: Config | undefined): Environment {
  const asked = Object.entries(config?.captureContent ?? {}).flatMap(([name, isOn]) => (isOn ? [name] : []))
  if (environment.CAESURA_CAPTURE_CONTENT?.trim() || asked.length === 0) return environment
  return { ...environment, CAESURA_CAPTURE_CONTENT: asked.join(',') }
}
