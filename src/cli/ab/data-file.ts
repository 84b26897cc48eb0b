import { closeSync, openSync, readSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { CaesuraError } from '../../core/errors.ts'
import { present } from '../../core/present.ts'
import { oneOrMany, show } from '../../core/problems.ts'
import type { Trial } from '../../core/trial.ts'
import { type PlanFile, readPlan } from '../../lab/design/plan-schema.ts'
import { trialsOfLines } from '../../lab/trial-lines.ts'
import { readDocumentFile } from '../read-file.ts'

const CHUNK_BYTES = 1 << 20
/** A line of `ab data` has one or two thousand characters. */
const MOST_CHARACTERS = 10_000_000

/** Reads a plan file. Throws every problem at once, `CAESURA_E_EXPERIMENT`, and what reading a file does. */
export async function readPlanFile(file: string): Promise<PlanFile> {
  const document = await readDocumentFile(file)
  const { value, errors } = readPlan(document.value, document)
  if (value === undefined) throw oneOrMany(errors)
  return value
}

/** The trials of a file, read one after the other. Throws `CAESURA_E_FILE`, and what `trialsOfLines` does. */
export const trialsOfFile = (file: string, { plan, execution }: PlanFile): IterableIterator<Trial> =>
  trialsOfLines({ file, plan, lines: linesOf(file), ...present({ execution }) })

function* linesOf(file: string): IterableIterator<string> {
  const handle = opened(file)
  try {
    const decoder = new StringDecoder('utf8')
    const chunk = Buffer.alloc(CHUNK_BYTES)
    let rest = ''
    for (let bytes = read(handle, chunk, file); bytes > 0; bytes = read(handle, chunk, file)) {
      const lines = (rest + decoder.write(chunk.subarray(0, bytes))).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
      if (rest.length > MOST_CHARACTERS)
        throw new CaesuraError('CAESURA_E_EXPERIMENT', 'A line is too long.', {
          file,
          expected: `lines of at most ${MOST_CHARACTERS.toLocaleString('en-US')} characters`,
        })
    }
    yield rest + decoder.end()
  } finally {
    closeSync(handle)
  }
}

const opened = (file: string) => guarded(file, () => openSync(file, 'r'))
const read = (handle: number, chunk: Buffer, file: string) => guarded(file, () => readSync(handle, chunk))

function guarded<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    const fault = code === 'ENOENT' ? 'does not exist' : code === 'EISDIR' ? 'is a folder' : `cannot be read (${code})`
    throw new CaesuraError('CAESURA_E_FILE', `${show(file)} ${fault}.`, { file, expected: 'a readable file', cause })
  }
}
