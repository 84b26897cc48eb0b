import { catalogue } from '../../src/app/catalogue.ts'
import { Estimates } from '../../src/core/estimates.ts'
import { Journal } from '../../src/core/journal.ts'
import type { Pipeline } from '../../src/core/pipeline.ts'
import type { Backend } from '../../src/core/ports.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import type { RunEnvironment } from '../../src/machines/environment.ts'
import { type HostedRun, startRun } from '../../src/machines/start-run.ts'
import { type Script, scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { inProcessExecutor } from '../../src/nodes/in-process.ts'
import { renderKnownStart, renderTemplate } from '../../src/pipelines/template.ts'

type Given = Partial<RunEnvironment> & { readonly backend: Backend; readonly clock?: VirtualClock }

/** A run without an engine around it, on a node with two slots, in virtual time. */
export function host(
  pipeline: Pipeline,
  { clock = new VirtualClock(), ...given }: Given,
): { run: HostedRun; clock: VirtualClock; environment: RunEnvironment } {
  const environment = environmentFor(pipeline, { ...given, clock })
  return { run: startRun(environment), clock, environment }
}

export function environmentFor(
  pipeline: Pipeline,
  { backend, clock = new VirtualClock(), ...more }: Given,
): RunEnvironment {
  return {
    journal: new Journal({ runId: 'r', pipeline: 'p', trace: { traceId: '0'.repeat(32) } }, clock),
    pipeline,
    catalogue,
    executor: inProcessExecutor([{ name: 'n', slots: 2, pool: 'default', backend }]),
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
    ...more,
  }
}

/** Twenty words, one each 10 ms; heeds an abort within 5 ms. */
export const twenty: Script = { tokens: Array(20).fill('w '), firstTokenMs: 10, tokenMs: 10, abortMs: 5 }
export const scripted = (script: Script = twenty): Backend => scriptedBackend(script)
