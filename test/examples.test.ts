import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { catalogue } from '../src/app/compose.ts'
import { filesBeside } from '../src/cli/load-experiment.ts'
import { readDocument } from '../src/core/document.ts'
import { digestOf } from '../src/lab/design/experiment-design.ts'
import { readExperiment } from '../src/lab/design/experiment-schema.ts'
import { renderTemplate } from '../src/pipelines/template.ts'
import { pipelineFrom } from './fixtures/pipeline.ts'

const read = (file: string) => readDocument(readFileSync(new URL(`../examples/${file}`, import.meta.url)), file)

describe('draft-refine.yaml', () => {
  const { stages } = pipelineFrom(read('draft-refine.yaml').value)
  const [draft, refine] = stages.map(
    ({ step }) => step as unknown as { readonly system: string; readonly prompt: string },
  )
  const render = (output: string, input?: string) =>
    renderTemplate(refine!.prompt, { input: 'Q?', draft: { output }, interrupt: { input }, vars: {} })

  it('has the system prompts that the bundled model was trained on', () => {
    expect(draft!.system).toBe('You answer household questions. Draft a short answer.')
    expect(refine!.system).toBe('You answer household questions. Refine the draft.')
  })

  it('has the lines that the bundled model was trained on', () => {
    expect(renderTemplate(draft!.prompt, { input: 'Q?' })).toBe('Q?')
    expect(render('Fill the')).toBe('Question: Q?\nDraft: Fill the')
    expect(render('Fill the', 'I have no vinegar.')).toBe('Question: Q?\nDraft: Fill the\nChange: I have no vinegar.')
    expect(render('', 'stop')).toBe('Question: Q?\nDraft: \nChange: stop')
  })

  it('answers the same every time', () => {
    expect(stages).toHaveLength(2)
    for (const { asks } of stages) expect(asks?.options).toMatchObject({ temperature: 0, seed: 1 })
  })
})

describe.each(['cut-in.experiment.yaml', 'open-load.experiment.yaml'] as const)('%s', (file) => {
  it('holds, without a warning', async () => {
    const path = fileURLToPath(new URL(`../examples/${file}`, import.meta.url))
    const document = read(file)
    const { value, errors, warnings } = await readExperiment(catalogue, document.value, document, filesBeside(path))
    expect({ errors, warnings }).toEqual({ errors: [], warnings: [] })
    expect(value?.arms.length).toBeGreaterThan(1)
    // What version 0.1 began can be resumed.
    const digests = { 'cut-in.experiment.yaml': '237021e780aecf2c', 'open-load.experiment.yaml': '3fe577c668e5b2c3' }
    expect(digestOf(value!, [])).toBe(digests[file])
  })
})
