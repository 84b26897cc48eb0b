import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import type { Command, ResponseDefinition } from '../../src/core/policy.ts'
import { definePipelineWith } from '../../src/pipelines/pipeline-schema.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'
import { check, type Moment, rows } from './response-table.ts'

// A test of the tests: each list of commands of each response is changed in all small ways. The table of responses.test.ts must
// notice every one; and a reader of runs must, save for those that are listed here with the reason why no run can differ.

interface Mutant {
  readonly name: string
  readonly response: ResponseDefinition
}

/** Changes one list of commands, wherever this response gives it at this moment. */
function change(response: ResponseDefinition, moment: Moment, list: string, into: Change['into']): ResponseDefinition {
  const changed = (commands: readonly Command[]) => (typesOf(commands) === list ? into(commands) : commands)
  if (moment === 'start') return { ...response, start: (view, parameter) => changed(response.start(view, parameter)) }
  const react = response.on![moment] as (...all: unknown[]) => readonly Command[]
  return { ...response, on: { ...response.on, [moment]: (...all: unknown[]) => changed(react(...all)) } }
}

const typesOf = (commands: readonly Command[]): string => commands.map(({ type }) => type).join(' ')

interface Change {
  readonly what: string
  readonly into: (commands: readonly Command[]) => readonly Command[]
}
const changesOf = (types: readonly string[]): Change[] =>
  types.flatMap((type, at) => [
    { what: `drop ${type}`, into: (commands) => commands.toSpliced(at, 1) },
    { what: `double ${type}`, into: (commands) => commands.toSpliced(at, 0, commands[at]!) },
    ...types.slice(at + 1).map((other, ahead) => ({
      what: `swap ${type} and ${other}`,
      into: (commands: readonly Command[]) =>
        commands.with(at, commands[at + 1 + ahead]!).with(at + 1 + ahead, commands[at]!),
    })),
  ])

const mutantsOf = (response: ResponseDefinition): Mutant[] => {
  const mutants = new Map<string, Mutant>()
  for (const [name, , , wanted] of rows) {
    if (name !== response.name) continue
    for (const [moment, commands] of Object.entries(wanted) as [Moment, string[]][]) {
      const types = commands.map((command) => command.split(' ')[0]!)
      for (const { what, into } of changesOf(types)) {
        const key = `${name} ${moment} [${types.join(' ')}]: ${what}`
        mutants.set(key, { name: key, response: change(response, moment, types.join(' '), into) })
      }
    }
  }
  return [...mutants.values()]
}

/** Changes that no run can show, by what their name matches. */
const invisible: readonly [RegExp, because: string][] = [
  [/: double /, 'an order that makes no sense any more is ignored: it is cancelled, fired, held, told or set already'],
  [/: swap .*\b(decide|setDeadline)\b/, 'a decision is told before all orders; a deadline only matters after them'],
  [/: swap cancelCall and fireWhenSettled/, 'the call can settle only after both: each stands'],
  // The run goes on when the call has settled, no deadline is set and nothing was fired, whatever the response forgot.
  [/ (start|deadline) .*cancelCall.*: drop fireWhenSettled/, 'the cancelled call settles, and the run goes on'],
  [/adaptive .*Settled decide.: drop fireWhenSettled/, 'it is told what was decided, and the run goes on all the same'],
  [/race callSettled .*: (drop fireNext|swap)/, 'the next call is withdrawn, the old one has settled, the run goes on'],
]

/** How a file writes them, where the bare name does not show all they do. */
const policies: Readonly<Record<string, readonly unknown[]>> = {
  grace: [{ grace: 100 }, { grace: 30 }],
  boundary: ['boundary', { boundary: { cap: 10 } }],
  hold: [{ hold: { confirm: 50 } }, { hold: { confirm: 30, otherwise: 'abort' } }],
  adaptive: ['adaptive', { adaptive: { slotPrice: 100 } }],
}
/** When signals come, ms: before the first token, in mid-sentence, twice, shortly before the draft ends by itself at 130 ms. */
const signals = [[20], [65], [75, 105], [110]]
const answers = [speak('Done. Now what?', { firstTokenMs: 30 }), { tokens: [], firstTokenMs: 30 }]

/** All that a reader sees of a set of runs, one by one. */
async function* runsOf(response: ResponseDefinition): AsyncGenerator<string> {
  const responses = catalogue.responses.map((shipped) => (shipped.name === response.name ? response : shipped))
  const own = { ...catalogue, responses }
  for (const written of policies[response.name] ?? [response.name]) {
    const pipeline = definePipelineWith(own, {
      name: 'p',
      stages: [
        { id: 'draft', model: 'm', prompt: 'x', policy: { response: written } },
        { id: 'refine', model: 'm', prompt: '{{ interrupt.input }}|{{ draft.output }}' },
      ],
    })
    for (const answer of answers) {
      for (const times of signals) {
        const started = scriptedRun(pipeline, {
          settings: { catalogue: own },
          slots: 3,
          runId: 'r',
          signals: times.map((afterMs) => ({ afterMs, input: `at ${afterMs}` })),
          script: ({ stage }) =>
            stage === 'draft' ? speak('One two three. Four five six seven eight nine.', { abortMs: 7 }) : answer,
        })
        const { traceId: _, ...record } = await started.finish()
        yield JSON.stringify([record, started.events.slice(1), [...started.prompts]])
      }
    }
  }
}

async function isSeen(mutant: ResponseDefinition, shipped: readonly string[]): Promise<boolean> {
  let index = 0
  for await (const run of runsOf(mutant)) if (run !== shipped[index++]) return true
  return false
}

const isCaught = (mutant: ResponseDefinition): boolean =>
  rows.some((row) => {
    if (row[0] !== mutant.name) return false
    try {
      check(mutant, row)
      return false
    } catch {
      return true
    }
  })

describe.each(catalogue.responses.map((response) => [response.name, response] as const))(
  'a mutant of %s',
  (_, response) => {
    const mutants = mutantsOf(response)

    it('is caught by the table of responses', () => {
      expect(mutants.length).toBeGreaterThan(1)
      expect(mutants.filter((mutant) => !isCaught(mutant.response)).map(({ name }) => name)).toEqual([])
    })

    it('is seen in a run, unless it is known that none can differ', async () => {
      const shipped = await Array.fromAsync(runsOf(response))
      const [unseen, wanted]: [string[], string[]] = [[], []]
      for (const { name, response: mutant } of mutants) {
        if (!(await isSeen(mutant, shipped))) unseen.push(name)
        if (invisible.some(([pattern]) => pattern.test(name))) wanted.push(name)
      }
      expect(unseen).toEqual(wanted)
    })
  },
)
