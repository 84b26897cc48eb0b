import { Redis } from 'ioredis'
import { CaesuraError } from '../../src/core/errors.ts'
import type { RunEvent } from '../../src/core/event.ts'
import type { Fleet } from '../../src/core/fleet.ts'
import type { Pipeline } from '../../src/core/pipeline.ts'
import type { RunRecord } from '../../src/core/record.ts'
import { fleetKeys } from '../../src/workers/keys.ts'
import type { Chance } from '../chaos/chance.ts'
import { ordinary } from '../chaos/pipelines.ts'
import type { Story } from '../chaos/verify.ts'
import type { House } from './house.ts'
import { type Allowance, check, type Findings } from './oracle.ts'
import { FLOOD, flood, floodTokens, poison, poisonInput } from './pipelines.ts'
import { FLUSH } from './weather.ts'

const keys = fleetKeys()

/** A run that the API may give another name. */
type Named = Omit<Story, 'runId'> & { runId: string }

const LOOK_MS = 500
const HALF_EMOJI = '\ud83d'
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const codeOf = (error: unknown) => (error instanceof CaesuraError ? error.code : undefined)

/** How many of each there were. */
export interface Counts {
  runs: number
  interrupts: number
  cancels: number
  floods: number
  poisoned: number
  /** Runs whose input is half an emoji at its end: they are asked with what stands for a character that is none. */
  broken: number
  /** Submissions that waited for room. */
  waited: number
  /** Runs that were forgotten with all that Redis had. */
  flushed: number
}

/** Ordinary runs with known answers, and some that are not ordinary, as long as `goesOn` says. */
export class Traffic {
  readonly counts: Counts = {
    ...{ runs: 0, interrupts: 0, cancels: 0, floods: 0, poisoned: 0, broken: 0, waited: 0, flushed: 0 },
  }
  /** Of each run, ms. */
  readonly tookMs: number[] = []
  readonly #house: House
  readonly #fleet: Fleet
  readonly #findings: Findings
  readonly #chance: Chance
  readonly #looking: Redis
  allowance: Allowance

  constructor(parts: { house: House; fleet: Fleet; findings: Findings; chance: Chance; allowance: Allowance }) {
    this.#house = parts.house
    this.#fleet = parts.fleet
    this.#findings = parts.findings
    this.#chance = parts.chance
    this.allowance = parts.allowance
    this.#looking = new Redis(parts.house.redis.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
    this.#looking.on('error', () => undefined)
  }

  /** So many runs at a time. Resolves when all have ended, or are stuck. */
  async play(lanes: number, goesOn: () => boolean): Promise<void> {
    const lane = async () => {
      while (goesOn()) await this.#one()
    }
    await Promise.all(Array.from({ length: lanes }, lane))
  }

  close(): void {
    this.#looking.disconnect()
  }

