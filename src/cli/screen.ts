import { stripVTControlCharacters, styleText } from 'node:util'
import stringWidth from 'string-width'
import wrapAnsi from 'wrap-ansi'
import { replaceUnsafe } from '../core/unsafe-text.ts'

/** What text is for; colours follow from it. */
export type Tone =
  | 'heading'
  | 'quiet'
  | 'cut'
  | 'interrupt'
  | 'good'
  | 'bad'
  | 'waiting'
  | 'prefill'
  | 'decode'
  | 'unattributed'

/** Gives text its look; returns it unchanged where there are no colours. */
export type Paint = (tone: Tone, text: string) => string

/** Where people read. */
export interface Screen {
  /** Columns; nothing that is drawn is wider. */
  readonly width: number
  /** Rows that can still be redrawn; absent where nothing may be redrawn. */
  readonly rows?: number
  readonly paint: Paint
  write(text: string): void
}

const styles: Record<Tone, Parameters<typeof styleText>[0]> = {
  heading: 'bold',
  quiet: 'dim',
  cut: ['dim', 'strikethrough'],
  interrupt: 'yellow',
  good: 'green',
  bad: 'red',
  waiting: 'gray',
  prefill: 'blue',
  decode: 'green',
  unattributed: 'red',
}

export const plain: Paint = (_tone, text) => text

/** Below this nothing can be drawn side by side. */
const NARROWEST = 40
const DEFAULT_WIDTH = 80

/**
 * The screen on a stream: colours and redrawing only on a terminal, and none with `NO_COLOR` (which `--no-color` sets)
 * or `TERM=dumb`.
 */
export function screenOn(stream: NodeJS.WriteStream): Screen {
  const live = stream.isTTY === true && process.env.TERM !== 'dumb'
  const colours = live && !process.env.NO_COLOR && stream.hasColors()
  return {
    width: Math.max(NARROWEST, (live && stream.columns) || DEFAULT_WIDTH),
    ...(colours && { rows: stream.rows }),
    // The stream was looked at above: styleText would look at stdout, whatever stream this is.
    paint: colours ? (tone, text) => styleText(styles[tone], text, { validateStream: false }) : plain,
    write: (text) => void stream.write(text),
  }
}

/** Text from a model or a file as a terminal may see it: no escape sequences, no control characters but line breaks. */
export const harmless = (text: string): string =>
  stripVTControlCharacters(text)
    .replaceAll('\t', '  ')
    .split('\n')
    .map((line) => replaceUnsafe(line, () => ''))
    .join('\n')

/** It on one line, cut to `width` columns with an ellipsis. */
export function oneLine(text: string, width: number): string {
  const line = harmless(text).replace(/\s+/g, ' ').trim()
  if (stringWidth(line) <= width) return line
  let kept = ''
  for (const character of line) {
    if (stringWidth(kept + character) > width - 1) break
    kept += character
  }
  return `${kept}…`
}

const JOINT = '\u00a0'

/** Prose as lines of at most `width` columns, each after `indent`; the second and later ones after `hanging`. */
export function paragraph(text: string, width: number, indent = '', hanging = indent): string[] {
  const room = width - Math.max(indent.length, hanging.length)
  // A figure and its unit stay on one line.
  const joined = harmless(text).replace(/(?<=\d) (?=(?:ms|s|m|%|tokens?)\b|%)/g, JOINT)
  return wrapAnsi(joined, room, { hard: true })
    .replaceAll(JOINT, ' ')
    .split('\n')
    .map((line, index) => (index === 0 ? indent : hanging) + line)
}
