import { catalogue } from '../app/compose.ts'
import type { Catalogue } from '../core/catalogue.ts'
import { type Document, readDocument } from '../core/document.ts'
import { CaesuraError, CaesuraErrors } from '../core/errors.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { present } from '../core/present.ts'
import { isRecord, oneOrMany, type Path, type Source } from '../core/problems.ts'
import { readPipeline } from '../pipelines/pipeline-schema.ts'
import { styledRemark } from './output.ts'
import { readDocumentFile } from './read-file.ts'
import { warningText } from './show-error.ts'

/**
 * Reads and checks a pipeline file; `policy` (a name, or YAML such as `{response: drain}`) takes the place of its first
 * boundary's policy, and of an experiment. Warnings go to stderr. Throws every problem at once.
 */
export async function loadPipeline(file: string, policy?: string, policies: Catalogue = catalogue): Promise<Pipeline> {
  return pipelineOf(await readDocumentFile(file), policy, policies)
}

/** Checks a pipeline that was read, as `loadPipeline` does. */
export function pipelineOf(document: Document, policy?: string, policies: Catalogue = catalogue): Pipeline {
  const { file } = document
  const replaced = policy === undefined ? undefined : readPolicy(policy)
  const value = replaced === undefined ? document.value : withPolicy(document.value, replaced.value)
  const source: Source =
    replaced === undefined
      ? document
      : { ...present({ file }), place: (path, at) => (isOfPolicy(path) ? undefined : document.place(path, at)) }
  const { value: pipeline, errors, warnings } = readPipeline(policies, value, source)
  if (pipeline === undefined)
    throw oneOrMany(errors.map((error) => (policy === undefined ? error : asUsage(error, policy))))
  for (const warning of warnings) styledRemark(warningText(warning))
  return pipeline
}

const POLICY = ['stages', 0, 'policy']
const isOfPolicy = (path: Path) => POLICY.every((step, index) => path[index] === step)

function readPolicy(text: string) {
  try {
    return readDocument(text)
  } catch (error) {
    const [first] = error instanceof CaesuraErrors ? error.errors : error instanceof CaesuraError ? [error] : []
    if (first === undefined) throw error
    throw new CaesuraError('CAESURA_E_USAGE', `--policy cannot be read: ${first.message}`, {
      received: text,
      expected: "a policy's name, or its factors such as '{trigger: {tokens: 12}, response: drain}'",
      cause: error,
    })
  }
}

function withPolicy(value: unknown, policy: unknown): unknown {
  if (!isRecord(value) || !Array.isArray(value.stages) || !isRecord(value.stages[0])) return value
  const [first, ...rest] = value.stages
  // Whoever says which policy it is to be is not to get another one.
  const { experiment: _, ...others } = value
  return { ...others, stages: [{ ...first, policy }, ...rest] }
}

/** What is wrong in `--policy` is not in the file. */
function asUsage(error: CaesuraError, received: string): CaesuraError {
  const { path, expected, hint } = error.place
  if (path === undefined || !path.startsWith('stages[0].policy')) return error
  return new CaesuraError('CAESURA_E_USAGE', error.message.replace('stages[0].policy', '--policy'), {
    received: error.place.received ?? received,
    path: path.replace('stages[0].', ''),
    ...present({ expected, hint }),
  })
}
