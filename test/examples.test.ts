import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { filesBeside } from '../src/cli/load-experiment.ts'
import { catalogue } from '../src/compose.ts'
import { readDocument } from '../src/core/document.ts'
import { readExperiment } from '../src/core/experiment-schema.ts'
import { isModelStage } from '../src/core/pipeline.ts'
import { renderTemplate } from '../src/core/template.ts'
import { pipelineFrom } from './fixtures/pipeline.ts'

const read = (file: string) => readDocument(readFileSync(new URL(`../examples/${file}`, import.meta.url)), file)

describe('draft-refine.yaml', () => {
  const [draft, refine] = pipelineFrom(read('draft-refine.yaml').value).stages.filter(isModelStage)
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
    for (const stage of [draft!, refine!]) expect(stage.options).toMatchObject({ temperature: 0, seed: 1 })
  })
})

describe.each(['cut-in.experiment.yaml', 'open-load.experiment.yaml'])('%s', (file) => {
  it('holds, without a warning', async () => {
    const path = fileURLToPath(new URL(`../examples/${file}`, import.meta.url))
    const document = read(file)
    const { value, errors, warnings } = await readExperiment(catalogue, document.value, document, filesBeside(path))
    expect({ errors, warnings }).toEqual({ errors: [], warnings: [] })
    expect(value?.arms.length).toBeGreaterThan(1)
  })
})
