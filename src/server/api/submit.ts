import { createHash } from 'node:crypto'
import type { PlannedSignal } from '../../core/engine.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import { present } from '../../core/present.ts'
import { didYouMean, isRecord, orList, show } from '../../core/problems.ts'
import { misuse } from './problem.ts'
import type { RunRequest } from './schemas.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The ids of what a key stands for: over restarts and in every process of the API the same. */
export interface KeyedIds {
  readonly runId: string
  /** Tells the bodies of one key apart. */
  readonly fingerprint: string
}

const keyPattern = /^[\x21-\x7e]{1,255}$/

/** Of an `Idempotency-Key`, which is its caller's own. Throws a `Refusal` (400). */
export function idsOfKey(key: string, caller: string, body: RunRequest): KeyedIds {
  if (!keyPattern.test(key)) {
    throw misuse(400, 'the Idempotency-Key cannot be used', { expected: '1 to 255 visible ASCII characters' })
  }
  if (body.runId !== undefined) {
    throw misuse(400, 'runId and an Idempotency-Key exclude each other', { path: 'runId', received: body.runId })
  }
  const { cancelOnDisconnect: _, ...asked } = body
  return {
    runId: `k-${sha256(`${caller} ${key}`).slice(0, 48)}`,
    fingerprint: sha256(JSON.stringify(asked)).slice(0, 32),
  }
}

/** The pipeline that a body asks for. Throws a `Refusal` (400, 403), `CAESURA_E_PIPELINE`, and what `define` throws. */
export function pipelineOf(
  asked: unknown,
  { pipelines, define }: { pipelines: ReadonlyMap<string, Pipeline>; define?: (value: unknown) => Pipeline },
): Pipeline {
  if (typeof asked === 'string') {
    const found = pipelines.get(asked)
    if (found !== undefined) return found
    const names = [...pipelines.keys()]
    const hint = didYouMean(asked, names)
    throw new CaesuraError('CAESURA_E_PIPELINE', 'this server has no pipeline of this name', {
      path: 'pipeline',
      received: asked,
      expected: orList(names),
      ...present({ hint }),
    })
  }
  if (!isRecord(asked)) {
    throw misuse(400, 'pipeline is no pipeline', {
      path: 'pipeline',
      received: show(asked),
      expected: "a pipeline's name",
    })
  }
  if (define !== undefined) return define(asked)
  throw misuse(403, 'this server runs only the pipelines that it was started with', {
    path: 'pipeline',
    expected: "a pipeline's name",
  })
}

/** What is planned ahead, by its own name or its older one. Throws `CAESURA_E_USAGE`. */
export function plannedIn({ interrupts, signals }: RunRequest, { stages }: Pipeline): readonly PlannedSignal[] {
  if (interrupts !== undefined && signals !== undefined)
    throw new CaesuraError('CAESURA_E_USAGE', 'signals stands beside interrupts, whose older name it is', {
      path: 'signals',
      expected: 'interrupts alone',
    })
  const name = interrupts === undefined ? 'signals' : 'interrupts'
  const planned = interrupts ?? signals ?? []
  const ids = stages.map(({ id }) => id)
  for (const [index, { stage }] of planned.entries()) {
    if (stage === undefined || ids.includes(stage)) continue
    const hint = didYouMean(stage, ids)
    throw new CaesuraError('CAESURA_E_USAGE', 'the pipeline has no stage of this name', {
      path: `${name}[${index}].stage`,
      received: stage,
      expected: orList(ids),
      ...present({ hint }),
    })
  }
  return planned as readonly PlannedSignal[]
}
