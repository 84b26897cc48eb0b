import { stripVTControlCharacters } from 'node:util'
import { replaceUnsafe } from '../core/unsafe-text.ts'

/** A line of JSON as people read it: the sentence, and below it, indented, the stack of an error and what was captured. */
export function textLine(json: string): string {
  const {
    msg,
    error,
    captured = {},
  } = JSON.parse(json) as {
    msg?: string
    error?: { stack?: string }
    captured?: Record<string, unknown>
  }
  const below = (error?.stack ?? '').split('\n').filter((line) => line !== '')
  for (const [name, value] of Object.entries(captured)) below.push(`${name}: ${JSON.stringify(value)}`)
  return [msg ?? '', ...below.map((line) => `  ${line.trimStart()}`)].map((line) => `${oneLine(line)}\n`).join('')
}

/** What a terminal may see: no escape sequences, no control characters. */
const oneLine = (text: string): string => replaceUnsafe(stripVTControlCharacters(text), () => ' ')
