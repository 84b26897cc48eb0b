import { accessSync, constants, existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Command } from 'commander'
import { inspectFleet } from '../app/fleet-running.ts'
import { type Inspected, inspectEmbedded, inspectOllama } from '../app/inspection.ts'
import { sqliteStore } from '../app/stores.ts'
import { chooseSurroundings } from '../app/surroundings.ts'
import { withoutPassword } from '../core/address.ts'
import { CaesuraError, CaesuraErrors } from '../core/errors.ts'
import { configuredFleet } from './fleet-address.ts'
import { printJson, printLines } from './output.ts'
import { paragraph, type Screen, screenOn } from './screen.ts'
import { readSettings, type Settings, wishesOf } from './settings.ts'

/** One thing that was looked at. */
export interface Finding {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
  /** What to do, where it is not ok. */
  readonly next?: string
}

const REDIS = 'Redis'
const OLDEST_NODE = [22, 15] as const

/** `doctor`: what this machine can run. Exit 0 when a pipeline can run at all, and on the fleet where one is configured; else 3. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('what this machine can run, and the next step where something is missing')
    .option('--config <file>', 'the configuration; caesura.config.yaml by default')
    .option('--json', 'one JSON document on stdout')
    .action(async (flags: { config?: string; json?: boolean }) => {
      const { findings, usable, fleet } = await examine(flags.config)
      if (flags.json) printJson({ ok: usable && fleet, checks: findings })
      else printLines(findingLines(findings, usable, screenOn(process.stdout)))
      if (!usable || !fleet) process.exitCode = 3
    })
}

async function examine(config: string | undefined): Promise<{ findings: Finding[]; usable: boolean; fleet: boolean }> {
  const settings = await readSettings(config === undefined ? {} : { config }).catch(asFault)
  // One after the other: loading the engine holds this process up, and the server would seem late.
  const ollama = await inspectOllama(process.env.OLLAMA_HOST)
  const embedded = await inspectEmbedded()
  const known = settings instanceof CaesuraError ? undefined : settings
  const withNodes = (known?.config?.nodes.length ?? 0) > 0
  const embeddedRuns = 'models' in embedded && embedded.models.length > 0
  const ollamaRuns = 'models' in ollama && ollama.models.length > 0
  const isNamed = (process.env.OLLAMA_HOST ?? '').trim() !== ''
  const configured = await configurationFinding(settings)
  const redis = await redisFindings(known)
  const findings = [
    nodeFinding(process.versions.node),
    embeddedFinding(embedded),
    modelFinding(embedded),
    isNamed ? orEmbedded(ollamaFinding(ollama), embeddedRuns) : ollamaFinding(ollama),
    configured,
    recordsFinding(known?.recordsFile ?? (process.env.CAESURA_RECORDS || '.caesura/runs.sqlite')),
    ...redis,
  ]
  // With nodes configured, or a server named, a run goes there and nowhere else.
  const usable = configured.ok && (withNodes || ollamaRuns || (embeddedRuns && !isNamed))
  return { findings, usable, fleet: redis.every(({ ok }) => ok) }
}

/** An error of the input as a value; anything else is a fault of ours. */
function asFault(error: unknown): CaesuraError {
  if (error instanceof CaesuraError) return error
  const first = error instanceof CaesuraErrors ? error.errors[0] : undefined
  if (first === undefined) throw error
  return first
}

function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const ok = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])
  return { name: 'Node', ok, detail: version, ...(!ok && { next: `Install Node ${OLDEST_NODE.join('.')} or newer.` }) }
}

const fromFault = (name: string, { message, place }: CaesuraError): Finding => ({
  name,
  ok: false,
  detail: message,
  // Some messages say it themselves.
  ...(place.hint !== undefined && !message.includes(place.hint) && { next: place.hint }),
})

function embeddedFinding(found: Inspected): Finding {
  const name = 'node-llama-cpp'
  if ('fault' in found) return fromFault(name, found.fault)
  return { name, ok: true, detail: `${found.server.version ?? 'found'}, its binary loads` }
}