  async #one(): Promise<void> {
    const what = this.#chance.next()
    const number = ++this.counts.runs
    const story: Named = {
      ...{ runId: `storm-${number}`, input: `question ${number}`, cancelled: false, signals: [], events: [] },
    }
    const beganAt = performance.now()
    const follow = async () => {
      if (what < 0.1) return this.#odd(story, poison, poisonInput, isRefusedTemplate)
      if (what < 0.15) return this.#odd(story, flood, story.input, isWholeFlood)
      if (what < 0.2)
        return this.#ordinary({ ...story, input: `${story.input} \ufffd` }, `${story.input} ${HALF_EMOJI}`)
      return this.#ordinary(story)
    }
    try {
      await follow()
    } catch (error) {
      this.#failed(story, error, beganAt)
    }
    this.tookMs.push(performance.now() - beganAt)
  }

  /** `input`: as it is sent, where that is not what the run is to be asked. */
  async #ordinary(story: Named, input = story.input): Promise<void> {
    const beganAt = performance.now()
    const pipeline = this.#chance.pick(ordinary)
    const byApi = this.#chance.next() < 0.3
    if (input !== story.input) this.counts.broken += 1
    story.runId = await this.#submit(story, pipeline, { input, byApi })
    const what = this.#chance.next()
    if (what < 0.5) setTimeout(() => this.#interrupt(story), this.#chance.between(100, 500))
    else if (what < 0.6) setTimeout(() => this.#cancel(story), this.#chance.between(0, 500))
    const record = await this.#end(story, beganAt, !byApi)
    if (record === undefined) return
    story.record = record
    const entries = await this.#looking.xrange(keys.events(story.runId), '-', '+')
    if (entries.length === 0 && this.allowance.met(FLUSH, beganAt, performance.now())) return
    check(
      story,
      entries.map(([, [, event]]) => JSON.parse(event!) as RunEvent),
      this.#findings,
    )
  }

  /** A run of which only the end is known. */
  async #odd(story: Named, pipeline: Pipeline, input: string, isRight: (record: RunRecord) => boolean): Promise<void> {
    const beganAt = performance.now()
    if (pipeline.name === FLOOD) this.counts.floods += 1
    else this.counts.poisoned += 1
    await this.#submit(story, pipeline, { input, byApi: false })
    const record = await this.#end(story, beganAt, false)
    if (record !== undefined && !isRight(record))
      this.#findings.wrongText.push(
        `${story.runId} (${pipeline.name}): ${record.outcome} ${record.error?.code ?? ''} ${record.error?.message ?? ''}`,
      )
  }

  /** The id of the run. A fleet that is full, or away, is asked again with the same id or key, which starts nothing twice. */
  async #submit(
    { runId }: Named,
    pipeline: Pipeline,
    { input, byApi }: { input: string; byApi: boolean },
  ): Promise<string> {
    for (;;) {
      if (byApi) {
        const taken = await this.#post(pipeline, input, runId)
        if (taken !== undefined) return taken
      } else
        try {
          return (await this.#fleet.submit(pipeline, { input, runId })).runId
        } catch (error) {
          if (codeOf(error) !== 'CAESURA_E_FLEET_FULL') throw error
        }
      this.counts.waited += 1
      await pause(LOOK_MS)
    }
  }

  /** The id that the API gave the run; undefined where it did not take it now. Throws where it never will. */
  async #post(pipeline: Pipeline, input: string, key: string): Promise<string | undefined> {
    const url = this.#house.of('api')[0]?.ready
    if (url === undefined) return undefined
    const answer = await fetch(`${url}/v1/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ pipeline: pipeline.name, input }),
      signal: AbortSignal.timeout(10_000),
    })
      .then(async (response) => ({ status: response.status, text: await response.text() }))
      .catch(() => undefined)
    if (answer === undefined || answer.status === 429 || answer.status >= 500) return undefined
    if (answer.status > 201) throw new Error(`POST /v1/runs: ${answer.status} ${answer.text.slice(0, 300)}`)
    return (JSON.parse(answer.text) as { runId: string }).runId
  }

  /** The record of a run that has ended; undefined where that is told as a finding. */
  async #end(story: Named, beganAt: number, reads: boolean): Promise<RunRecord | undefined> {
    const { runId } = story
    const stop = new AbortController()
    const timer = setInterval(() => {
      if (this.allowance.isStuck(beganAt, performance.now())) stop.abort()
    }, LOOK_MS)
    try {
      if (reads) for await (const event of this.#fleet.events(runId, 0, stop.signal)) story.events.push(event)
      for (;;) {
        const run = await this.#fleet.read(runId)
        if (run.record !== undefined) return run.record
        if (run.status === 'ended') {
          this.#findings.lost.push(`${runId}: ${run.dead ?? 'ended without a record'}`)
          return undefined
        }
        if (stop.signal.aborted) {
          const ms = Math.round(performance.now() - beganAt)
          const last = JSON.stringify(story.events.at(-1) ?? {}).slice(0, 200)
          this.#findings.stuck.push(`${runId}: ${run.status} after ${ms} ms, last event ${last}`)
          return undefined
        }
        await pause(LOOK_MS / 2)
      }
    } finally {
      clearInterval(timer)
    }
  }

  #failed({ runId }: Named, error: unknown, beganAt: number): void {
    if (codeOf(error) === 'CAESURA_E_RUN_UNKNOWN' && this.allowance.met(FLUSH, beganAt, performance.now()))
      this.counts.flushed += 1
    else this.#findings.lost.push(`${runId}: ${String(error)}`)
  }

  #interrupt(story: Named): void {
    const input = `change of ${story.runId}`
    story.signals.push(input)
    this.counts.interrupts += 1
    // What was not taken (the run had ended, was flushed) is no fault of the fleet.
    this.#fleet.interrupt(story.runId, { input }).catch(() => undefined)
  }

  #cancel(story: Named): void {
    story.cancelled = true
    this.counts.cancels += 1
    this.#fleet.cancel(story.runId, 'storm').catch(() => undefined)
  }
}

const isWholeFlood = ({ outcome, output }: RunRecord): boolean =>
  outcome === 'completed' && output === floodTokens.join('')

const isRefusedTemplate = ({ outcome, error }: RunRecord): boolean =>
  outcome === 'failed' && error?.code === 'CAESURA_E_TEMPLATE_LIMIT'
