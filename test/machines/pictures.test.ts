import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import type { CallRequest } from '../../src/core/call.ts'
import { readDocument } from '../../src/core/document.ts'
import { readPipeline } from '../../src/pipelines/pipeline-schema.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

const folder = mkdtempSync(join(tmpdir(), 'caesura-pictures-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bytes = Buffer.from('\x89PNG\r\n\x1a\nMARKER', 'latin1')
const url = `data:image/png;base64,${bytes.toString('base64')}`
writeFileSync(join(folder, 'photo.png'), bytes)
writeFileSync(join(folder, 'notes.txt'), 'no picture')
writeFileSync(join(folder, 'huge.png'), bytes)
truncateSync(join(folder, 'huge.png'), 50 * 1024 * 1024)

const seeing = (...images: string[]) => ({
  name: 'p',
  stages: [
    {
      id: 'a',
      model: 'm',
      messages: [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: 'What is it?', images },
      ],
    },
  ],
})
const fromFile = (value: object) => {
  const file = join(folder, 'pipeline.yaml')
  const document = readDocument(JSON.stringify(value, undefined, 1), file)
  return readPipeline(catalogue, document.value, document)
}

/** What its calls were sent with, and all that a reader and a record have of it. */
async function run(value: object, more: object = {}) {
  const requests: CallRequest[] = []
  const { value: pipeline = pipelineFrom(value) } = 'stages' in value ? fromFile(value) : {}
  const run = scriptedRun(pipeline, {
    script: (request) => {
      requests.push(request)
      return speak(
        'A kettle.',
        request.attempt === 1 && 'retry' in more
          ? { fail: { code: 'CAESURA_E_SERVER', message: 'x', afterTokens: 0, retryable: true } }
          : {},
      )
    },
    ...('retry' in more ? {} : more),
  })
  const record = await run.finish()
  return { requests, record, told: JSON.stringify([record, run.events]) }
}

describe('a picture of a message', () => {
  it.each<[string, string[], object]>([
    ['a file beside the pipeline file', ['photo.png'], {}],
    ['a file by its whole path', [join(folder, 'photo.png')], {}],
    ['a data: URL', [url], {}],
    ['a variable', ['{{ vars.photo }}'], { vars: { photo: url } }],
    ['the input', ['{{ input }}'], { input: url }],
  ])('comes from %s, is sent, and is in no record and no event', async (_, images, more) => {
    const { requests, record, told } = await run(seeing(...images), more)
    expect(record).toMatchObject({ outcome: 'completed', output: 'A kettle.' })
    expect(requests[0]!.messages).toEqual([
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'What is it?', images: [url] },
    ])
    expect(told).not.toContain(bytes.toString('base64'))
  })

  it('is left out where its template gives nothing', async () => {
    const { requests } = await run(seeing('{% if vars.photo %}{{ vars.photo }}{% endif %}', 'photo.png'))
    expect(requests[0]!.messages[1]!.images).toEqual([url])
  })

  it('goes with each attempt', async () => {
    const value = seeing('photo.png')
    Object.assign(value.stages[0]!, { retry: { attempts: 2, pause: 0 } })
    const { requests } = await run(value, { retry: true })
    expect(requests.map(({ messages }) => messages[1]!.images)).toEqual([[url], [url]])
  })

  it.each([
    ['a path', '/etc/passwd'],
    ['a path beside the pipeline', 'photo.png'],
    ['a URL to the network', 'http://127.0.0.1:1/photo.png'],
    ['no picture', 'data:image/png;base64,aGVsbG8='],
  ])('is refused from a variable that has %s', async (_, photo) => {
    const { requests, record } = await run(seeing('{{ vars.photo }}'), { vars: { photo } })
    expect(requests).toEqual([])
    expect(record).toMatchObject({
      outcome: 'failed',
      error: { code: 'CAESURA_E_IMAGE', message: expect.stringMatching(/^a picture of stage a /) },
    })
    expect(JSON.stringify(record)).not.toContain(photo)
  })

  it.each([
    ['is not there', 'nowhere.png', /names a file that is not there/],
    ['is a folder', '.', /names a file that is not there/],
    ['is no picture', 'notes.txt', /is no picture/],
    ['has 50 MB', 'huge.png', /is too large/],
    ['is a URL to the network', 'https://example.org/a.png', /nothing is fetched/],
  ])('is refused, with its place, where a file %s', (_, image, message) => {
    const { errors } = fromFile(seeing('photo.png', image))
    expect(errors).toMatchObject([
      {
        code: 'CAESURA_E_IMAGE',
        message: expect.stringMatching(message),
        place: { path: 'stages[0].messages[1].images[1]' },
      },
    ])
    expect(errors[0]!.place.line).toBeGreaterThan(1)
  })

  it('is no path in a pipeline that is no file: of a program, or sent to a server', () => {
    const { errors } = readPipeline(catalogue, seeing('photo.png'))
    expect(errors).toMatchObject([{ code: 'CAESURA_E_IMAGE', place: { path: 'stages[0].messages[1].images[0]' } }])
    expect(errors[0]!.message).toContain('a path works only where it is written in a pipeline file')
    expect(JSON.stringify(errors)).not.toContain('photo.png')
  })

  it('is one of a user', () => {
    const messages = [
      { role: 'assistant', content: 'x', images: [url] },
      { role: 'user', content: 'y' },
    ]
    const { errors } = readPipeline(catalogue, { name: 'p', stages: [{ id: 'a', model: 'm', messages }] })
    expect(errors.map(({ place }) => place.path)).toEqual(['stages[0].messages[0].images'])
  })
})
