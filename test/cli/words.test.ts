import { describe, expect, it } from 'vitest'
import { answersInWords } from '../../src/cli/answer-words.ts'
import { findingLines } from '../../src/cli/doctor.ts'
import { explanation, explanationLines } from '../../src/cli/explain.ts'
import { endReport, interruptReport } from '../../src/cli/report.ts'
import { runsTable } from '../../src/cli/runs.ts'
import { harmless, oneLine, paragraph, plain } from '../../src/cli/screen.ts'
import { callsInWords, costInWords, interruptInWords } from '../../src/cli/words.ts'
import type { CallRecord, InterruptRecord } from '../../src/core/record.ts'
import { counted, listed, milliseconds, share } from '../../src/pages/figures.ts'
import { explain } from '../../src/records/explaining/explanation.ts'
import { abortInterrupt, interruptedRun, plainRun } from '../records.ts'

const canvas = { width: 80, paint: plain }

describe('interruptInWords', () => {
  it('names the phases, longest first, the small ones together', () => {
    expect(interruptInWords(abortInterrupt)).toBe(
      '100 ms from the interrupt to the first token of refine: 87 ms prefill of refine (inferred), 9.9 ms waiting for draft to be cancelled, 2.0 ms that no observation explains (unattributed), 1.1 ms for the rest (decide and slot).',
    )
  })

  it('names what could be, where no observation tells which', () => {
    const phases: InterruptRecord['phases'] = [
      { name: 'prefill', ms: 60, source: 'inferred' },
      { name: 'unattributed', ms: 40, source: 'observed', candidates: ['server-queue', 'first-token'] },
    ]
    expect(interruptInWords({ ...abortInterrupt, phases })).toBe(
      '100 ms from the interrupt to the first token of refine: 60 ms prefill of refine (inferred), 40 ms unattributed: server-queue or first-token, and no observation tells which.',
    )
  })

  it('says how long whoever sent the signal waited, where that is longer', () => {
    const phases = [{ name: 'prefill' as const, ms: 100, source: 'observed' as const }]
    const debounced = { ...abortInterrupt, phases, at: 160, firstSignalAt: 60, toFirstTokenFromSignalMs: 200 }
    expect(interruptInWords(debounced)).toBe(
      '100 ms from the interrupt to the first token of refine: 100 ms prefill of refine. Whoever sent the first signal waited 200 ms: it came 100 ms before the interrupt.',
    )
    const same = { ...debounced, firstSignalAt: 159.5, toFirstTokenFromSignalMs: 100.5 }
    expect(interruptInWords(same)).not.toContain('Whoever')
  })

  it('says nothing of a first token that was not observed', () => {
    const { toFirstTokenMs: _, to: __, ...interrupt } = abortInterrupt
    expect(interruptInWords({ ...interrupt, phases: [] })).toBe('The run ended with it; no further stage began.')
    expect(interruptInWords({ ...interrupt, to: 'refine', phases: [] })).toBe('No first token of refine was seen.')
    expect(interruptInWords({ ...interrupt, superseded: true, phases: [] })).toBe(
      'A newer interrupt took its place before the next stage began.',
    )
  })
})

it('tells how an answer came, and why a report is not used', () => {
  expect(callsInWords(interruptedRun)).toEqual([])
  const [draft, refine] = interruptedRun.stages
  const told = callsInWords({
    stages: [
      { ...draft!, arrival: 'bunched', firstTokenMs: 40 },
      { ...refine!, lateLoopMs: 287, server: { totalMs: 9, unused: 'its total is too long' } },
    ],
  })
  expect(told).toEqual([
    'The answer of draft came all at once at 40 ms: something between here and the model holds it back, such as a proxy that buffers.',
    'The process that made the call of refine was busy: it read a part of the answer up to 287 ms late.',
    'The durations that the server of refine reported are not used: its total is too long.',
  ])
  const record = { ...interruptedRun, stages: [{ ...draft!, arrival: 'bunched' as const }] }
  expect(endReport(record, canvas).join(' ')).toContain('The answer of draft came all at once')
  expect(explanation(explain(record, { records: [] })).remarks).toHaveLength(1)
})

