import { shuffler } from 'd3-array'
import { randomExponential } from 'd3-random'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Arm, Experiment, InterruptTimes, OwnTimes } from '../core/experiment.ts'
import { present } from '../core/present.ts'
import { aaName } from './design/experiment-checks.ts'
import { unitOf } from './design/experiment-design.ts'

/** One run to be made. */
export interface PlannedTrial {
  /** Its place in the order of the execution, from 0; warm-ups have none. */
  readonly trial?: number
  readonly arm: string
  readonly session: string
  /** From 0; absent for warm-ups. */
  readonly block?: number
  readonly warmUp?: true
  readonly input: string
  /** For stages that sample. */
  readonly seed: number
  /** From the start of the first stage's call. */
  readonly interruptMs?: number
  /** Instead of a time: with this token of the first stage. */
  readonly interruptTokens?: number
  /** A text that no other trial has; for arms that ask for one. */
  readonly nonce?: string
  /** With an open load: when it begins, from the start of its cell, ms. */
  readonly arrivesMs?: number
}

/** What is made without a change of arm. */
export interface Cell {
  readonly arm: string
  readonly block: number
  /** The runs of each session in order. With an open load: one after the other by `arrivesMs`, in one list. */
  readonly sessions: readonly (readonly PlannedTrial[])[]
}

const WARM_UP_STREAM = 0
const CONTENT_STREAM = 1
const ORDER_STREAM = 2
const ARRIVAL_STREAM = 3
const OWN_TIMES_STREAM = 4
const MOST_SEED = 2_147_483_647

/** Streams of one seed that do not overlap. */
function stream(seed: number, index: number) {
  const generator = xoroshiro128plus(seed)
  for (let jumps = 0; jumps < index; jumps++) generator.jump()
  return {
    unit: () => uniformFloat64(generator),
    whole: (from: number, to: number) => uniformInt(generator, from, to),
  }
}
type Stream = ReturnType<typeof stream>

/** All arms as they are run, that of the A/A arm last. */
export function armsOf({ arms, aa, baseline }: Experiment): readonly Arm[] {
  const base = arms.find(({ name }) => name === baseline)
  return aa && base !== undefined ? [...arms, { ...base, name: aaName(baseline) }] : arms
}

/** How many trials are measured in all. */
export const trialCount = (experiment: Experiment): number =>
  armsOf(experiment).reduce((sum, { repeat = 1 }) => sum + repeat, 0) * experiment.sessions * experiment.turns

/** The warm-ups before the first block, arm by arm. `interrupts` none: they measure the first stage, so nothing cuts it short. */
export function warmUpsOf(experiment: Experiment): PlannedTrial[] {
  const content = contents(experiment, WARM_UP_STREAM)
  const fill = fillFor(experiment)
  return turnsOf(experiment, 1).flatMap((turn) =>
    Array.from({ length: experiment.warmUp }, (_, index): PlannedTrial => {
      const session = `warm-up-${index}-${turn.place}`
      return { arm: turn.arm.name, session, warmUp: true, ...fill(content(), turn) }
    }),
  )
}

/** One of the trials that an arm has in each round. */
interface Turn {
  readonly arm: Arm
  /** The arm's place among all. */
  readonly place: number
  /** From 0, of `of`. */
  readonly part: number
  readonly of: number
}

const turnsOf = (experiment: Experiment, most = Number.POSITIVE_INFINITY): Turn[] =>
  armsOf(experiment).flatMap((arm, place) => {
    const of = arm.repeat ?? 1
    return Array.from({ length: Math.min(of, most) }, (_, part) => ({ arm, place, part, of }))
  })

/**
 * Randomised complete blocks: each has every arm as often as any other block, in an order by chance that puts each arm into each place equally
 * often over as many rounds as there are arms. The sessions of a round get the same prompts, seeds and interrupt times in all arms.
 * Where sessions share a server at the same time, all those of one arm in a block come before the next arm's (switchback).
 */
export function* cellsOf(experiment: Experiment): IterableIterator<Cell> {
  const { sessions, blocks, turns, load } = experiment
  const inBlock = sessions / blocks
  const unit = unitOf(load)
  const content = contents(experiment, CONTENT_STREAM)
  const arrivals = stream(experiment.seed, ARRIVAL_STREAM)
  const fill = fillFor(experiment)
  const rounds = roundsOf(experiment, stream(experiment.seed, ORDER_STREAM))
  const sessionsOfRound = unit === 'cell' ? inBlock : 1
  let trial = 0
  for (let first = 0; first < sessions; first += sessionsOfRound) {
    const block = Math.floor(first / inBlock)
    const shared = Array.from({ length: sessionsOfRound }, () => Array.from({ length: turns }, content))
    const begin = load.kind === 'open' ? poissonTimes(load.perSecond, sessionsOfRound * turns, arrivals) : undefined
    for (const own of rounds()) {
      const planned = shared.map((session, index) =>
        session.map((each, turn): PlannedTrial => {
          const arrivesMs = begin?.[turn * sessionsOfRound + index]
          return {
            arm: own.arm.name,
            session: sessionName(experiment, first + index, own),
            block,
            ...fill(each, own),
            ...present({ arrivesMs }),
          }
        }),
      )
      const ordered =
        begin === undefined ? planned : [planned.flat().sort((a, b) => (a.arrivesMs ?? 0) - (b.arrivesMs ?? 0))]
      yield {
        arm: own.arm.name,
        block,
        sessions: ordered.map((runs) => runs.map((run) => ({ trial: trial++, ...run }))),
      }
    }
  }
}

