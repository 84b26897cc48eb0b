import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/compose.ts'
import type { CallEnd } from '../../src/core/call.ts'
import { msToNs } from '../../src/core/clock.ts'
import { Estimates } from '../../src/core/estimates.ts'
import { Journal } from '../../src/core/journal.ts'
import { cancelCall, fireWhenSettled, type ResponseDefinition, setDeadline } from '../../src/core/policy.ts'
import type { Executor } from '../../src/core/ports.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import type { RunEnvironment } from '../../src/machines/environment.ts'
import type { KeptMachines } from '../../src/machines/kept-machines.ts'
import { startRun } from '../../src/machines/start-run.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { inProcessExecutor } from '../../src/nodes/in-process.ts'
import { definePipelineWith } from '../../src/pipelines/pipeline-schema.ts'
import { renderKnownStart, renderTemplate } from '../../src/pipelines/template.ts'

const grace: ResponseDefinition = {
  name: 'own-grace',
  summary: 's',
  start: () => [setDeadline(100), fireWhenSettled],
  on: { deadline: () => [cancelCall] },
}
const own = { ...catalogue, responses: [...catalogue.responses, grace] }

/** An executor whose calls outlive their caller: executing the same call again attaches to it. As workers behind a queue do. */
function attaching(inner: Executor): Executor & { started: string[] } {
  const calls = new Map<
    string,
    { end: Promise<CallEnd>; controller: AbortController; observer: Parameters<Executor['execute']>[1]['observer'] }
  >()
  const started: string[] = []
  return {
    started,
    close: () => inner.close(),
    load: (wish) => inner.load(wish),
    prefill: (wish, request, signal) => inner.prefill(wish, request, signal),
    execute(request, { clock, signal, observer }) {
      let call = calls.get(request.callId)
      if (call === undefined) {
        started.push(request.callId)
        const controller = new AbortController()
        const state = { controller, observer, end: Promise.resolve<CallEnd>({ end: 'cancelled' }) }
        calls.set(request.callId, state)
        state.end = inner.execute(request, {
          clock,
          signal: controller.signal,
          observer: {
            mark: (name, at) => state.observer.mark(name, at),
            placed: (node) => state.observer.placed(node),
            token: (text) => state.observer.token(text),
            thinking: (text) => state.observer.thinking(text),
          },
        })
        call = state
      } else call.observer = observer
      const { controller } = call
      signal.addEventListener('abort', () => controller.abort(signal.reason))
      return call.end
    },
  }
}

describe('a run’s state', () => {
  it('survives as plain JSON in every moment: calls are attached to, deadlines keep their instant, nothing is done twice', async () => {
    for (const moment of [5, 60, 95, 130, 175, 200, 230]) {
      const clock = new VirtualClock()
      const journal = new Journal({ runId: 'r', pipeline: 'p', trace: { traceId: '0'.repeat(32) } }, clock)
      const executor = attaching(
        inProcessExecutor([
          {
            name: 'n',
            slots: 1,
            pool: 'default',
            backend: scriptedBackend((r) =>
              r.stage === 'draft'
                ? { tokens: Array(40).fill('w '), firstTokenMs: 50, tokenMs: 10, abortMs: 8 }
                : { tokens: ['a', 'b'], firstTokenMs: 30, tokenMs: 10 },
            ),
          },
        ]),
      )
      const environment = (): RunEnvironment => ({
        journal,
        pipeline: definePipelineWith(own, {
          name: 'p',
          stages: [
            { id: 'draft', model: 'm', prompt: 'x', policy: { trigger: { after: 70 }, response: 'own-grace' } },
            { id: 'refine', model: 'm', prompt: '{{ draft.output }}' },
          ],
        }),
        catalogue: own,
        executor,
        clock,
        input: 'i',
        vars: {},
        resolveModel: (model) => model,
        render: renderTemplate,
        renderKnownStart,
        nodes: new Set(['n']),
        random: () => 0.5,
        estimates: new Estimates(),
        planned: new Set(),
        tickets: new Map(),
        inFlight: new Map(),
        speeches: new Map(),
      })
      const first = startRun(environment())
      await clock.advance(msToNs(moment))
      const state: KeptMachines = JSON.parse(JSON.stringify(first.persist()))
      first.abandon()
      const second = startRun(environment(), undefined, state)
      const record = await clock.until(second.result)
      expect(record).toMatchObject({ outcome: 'completed', output: 'ab' })
      expect(executor.started).toEqual(['draft.1', 'refine.1'])
      expect(record.stages.map(({ settlement, settledMs }) => [settlement, settledMs])).toEqual([
        ['aborted', 178],
        ['completed', 218],
      ])
      expect(record.interrupts).toMatchObject([{ at: 70, toFirstTokenMs: 138, superseded: false }])
    }
  })
})
