import { readFileSync } from 'node:fs'
import { endedAnswer } from '../core/engine.ts'

/** A parameter of a command. */
export type Parameter = string | number

/**
 * One step on Redis that must be whole, written in Lua: `commands/FILE.lua` says what its parameters are and what it answers. The types
 * here say the same.
 */
interface Command<P extends readonly Parameter[], A extends readonly [string, ...unknown[]]> {
  readonly file: string
  /** It begins with what the commands share (`commands/parts.lua`). */
  readonly shares: boolean
  /** It does the same for many at once: for each, how many parameters it has, and these. */
  readonly each: boolean
  /** Never set: they carry the types. */
  readonly parameters?: P
  readonly answer?: A
}

const command = <P extends readonly Parameter[], A extends readonly [string, ...unknown[]]>(
  file: string,
  { shares = false, each = false } = {},
): Command<P, A> => ({ file, shares: shares || each, each })

type Many = readonly Parameter[]
type NewRun = [pipeline: string, by: string, mostWaiting: number | '']

/**
 * All commands. Keys are built inside of them from the prefix, all with its one hash tag, so that they run on a cluster too. Each
 * answers with a list whose first entry says what happened.
 */
export const commands = {
  submit: command<
    | [runId: string, spec: string, nowMs: number, tenant: string]
    | [...run: [string, string, number, string], ...NewRun]
    | [...run: [string, string, number, string], ...NewRun, session: string, keepMs: number],
    ['ok', number] | ['exists'] | ['foreign'] | ['full', waiting: number]
  >('submit', { shares: true }),
  say: command<
    [
      ...run: [runId: string, spec: string, nowMs: number, tenant: string, ...NewRun],
      ...inSession: [session: string, keepMs: number, busy: string, signal: string, signalId: string],
    ],
    | ['run', living: number | string]
    | ['signal' | 'queue', live: string]
    | ['busy']
    | ['exists']
    | ['foreign']
    | ['full', waiting: number]
  >('say', { shares: true }),
  nextRun: command<[runId: string, keepMs: number], ['ok', runId: string]>('next-run', { shares: true }),
  correctTurn: command<[session: string, runId: string, number: number, turn: string], ['ok'] | ['changed']>(
    'correct-turn',
    { shares: true },
  ),
  deleteSession: command<[session: string, tenant: string, anyTenant: '0' | '1'], ['ok', live: string] | ['gone']>(
    'delete-session',
    { shares: true },
  ),
  listRuns: command<
    [
      from: 'live' | 'ended',
      tenant: string,
      pipeline: string,
      outcome: string,
      score: string,
      runId: string,
      limit: number,
      mostLookedAt: number,
    ],
    ['ok', score: string, runId: string, lines: (string | null)[][]]
  >('list-runs'),
  enlist: command<[runId: string, keepMs: number, line: string, outcome: string, pipeline: string], ['ok'] | ['gone']>(
    'enlist',
    { shares: true },
  ),
  claimRun: command<
    [runId: string, epoch: number, inbox: string, suspect: number, deadly: number, alone: '0' | '1'],
    | ['ok', fields: string[], signals: number]
    | ['older', string]
    | ['ended']
    | ['unknown']
    | ['suspect' | 'deadly', crashes: number]
    | ['broken', what: string]
  >('claim-run', { shares: true }),
  releaseRun: command<[runId: string, epoch: number, inbox: string, leaves: '0' | '1'], ['ok']>('release-run', {
    shares: true,
  }),
  buryRun: command<
    [
      runId: string,
      entry: string,
      most: number,
      error: string,
      ms: number,
      keepMs: number,
      nowMs: number,
      keepMost: number,
      epoch: number | '',
    ],
    ['ok', nextRun: string] | ['older'] | ['ended']
  >('bury-run', { shares: true }),
  appendAll: command<Many, ['ok', ...unknown[]]>('append-all', { each: true }),
  claimCall: command<
    [
      runId: string,
      callId: string,
      claim: string,
      queue: string,
      node: string,
      lost: string,
      worker: string,
      models: string,
    ],
    ['ok', request: string] | ['gone'] | ['ended'] | ['moved'] | ['taken'] | ['lost'] | ['elsewhere']
  >('claim-call', { shares: true }),
  tellAll: command<Many, ['ok', ...unknown[]]>('tell-all', { each: true }),
  moveCall: command<[runId: string, callId: string, queue: string], ['ok'] | ['late']>('move-call'),
  endCall: command<
    [runId: string, callId: string, batch: string, why: 'lost' | 'anyway'],
    ['ended'] | ['kept'] | ['gone']
  >('end-call', { shares: true }),
  checkCall: command<[runId: string, callId: string], ['waits'] | ['asked'] | ['kept']>('check-call'),
  declineCall: command<[runId: string, callId: string, claim: string], ['ok'] | ['kept']>('decline-call', {
    shares: true,
  }),
  signal: command<
    [runId: string, payload: string, id: string, reason: string],
    ['ok', number] | ['ended'] | ['unknown'] | ['broken']
  >('signal', { shares: true }),
  follow: command<[runId: string, inbox: string], ['ok', status: string, seq: string] | ['unknown']>('follow', {
    shares: true,
  }),
  registerNode: command<
    [node: string, worker: string, aliveMs: number, instead: string, ...fields: Parameter[]],
    ['ok'] | ['taken', worker: string, host: string, pid: string]
  >('register-node', { shares: true }),
  forgetNode: command<[node: string, worker: string], ['ok'] | ['taken']>('forget-node'),
} as const

export type CommandName = keyof typeof commands
export type ParametersOf<N extends CommandName> = NonNullable<(typeof commands)[N]['parameters']>
export type AnswerOf<N extends CommandName> = NonNullable<(typeof commands)[N]['answer']>

const fileOf = (name: string): string => readFileSync(new URL(`./commands/${name}.lua`, import.meta.url), 'utf8')

/** The Lua of a command as Redis gets it. */
export function luaOf(name: CommandName): string {
  const { file, shares, each } = commands[name]
  const own = fileOf(file).replaceAll('{{endedAnswer}}', JSON.stringify(endedAnswer))
  return [shares ? fileOf('parts') : '', own, each ? fileOf('for-each') : ''].join('\n')
}
