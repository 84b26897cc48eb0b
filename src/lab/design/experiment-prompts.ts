import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { readDocument } from '../../core/document.ts'
import { isRecord, type Problem } from '../../core/problems.ts'
import type { ExperimentFiles } from './experiment-files.ts'
import { fileFault } from './experiment-files.ts'

const SYLLABLES = 'ba da fe go hi jo ka le mi no pu ra se ti vo wu xe yo za lu'.split(' ')

/** `count` prompts of `words` words that mean nothing and no model has seen. */
export function generatedPrompts(words: number, count: number, seed: number): string[] {
  const random = xoroshiro128plus(seed)
  const syllable = () => SYLLABLES[uniformInt(random, 0, SYLLABLES.length - 1)] ?? ''
  const word = () => Array.from({ length: uniformInt(random, 1, 3) }, syllable).join('')
  return Array.from({ length: count }, () => Array.from({ length: words }, word).join(' '))
}

/** What a line or an entry of a file of prompts holds; undefined where it holds none. */
const promptIn = (value: unknown): string | undefined => {
  const text = isRecord(value) ? (value.prompt ?? value.input) : value
  return typeof text === 'string' && text.trim() !== '' ? text : undefined
}

/**
 * The prompts of a file, by its name: `.jsonl` and `.ndjson` (a text or a mapping with `prompt` or `input` a line), `.yaml`, `.yml` and
 * `.json` (a list of them), else a prompt a line. `fault`: the line or entry, from 1, that is none.
 */
export function promptsOfFile(file: string, text: string): { prompts: string[] } | { fault: number } {
  const entries = entriesOf(file, text)
  const prompts = entries.map(promptIn)
  const fault = prompts.indexOf(undefined)
  return fault === -1 ? { prompts: prompts as string[] } : { fault: fault + 1 }
}

function entriesOf(file: string, text: string): readonly unknown[] {
  if (/\.(ya?ml|json)$/i.test(file)) {
    const { value } = readDocument(text, file)
    return Array.isArray(value) ? value : [undefined]
  }
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  return /\.(jsonl|ndjson)$/i.test(file) ? lines.map(jsonIn) : lines
}

function jsonIn(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

const DEFAULT_COUNT = 100
const PATH = ['workload', 'prompts']

/** The prompts that an experiment names or holds, as it is written; without `prompts` where the schema tells why. */
export async function readPrompts(
  value: unknown,
  files: Pick<ExperimentFiles, 'text'>,
): Promise<{ prompts: readonly string[] } | { problems: readonly Problem[] }> {
  const written = isRecord(value) && isRecord(value.workload) ? value.workload.prompts : undefined
  if (Array.isArray(written)) return { prompts: written }
  if (!isRecord(written)) return { problems: [] }
  const { file, words, count = DEFAULT_COUNT, seed = isRecord(value) ? (value.seed ?? 1) : 1 } = written
  if (isWhole(words) && isWhole(count) && isWhole(seed)) return { prompts: generatedPrompts(words, count, seed) }
  if (typeof file !== 'string' || file.trim() === '') return { problems: [] }
  const problem = (message: string, expected: string): { problems: Problem[] } => ({
    problems: [{ path: [...PATH, 'file'], input: file, message, params: { expected } }],
  })
  try {
    const read = promptsOfFile(file, await files.text(file))
    if ('fault' in read)
      return problem(`has no prompt at entry ${read.fault}`, 'a text, or a mapping with `prompt`, in each')
    return read.prompts.length > 0 ? read : problem('holds no prompt', 'one or more')
  } catch (error) {
    const fault = fileFault(error, file, [...PATH, 'file'])
    if ('problem' in fault) return { problems: [fault.problem] }
    return problem(`cannot be read: ${fault.errors[0]?.message ?? ''}`, 'a list of texts')
  }
}

const isWhole = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 2_147_483_647