function modelFinding(found: Inspected): Finding {
  const name = 'bundled model'
  if ('fault' in found) return { name, ok: existsSync(found.address), detail: found.address }
  const [model] = found.models
  if (model !== undefined) return { name, ok: true, detail: `${model.name}, ${megabytes(model.bytes ?? 0)}` }
  return { name, ok: false, detail: `${found.server.address ?? ''} is missing`, next: 'Install the package again.' }
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

function ollamaFinding(found: Inspected): Finding {
  const name = 'Ollama'
  if ('fault' in found) return fromFault(name, found.fault)
  const at = `${found.server.version ?? 'unknown version'} at ${found.server.address ?? ''}`
  if (found.models.length === 0)
    return { name, ok: false, detail: `${at}, without models`, next: 'ollama pull gemma3:1b' }
  return { name, ok: true, detail: `${at}, models: ${found.models.map((model) => model.name).join(', ')}` }
}

/** What a server that `OLLAMA_HOST` names and that is of no use does not keep from running. */
function orEmbedded(finding: Finding, embeddedRuns: boolean): Finding {
  if (finding.ok || !embeddedRuns) return finding
  const other = '--backend embedded runs the bundled model all the same.'
  return { ...finding, next: finding.next === undefined ? other : `${finding.next} (${other})` }
}

async function configurationFinding(settings: Settings | CaesuraError): Promise<Finding> {
  const name = 'configuration'
  if (settings instanceof CaesuraError) return fromFault(name, settings)
  const { config, configFile } = settings
  if (config === undefined || configFile === undefined) return { name, ok: true, detail: 'none; the defaults hold' }
  if (config.nodes.length === 0 && Object.keys(config.models).length === 0)
    return { name, ok: true, detail: `${configFile}, no nodes` }
  try {
    // Every alias must have a model on a node that answers.
    const { nodes, notices } = await chooseSurroundings(Object.keys(config.models), wishesOf({}, settings))
    for (const node of nodes) await node.backend.close()
    return {
      name,
      ok: true,
      detail: [
        config.nodes.length === 0
          ? `${configFile}, no nodes; its models are there.`
          : `${configFile}, nodes: ${nodes.map((node) => node.name).join(', ')}.`,
        ...notices,
      ].join(' '),
    }
  } catch (error) {
    return fromFault(name, asFault(error))
  }
}

/** The Redis that is configured, and the nodes that are there. */
async function redisFindings(settings: Settings | undefined): Promise<Finding[]> {
  const name = REDIS
  try {
    const address = configuredFleet(settings?.config, process.env)
    if (address === undefined) return [{ name, ok: true, detail: 'none configured; runs stay on this machine' }]
    const { redisVersion, nodes } = await inspectFleet(address)
    const there = nodes.map((node) => (node.state === 'up' ? node.name : `${node.name} (${node.state})`))
    return [
      { name, ok: true, detail: `${redisVersion} at ${withoutPassword(address.url)}, keeps all keys (noeviction)` },
      { name: 'fleet', ok: true, detail: there.length === 0 ? 'no nodes now' : `nodes: ${there.join(', ')}` },
    ]
  } catch (error) {
    return [fromFault(name, asFault(error))]
  }
}

function recordsFinding(file: string): Finding {
  const name = 'records'
  try {
    if (existsSync(file)) {
      const store = sqliteStore(file)
      const [last] = store.list({ limit: 1 })
      store.close()
      return { name, ok: true, detail: last === undefined ? `${file}, empty` : `${file}, last run ${last.startedAt}` }
    }
    let folder = dirname(resolve(file))
    while (!existsSync(folder)) folder = dirname(folder)
    accessSync(folder, constants.W_OK)
    return { name, ok: true, detail: `${file}, made with the first run` }
  } catch (error) {
    if (error instanceof CaesuraError) return fromFault(name, error)
    return { name, ok: false, detail: `${file} cannot be written`, next: 'Choose another with CAESURA_RECORDS.' }
  }
}

/** Lines, unended. */
export function findingLines(
  findings: readonly Finding[],
  usable: boolean,
  { width, paint }: Pick<Screen, 'width' | 'paint'>,
): string[] {
  const nameWidth = Math.max(...findings.map(({ name }) => name.length))
  const hanging = ' '.repeat('missing'.length + nameWidth + 3)
  const lines = findings.flatMap(({ name, ok, detail, next }) => {
    const state = (ok ? 'ok' : 'missing').padEnd('missing'.length)
    const [first = '', ...rest] = paragraph(detail, width - hanging.length)
    const steps = next === undefined ? [] : paragraph(`→ ${next}`, width, hanging)
    return [
      `${paint(ok ? 'good' : 'bad', state)}  ${name.padEnd(nameWidth)} ${first}`,
      ...rest.map((line) => hanging + line),
      ...steps,
    ]
  })
  const isOk = (...names: readonly string[]) => findings.every(({ name, ok }) => ok || !names.includes(name))
  const verdict = isOk(REDIS) ? 'A pipeline can run here.' : 'A pipeline can run here, but not on the fleet.'
  const hasEngine = findings.some(({ name, ok }) => ok && name === 'node-llama-cpp')
  const missing =
    hasEngine && isOk('bundled model', 'configuration')
      ? 'A pipeline can run here with --backend embedded only.'
      : 'No pipeline can run here yet.'
  return [...lines, '', usable ? verdict : paint('bad', missing)]
}
