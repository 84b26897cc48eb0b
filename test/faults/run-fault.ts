import { createEngine, definePipeline } from '../../src/app/compose.ts'
import { ollama } from '../../src/app/nodes.ts'
import type { RunHandle } from '../../src/core/engine.ts'
import { type ErrorCode, errorCodes } from '../../src/core/errors.ts'
import type { FaultCase, FaultRun, ReaderProgress } from './fault.ts'

/** No fault may keep a run longer than this, ms; far above every limit in the cases. */
const HUNG_MS = 60_000

/** Runs a pipeline on an engine whose only node is the faulty server, and says what became of the call that met the fault. */
export async function runFault(fault: FaultCase): Promise<FaultRun> {
  const reader = new Reader()
  const scene = await fault.start(reader)
  const engine = createEngine({
    nodes: [
      ollama({
        name: 'faulty',
        url: scene.url,
        spareConnection: fault.spareConnection ?? true,
        ...(fault.idleDeadlineMs !== undefined && { idleDeadlineMs: fault.idleDeadlineMs }),
      }),
    ],
    ...(fault.outputLimits !== undefined && { outputLimits: fault.outputLimits }),
  })
  try {
    const hung = AbortSignal.timeout(HUNG_MS)
    const run = engine.start(pipelineOf(fault), { input: 'hello', signal: hung })
    if (fault.reader === undefined) await reader.follow(run)
    const record = await run.result
    if (fault.reader === 'late') await reader.follow(run)
    if (hung.aborted) throw new Error(`the run hung: ${fault.fault}`)
    // A call that was given up is closed at the server, so that this can stop working.
    if (fault.group === 'silence') await scene.quiet?.()
    const calls = record.stages.filter(({ id }) => id === 'answer')
    const [met] = calls
    if (met === undefined) throw new Error(`no call met the fault: ${fault.fault}`)
    return {
      outcome: {
        settlement: met.settlement,
        ...(met.error !== undefined && { code: knownCode(met.error.code) }),
        retried: calls.length > 1,
        text: met.text ?? '',
        tokens: met.tokens.generated,
      },
      ms: met.settledMs - met.startMs,
      record,
      ...(scene.requests !== undefined && { requests: scene.requests() }),
      ...(scene.accepted !== undefined && { accepted: scene.accepted() }),
      ...(scene.bytesWritten !== undefined && { bytesWritten: scene.bytesWritten() }),
    }
  } finally {
    await engine.close()
    await scene.close()
  }
}

const pipelineOf = ({ timeout, second = false }: FaultCase) =>
  definePipeline({
    name: 'fault',
    stages: [...(second ? ['before', 'answer'] : ['answer'])].map((id) => ({
      id,
      model: 'demo',
      prompt: '{{ input }}',
      timeout: { firstToken: '30s', stall: '30s', total: '50s', ...timeout },
      retry: { attempts: 2 },
    })),
  })

function knownCode(code: string): ErrorCode {
  if (code in errorCodes) return code as ErrorCode
  throw new Error(`no error code is called ${code}`)
}

class Reader implements ReaderProgress {
  #tokens = 0
  readonly #waiting = new Set<() => void>()

  async follow(run: RunHandle): Promise<void> {
    for await (const event of run.events) {
      if (event.type !== 'token') continue
      this.#tokens += 1
      for (const look of this.#waiting) look()
    }
  }

  received(tokens: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.#tokens < tokens) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }
}
