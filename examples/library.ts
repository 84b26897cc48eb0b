/** The pipeline of `draft-refine.yaml` from code. In a checkout: `npm run -s build && npx node examples/library.ts`. */
import { createEngine, definePipeline, llamaCpp } from 'caesura-engine'

const pipeline = definePipeline({
  name: 'draft-refine',
  stages: [
    {
      id: 'draft',
      model: 'caesura-demo-3m',
      system: 'You answer household questions. Draft a short answer.',
      prompt: '{{ input }}',
      options: { temperature: 0 },
      policy: { trigger: 'signal', response: 'abort', carry: 'all' },
    },
    {
      id: 'refine',
      model: 'caesura-demo-3m',
      system: 'You answer household questions. Refine the draft.',
      prompt:
        'Question: {{ input }}\nDraft: {{ draft.output }}\n{% if interrupt.input %}Change: {{ interrupt.input }}{% endif %}',
      options: { temperature: 0 },
    },
  ],
})

/** Its end is the end of the program. A server closes its engine where it closes itself. */
await using engine = createEngine({
  nodes: [llamaCpp({ name: 'here', model: 'models/caesura-demo-3m.q8_0.gguf' })],
})
const run = engine.start(pipeline, { input: 'How do I descale my kettle?' })

let tokens = 0
for await (const event of run.events) {
  if (event.type !== 'token') continue
  process.stdout.write(event.text)
  tokens += 1
  if (tokens === 12) void run.interrupt({ input: 'I have no vinegar.' })
}

const record = await run.result // never rejects for a stage's failure: look at record.outcome
console.log(`\n${record.outcome}; interrupt to first token: ${record.interrupts[0]?.toFirstTokenMs} ms`)
for (const { name, ms, source } of record.interrupts[0]?.phases ?? []) console.log(`  ${name}: ${ms} ms (${source})`)