it('tells what a run cost', () => {
  expect(costInWords(interruptedRun)).toBe(
    '72 tokens in 398 ms of slot time; wasted: 12 tokens and 69 ms of slot time (17 %).',
  )
  expect(costInWords(plainRun)).toBe('60 tokens in 329 ms of slot time; nothing was wasted.')
  const cost = { generatedTokens: 0, wastedTokens: 0, slotMs: 0, wastedSlotMs: 0 }
  expect(costInWords({ ...plainRun, cost })).toBe('No slot was used and no token generated.')
})

describe('answers that are not whole', () => {
  const told = (more: Partial<CallRecord>, tokens: Partial<CallRecord['tokens']> = {}) => {
    const [call] = plainRun.stages
    return answersInWords({ ...plainRun, stages: [{ ...call!, ...more, tokens: { ...call!.tokens, ...tokens } }] })
  }
  const none = { firstTokenMs: undefined } as unknown as Partial<CallRecord>

  it.each([
    [{ finishReason: 'stop' }, {}, []],
    [{ finishReason: 'length', options: { maxTokens: 4 } }, {}, []],
    [{ finishReason: 'length', options: {} }, {}, [/was cut at a limit that the stage does not set/]],
    [{ finishReason: 'content-filter' }, {}, [/^A content filter of the server cut the answer of only\.$/]],
    [
      { finishReason: 'tool-calls', toolCalls: [{ name: 'f' }, { name: 'g' }] },
      {},
      [/asked for the tools f, g, which no stage/],
    ],
    [{ finishSaid: 'whim' }, {}, [/ended the answer of only with "whim"/]],
    [
      { ...none, finishReason: 'length' },
      { thinking: 8 },
      [/has no text: its limit .* \(8 tokens\)\. A larger options\.maxTokens/],
    ],
    [{ ...none, toolCalls: [{ name: 'f' }] }, {}, [/has no text: the model asked for the tool f instead\.$/]],
    [{ ...none, settlement: 'aborted' }, { thinking: 8 }, []],
    [{ ...none, settlement: 'failed' }, {}, []],
  ] as const)('%j %j', (more, tokens, words) => {
    const sentences = told(more as Partial<CallRecord>, tokens)
    expect(sentences).toHaveLength(words.length)
    for (const [index, word] of words.entries()) expect(sentences[index]).toMatch(word)
  })

  it('are told at the end of a run, with what it thought and what was received', () => {
    const [call, ...rest] = plainRun.stages
    const stages = [
      { ...call!, finishReason: 'content-filter' as const, tokens: { ...call!.tokens, thinking: 7 } },
      ...rest,
    ]
    const error = { code: 'CAESURA_E_PROTOCOL', message: 'odd', received: '{"x":1}' }
    const text = endReport({ ...plainRun, stages, outcome: 'failed', error }, { ...canvas, width: 200 }).join('\n')
    expect(text).toContain('60 tokens (7 of thinking) in')
    expect(text).toContain('A content filter of the server cut the answer of only.')
    expect(text).toContain('CAESURA_E_PROTOCOL: odd (received: {"x":1})')
  })
})

it('heads each interrupt with its place and what was decided', () => {
  expect(interruptReport(interruptedRun, canvas).slice(0, 2)).toEqual(['', 'Interrupt of draft at 60 ms → abort'])
  const twice = { ...interruptedRun, interrupts: [{ ...abortInterrupt, superseded: true }, abortInterrupt] }
  expect(interruptReport(twice, canvas)).toContain('Interrupt 2 of draft at 60 ms → abort')
})

