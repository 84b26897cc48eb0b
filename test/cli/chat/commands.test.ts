import { describe, expect, it } from 'vitest'
import { commands, helpLines, historyLines, readLine } from '../../../src/cli/chat/commands.ts'
import { plain } from '../../../src/cli/screen.ts'

const canvas = { width: 60, paint: plain }

describe('a typed line', () => {
  it.each([
    ['how?', { kind: 'say', text: 'how?' }],
    [' /help is a word', { kind: 'say', text: '/help is a word' }],
    ['/policy  {response: drain} ', { kind: 'command', name: 'policy', argument: '{response: drain}' }],
    ['/quit', { kind: 'command', name: 'quit', argument: '' }],
  ])('%j is read', (line, meant) => {
    expect(readLine(line)).toEqual(meant)
  })

  it.each(['/hepl', '/', '/toString'])('%j is no command', (line) => {
    const meant = readLine(line)
    expect(meant.kind === 'unknown' && meant.sentence).toContain(`There is no command ${line}.`)
  })
})

it('/help has each command', () => {
  for (const name of Object.keys(commands)) expect(helpLines(canvas).join('\n')).toContain(`  /${name} `)
})

it('/history marks what was cut and says where there was no answer', () => {
  const turn = { runId: 'r', at: 0 }
  expect(
    historyLines(
      [
        { ...turn, number: 1, input: 'How?', text: 'Fill', cut: true, end: 'interrupted' },
        { ...turn, number: 2, input: 'No.', end: 'cancelled' },
        { ...turn, number: 3, input: 'Well?' },
      ],
      canvas,
    ),
  ).toEqual([
    '  you     How?',
    '  answer  Fill [cut]',
    '  you     No.',
    '  answer  no answer',
    '  you     Well?',
    '  answer  no answer yet',
  ])
  expect(historyLines([], canvas)).toEqual(['  Nothing was said yet.'])
})