function sessionName({ sessions }: Experiment, index: number, { place, part, of }: Turn): string {
  const first = String(index).padStart(String(sessions - 1).length, '0')
  return `${first}-${place}${of === 1 ? '' : `-${part}`}`
}

/** What sessions of one round share. */
interface Content {
  readonly prompt: string
  readonly seed: number
  readonly interruptMs?: number
  readonly nonce: number
}

function contents({ workload, seed }: Experiment, index: number): () => Content {
  const random = stream(seed, index)
  const interrupt = interruptsOf(workload.interrupts, random)
  return (): Content => {
    const prompt = workload.prompts[random.whole(0, workload.prompts.length - 1)] ?? ''
    const sampling = random.whole(0, MOST_SEED)
    const interruptMs = interrupt()
    return {
      prompt,
      seed: sampling,
      nonce: random.whole(0, MOST_SEED),
      ...present({ interruptMs }),
    }
  }
}

function interruptsOf(times: InterruptTimes, random: Stream): () => number | undefined {
  let turn = 0
  switch (times.kind) {
    case 'list':
      return () => times.atMs[turn++ % times.atMs.length]
    case 'uniform':
      return () => times.fromMs + random.unit() * (times.toMs - times.fromMs)
    case 'poisson':
      return randomExponential.source(random.unit)(1 / times.meanMs)
    default:
      return () => undefined
  }
}

/**
 * What of a session's content an arm has, with its own interrupts. A nonce is as long in every arm, but another text: what one arm
 * leaves in a prefix cache is of no use to the next.
 */
function fillFor(experiment: Experiment) {
  const random = stream(experiment.seed, OWN_TIMES_STREAM)
  const places = armsOf(experiment).length
  const times = new Map<string, () => number | undefined>()
  return (content: Content, { arm, place, part, of }: Turn) => {
    const mark = (content.nonce ^ ((place + part * places + 1) * 0x9e3779b1)) >>> 0
    const nonce = mark.toString(16).padStart(8, '0')
    return {
      input: experiment.nonce ? `${nonce} ${content.prompt}` : content.prompt,
      seed: content.seed,
      ...(arm.nonce && { nonce }),
      ...(arm.interrupts === undefined ? interruptAt(content.interruptMs) : ownInterrupt(arm.interrupts)),
    }
    function ownInterrupt(own: OwnTimes) {
      if (own.kind === 'tokens') return { interruptTokens: own.after }
      const next =
        times.get(`${place} ${part}`) ?? interruptsOf(own, { ...random, unit: () => (part + random.unit()) / of })
      times.set(`${place} ${part}`, next)
      return interruptAt(next())
    }
  }
}

const interruptAt = (interruptMs: number | undefined) => interruptMs !== undefined && { interruptMs }

/** Arrivals of a Poisson process, ms, rising. */
function poissonTimes(perSecond: number, count: number, random: Stream): number[] {
  const gap = randomExponential.source(random.unit)(perSecond / 1000)
  let at = 0
  return Array.from({ length: count }, () => {
    at += gap()
    return at
  })
}

/** In what order the trials of a round are made: groups are ordered as arms are, and those of a group follow each other. */
function roundsOf(experiment: Experiment, random: Stream): () => readonly Turn[] {
  const byGroup = Map.groupBy(turnsOf(experiment), ({ arm, part }) => `${arm.group} ${part}`)
  const [only, ...others] = [...byGroup.values()].map((turns) => orders(turns, random))
  if (only === undefined || others.length === 0) return only ?? (() => [])
  const groups = orders([only, ...others], random)
  return () => groups().flatMap((turns) => turns())
}

/** Orders of some things: the rows of a Latin square in an order by chance, then those of another one. */
function orders<T>(things: readonly T[], random: Stream): () => readonly T[] {
  const shuffle = shuffler(random.unit)
  let rows: T[][] = []
  return () => {
    if (rows.length === 0) {
      const first = shuffle([...things])
      rows = shuffle(first.map((_, by) => [...first.slice(by), ...first.slice(0, by)]))
    }
    return rows.pop() ?? []
  }
}
