import { didYouMean } from '../../core/problems.ts'
import type { Turn } from '../../core/turn.ts'
import { paragraph, type Screen } from '../screen.ts'

/** What a line that begins with a slash asks for. */
export const commands = {
  policy: 'use another policy from the next turn on: /policy drain, /policy {response: hold}',
  explain: 'where the time of the last interrupt went',
  history: 'what was said so far',
  help: 'these lines',
  quit: 'end, as Ctrl-D does',
} as const

export type CommandName = keyof typeof commands

/** A line as it is meant. `say` is what goes to the model. */
export type Line =
  | { readonly kind: 'say'; readonly text: string }
  | { readonly kind: 'command'; readonly name: CommandName; readonly argument: string }
  | { readonly kind: 'unknown'; readonly sentence: string }

/** Reads a typed line. One that begins with a blank is said, whatever follows. */
export function readLine(line: string): Line {
  const [, name, argument = ''] = /^\/(\S*)\s*(.*)$/s.exec(line) ?? []
  if (name === undefined) return { kind: 'say', text: line.trim() }
  if (isCommand(name)) return { kind: 'command', name, argument: argument.trim() }
  const hint = didYouMean(
    `/${name}`,
    Object.keys(commands).map((each) => `/${each}`),
  )
  return { kind: 'unknown', sentence: `There is no command /${name}. ${hint ?? '/help lists them.'}` }
}

const isCommand = (name: string): name is CommandName => Object.hasOwn(commands, name)

const keys = [
  ['Enter', 'says the line; while an answer goes on, it interrupts'],
  ['Ctrl-C', 'cancels the answer; twice within a second ends'],
  ['Ctrl-D', 'ends'],
] as const

/** Lines, unended. */
export function helpLines({ width }: Pick<Screen, 'width'>): string[] {
  const rows = [...keys, ...Object.entries(commands).map(([name, what]) => [`/${name}`, what] as const)]
  const column = Math.max(...rows.map(([name]) => name.length)) + 2
  return rows.flatMap(([name, what]) => paragraph(what, width, `  ${name.padEnd(column)}`, ' '.repeat(column + 2)))
}

/** The turns as the conversation keeps them. Lines, unended. */
export function historyLines(turns: readonly Turn[], { width, paint }: Pick<Screen, 'width' | 'paint'>): string[] {
  if (turns.length === 0) return ['  Nothing was said yet.']
  return turns.flatMap(({ input, text, cut, end }) => {
    const answer = text ?? (end === undefined ? 'no answer yet' : 'no answer')
    return [
      ...paragraph(input, width, '  you     ', '          '),
      ...paragraph(cut ? `${answer} [cut]` : answer, width, '  answer  ', '          ').map((line) =>
        text === undefined ? paint('quiet', line) : line,
      ),
    ]
  })
}
