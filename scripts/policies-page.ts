import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { median } from 'simple-statistics'
import { parse } from 'yaml'
import { createEngine } from '../src/app/compose.ts'
import { llamaCpp, scripted } from '../src/app/nodes.ts'
import { runWaterfall } from '../src/cli/waterfall.ts'
import type { PlannedSignal } from '../src/core/engine.ts'
import type { RunRecord } from '../src/core/record.ts'
import { VirtualClock } from '../src/lab/simulation/virtual-clock.ts'
import { pipelineFrom } from '../test/fixtures/pipeline.ts'

/**
 * Draws the timelines of docs/policies.md: `npm run policies-page`. With `--measure`, also runs every response on the bundled model
 * and writes the table. A test keeps the drawings fresh.
 */
const page = new URL('../docs/policies.md', import.meta.url)
const responses: Record<string, unknown> = {
  drain: 'drain',
  abort: 'abort',
  overlap: 'overlap',
  race: 'race',
  grace: { grace: 100 },
  boundary: 'boundary',
  hold: 'hold',
  adaptive: 'adaptive',
}
const draft =
  'One two three four five six. Seven eight nine ten eleven twelve. Thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty.'

async function timeline(name: string): Promise<string> {
  const clock = new VirtualClock()
  const script = ({ stage }: { stage: string }) =>
    stage === 'draft'
      ? { tokens: draft.split(/(?= )/), firstTokenMs: 60, tokenMs: 20, abortMs: 20 }
      : {
          tokens: 'Eight words of a second answer, and done.'.split(/(?= )/),
          firstTokenMs: 80,
          tokenMs: 20,
          abortMs: 20,
        }
  const engine = createEngine({ nodes: [scripted({ name: 'n', slots: 2, script })], clock })
  const pipeline = pipelineFrom({
    name: 'p',
    stages: [
      { id: 'draft', model: 'm', prompt: 'x', policy: { response: responses[name], carry: 'sentences' } },
      { id: 'refine', model: 'm', prompt: 'y' },
    ],
  })
  const signals: PlannedSignal[] = [{ afterMs: 200, input: 'change' }]
  if (name === 'hold') signals.push({ afterMs: 300, input: 'change, indeed' })
  const run = engine.start(pipeline, { input: 'i', signals })
  const record = await clock.until(run.result)
  const { at, toFirstTokenMs, decision } = record.interrupts.at(-1)!
  const wasted = record.cost.wastedTokens
  const words = `interrupt at ${at} ms → ${decision}; first token of refine ${toFirstTokenMs} ms later; ${wasted} ${wasted === 1 ? 'token' : 'tokens'} wasted`
  return [
    '```',
    ...runWaterfall(record, { width: 80, paint: (_, text) => text }).map((line) => line.trimEnd()),
    `  ${words}`,
    '```',
  ].join('\n')
}

async function measured(): Promise<string> {
  const runs = new Map<string, RunRecord[]>()
  const text = readFileSync(new URL('../examples/draft-refine.yaml', import.meta.url), 'utf8')
  const engine = createEngine({
    nodes: [llamaCpp({ name: 'here', slots: 2, model: 'models/caesura-demo-3m.q8_0.gguf' })],
  })
  for (let round = -2; round < 15; round++) {
    for (const [name, response] of Object.entries(responses)) {
      const value = parse(text)
      value.stages[0].policy = { response, carry: 'sentences' }
      // A second signal, soon after, is what `hold` waits for.
      const signals: PlannedSignal[] = [{ stage: 'draft', afterTokens: 12, input: 'I have no vinegar.' }]
      if (name === 'hold') signals.push({ stage: 'draft', afterTokens: 20, input: 'I have no vinegar.' })
      const run = engine.start(pipelineFrom(value), { input: 'How do I descale my kettle?', signals })
      for await (const _ of run.events);
      if (round >= 0) runs.set(name, [...(runs.get(name) ?? []), await run.result])
    }
  }
  await engine.close()
  const rows = [...runs].map(([name, records]) => {
    const of = (read: (record: RunRecord) => number) => median(records.map(read))
    const decisions = [...new Set(records.map((record) => record.interrupts.at(-1)!.decision))].join(', ')
    const cells = [
      of((record) => record.interrupts.at(-1)!.toFirstTokenMs ?? 0).toFixed(1),
      of((record) => record.cost.wastedTokens).toFixed(0),
      of((record) => record.cost.wastedSlotMs).toFixed(1),
      of((record) => record.durationMs).toFixed(0),
    ]
    return `| \`${name}\` | ${decisions} | ${cells.join(' | ')} |`
  })
  return [
    '| response | decision | interrupt → first token, ms | tokens wasted | slot time wasted, ms | whole run, ms |',
    '|---|---|---:|---:|---:|---:|',
    ...rows,
  ].join('\n')
}

/** The page with its drawings as the engine draws them now. */
export async function drawn(text: string): Promise<string> {
  let result = text
  for (const name of Object.keys(responses)) {
    const drawing = await timeline(name)
    result = result.replace(
      new RegExp(`(<!-- timeline: ${name} -->\n)(.*?)(<!-- end -->)`, 's'),
      (_, start, __, end) => `${start}${drawing}\n${end}`,
    )
  }
  return result
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { measure: { type: 'boolean', default: false } } })
  let text = await drawn(readFileSync(page, 'utf8'))
  if (values.measure) {
    const table = await measured()
    text = text.replace(/(<!-- measured -->\n)(.*?)(<!-- end -->)/s, (_, start, __, end) => `${start}${table}\n${end}`)
  }
  writeFileSync(page, text)
  console.log('docs/policies.md')
}