it('ends with the outcome and its reason', () => {
  expect(endReport({ ...plainRun, outcome: 'cancelled', cancelReason: 'SIGINT' }, canvas)).toEqual([
    '',
    'cancelled (SIGINT) in 400 ms; 60 tokens in 329 ms of slot time; nothing was',
    'wasted.',
  ])
  const error = { code: 'CAESURA_E_TIMEOUT_STALL', message: 'no token for 5 s' }
  expect(endReport({ ...plainRun, outcome: 'failed', error }, canvas).at(-1)).toBe(
    'CAESURA_E_TIMEOUT_STALL: no token for 5 s',
  )
})

it('lists runs in columns; what was not observed stays empty', () => {
  const summary = {
    pipeline: 'draft-refine',
    outcome: 'completed' as const,
    startedAt: '2026-08-01T10:00:00.000Z',
    durationMs: 400,
    interrupts: 1,
  }
  expect(
    runsTable(
      [
        { ...summary, runId: '01JABCDEF0', toFirstTokenMs: 100, wastedTokens: 12 },
        {
          ...summary,
          runId: '01JXYZ0000',
          wastedTokens: 0,
          pipeline: 'a-pipeline-with-a-name-that-fits-on-no-line-of-any-terminal',
        },
      ],
      canvas,
    ),
  ).toEqual([
    'run       started (UTC)        outcome      took  to token  wasted  pipeline',
    '01JABCDE  2026-08-01 10:00:00  completed  400 ms    100 ms      12  draft-refine',
    '01JXYZ00  2026-08-01 10:00:00  completed  400 ms                 0  a-pipeline-…',
  ])
})

it('explains a run in at most 80 columns, and in JSON with the share of each phase', () => {
  const lines = explanationLines(explain(interruptedRun, { records: [] }), canvas)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
  expect(lines).toContain('  decision      abort')
  const { interrupts } = explanation(explain(interruptedRun, { records: [] }))
  expect(interrupts[0]?.phases.map((phase) => phase.share)).toEqual([0.001, 0.099, 0.01, 0.87, 0.02])
})

it('tells what is missing and the next step', () => {
  expect(
    findingLines(
      [
        { name: 'Node', ok: true, detail: '24.0.0' },
        { name: 'Ollama', ok: false, detail: 'no server', next: 'ollama serve' },
      ],
      false,
      canvas,
    ),
  ).toEqual([
    'ok       Node   24.0.0',
    'missing  Ollama no server',
    '                → ollama serve',
    '',
    'No pipeline can run here yet.',
  ])
})

describe('figures', () => {
  it.each([
    [0, '0 ms'],
    [0.000001, '<0.01 ms'],
    [0.04, '0.04 ms'],
    [0.999, '1.0 ms'],
    [3.21, '3.2 ms'],
    [9.99, '10 ms'],
    [143.4, '143 ms'],
    [999.7, '1.00 s'],
    [12_345, '12.3 s'],
    [59_990, '1 m 00 s'],
    [125_000, '2 m 05 s'],
    [12_000_000, '3 h 20 m'],
  ])('%f ms is %s', (ms, text) => {
    expect(milliseconds(ms)).toBe(text)
  })

  it('counts, lists, shares', () => {
    expect([counted(1, 'token'), counted(2, 'token')]).toEqual(['1 token', '2 tokens'])
    expect([listed([]), listed(['a']), listed(['a', 'b', 'c'])]).toEqual(['', 'a', 'a, b and c'])
    expect([share(0, 10), share(0.01, 10), share(5, 10), share(1, 0)]).toEqual(['0 %', '<1 %', '50 %', '0 %'])
  })
})

describe('text for a terminal', () => {
  it('holds nothing that a terminal obeys', () => {
    expect(harmless('a\u001b[31mb\u001b]0;title\u0007c\td\u202e\r\n')).toBe('abc  d\n')
  })

  it('is cut to one line', () => {
    expect(oneLine('one\ntwo  three', 80)).toBe('one two three')
    expect(oneLine('one two three', 8)).toBe('one two…')
  })

  it('keeps a figure and its unit on one line', () => {
    expect(paragraph('it took 143 ms', 13)).toEqual(['it took', '143 ms'])
  })
})
