import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chunk, done, event, eventStream, said, usageOf } from '../../servers/openai-like.ts'
import { recording, replay } from '../../servers/replay.ts'
import {
  cleanups,
  lastLine,
  line,
  ndjson,
  backendFor as ollamaFor,
  serveRaw as serveOllama,
  type Told,
} from './ollama-call.ts'
import { call, backendFor as openAiFor, serveRaw as serveOpenAi } from './openai-call.ts'

/** One call that Ollama answers with these bytes. */
const ollama = async (body: string | Uint8Array): Promise<Told> =>
  call((await serveOllama((response) => void ndjson(response).end(body))).backend)
/** The same of a server of the OpenAI kind. */
const openai = async (body: string | Uint8Array): Promise<Told> =>
  call((await serveOpenAi((response) => void eventStream(response).end(body))).backend)

const finish = (reason = 'stop', rest: object = {}) => event(chunk({}, reason, rest))
const last = (rest: object) => `${JSON.stringify({ done: true, done_reason: 'stop', ...rest })}\n`

describe('bookkeeping never throws an answer away', () => {
  const nothing = [null, -1, 1.5, '7', 2 ** 53, 4e15, Number.MAX_VALUE, {}, [], true] as const

  it.each(nothing)('a count of %j is none', async (figure) => {
    const told = await ollama(line('a') + line('b') + last({ eval_count: figure, prompt_eval_count: figure }))
    expect(told).toMatchObject({ pieces: ['a', 'b'] })
    expect(told.end).toEqual({ end: 'completed', finishReason: 'stop' })
    const usage = {
      prompt_tokens: figure,
      completion_tokens: figure,
      completion_tokens_details: { reasoning_tokens: figure },
    }
    const other = await openai(said('a', 'b') + event({ ...chunk({}), usage }) + finish() + done)
    expect(other).toMatchObject({ pieces: ['a', 'b'] })
    expect(other.end).toEqual({ end: 'completed', finishReason: 'stop' })
  })

  it.each([null, -5, '7', {}, Number.MAX_VALUE])('a duration of %j is none', async (figure) => {
    const durations = {
      total_duration: figure,
      load_duration: figure,
      prompt_eval_duration: figure,
      eval_duration: figure,
    }
    const told = await ollama(line('a') + last({ ...durations, eval_count: 1 }))
    expect(told.end).toEqual({ end: 'completed', finishReason: 'stop', generatedTokens: 1 })
    const timings = { prompt_n: 3, prompt_ms: figure, predicted_n: 1, predicted_ms: figure }
    const other = await openai(said('a') + finish('stop', { timings }) + done)
    expect(other.end).toEqual({ end: 'completed', finishReason: 'stop', promptTokens: 3, generatedTokens: 1 })
  })

  it('a fraction of a nanosecond is rounded', async () => {
    const { end } = await ollama(line('a') + last({ eval_duration: 123_456.75, total_duration: 5 }))
    expect(end.server).toEqual({ decodeNs: 123_457, totalNs: 5 })
  })

  it('what is missing in one part does not take away what another had', async () => {
    const { end } = await openai(
      `${usageOf(7, 1)}${said('a', 'b')}${event({ choices: [], usage: { completion_tokens: 2 } })}${finish()}${event({ choices: null, usage: null, timings: 5 })}${done}`,
    )
    expect(end).toEqual({ end: 'completed', finishReason: 'stop', promptTokens: 7, generatedTokens: 2 })
  })

  it('a count far beyond the limit that was asked for is none', async () => {
    const { backend } = await serveOllama(
      (response) => void ndjson(response).end(line('a') + last({ eval_count: 5_000 })),
    )
    expect((await call(backend, { options: { maxTokens: 8 } })).end).not.toHaveProperty('generatedTokens')
    expect((await call(backend)).end).toMatchObject({ generatedTokens: 5_000 })
  })

  it.each([
    ['no message', last({})],
    ['message null', last({ message: null })],
    ['content null', last({ message: { role: 'assistant', content: null } })],
    ['no reason', `${JSON.stringify({ done: true })}\n`],
    ['fields of wrong types', last({ model: 5, created_at: null, message: { role: 7, content: '', thinking: 3 } })],
    ['an error that is none', last({ error: null, message: { content: '', error: '' } })],
    ['an empty error', last({ error: '' })],
  ])('a last line with %s', async (_name, end) => {
    expect(await ollama(line('a') + line('b') + end)).toMatchObject({ end: { end: 'completed' }, pieces: ['a', 'b'] })
  })

  it.each([
    ['delta null', event({ choices: [{ index: null, delta: null }] })],
    ['an index that is text', event({ choices: [{ index: '0', delta: { content: '' } }] })],
    [
      'fields of wrong types',
      event({ model: 5, id: null, choices: [{ delta: { role: 7, content: null }, logprobs: 3 }] }),
    ],
    ['an error that is none', event({ ...chunk({}), error: null })],
    ['progress of the prompt', event({ prompt_progress: { total: 7, processed: 3 } })],
    ['a ping', 'event: ping\ndata: {"type":"ping"}\n\n'],
  ])('a chunk with %s', async (_name, odd) => {
    const told = await openai(`${odd}${said('a')}${odd}${said('b')}${finish()}${done}`)
    expect(told).toMatchObject({ end: { end: 'completed', finishReason: 'stop' }, pieces: ['a', 'b'] })
  })
})

describe('content in parts', () => {
  const parts = [
    { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] },
    { type: 'text', text: 'a' },
    { type: 'reasoning', text: ' so' },
    { type: 'image_url', image_url: { url: 'x' } },
    { type: 'output_text', text: { value: 'b' } },
  ]

  it('is text where its parts are, and thinking where those are', async () => {
    const other = await openai(event(chunk({ content: parts })) + finish() + done)
    expect(other).toMatchObject({ pieces: ['ab'], thoughts: ['hm so'], end: { end: 'completed' } })
    const told = await ollama(line('').replace('"content":""', `"content":${JSON.stringify(parts)}`) + lastLine)
    expect(told).toMatchObject({ pieces: ['ab'], thoughts: ['hm so'] })
  })

  it('a refusal is text, and told as what it is', async () => {
    const told = await openai(event(chunk({ content: null, refusal: 'No.' })) + finish() + done)
    expect(told).toMatchObject({ pieces: ['No.'], end: { end: 'completed', finishReason: 'content-filter' } })
  })

  it('that is none stays a fault, and the line is kept apart from its message', async () => {
    const secret = 'the text of an answer '.repeat(20)
    for (const told of [
      await ollama(line('a') + line('').replace('""', `{"x":["${secret}"]}`).replace('{"x":', '7,"y":{"x":')),
      await openai(said('a') + event(chunk({ content: 7, other: secret }))),
    ]) {
      expect(told.pieces).toEqual(['a'])
      expect(told.end).toMatchObject({ end: 'failed', ofAnswer: true, error: { code: 'CAESURA_E_PROTOCOL' } })
      const { message, received } = told.end.error!
      expect(message).not.toContain('the text')
      expect(received!.length).toBeLessThanOrEqual(121)
      expect(received).toMatch(/^\{.*…$/)
    }
  })
})

describe('thinking', () => {
  it.each([
    ['reasoning', { reasoning: 'hm' }],
    ['reasoning_content', { reasoning_content: 'hm', content: null }],
    ['both names for one thing', { reasoning_content: 'hm', reasoning: 'hm' }],
    ['details', { reasoning_details: [{ type: 'reasoning.text', text: 'hm' }] }],
  ])('as %s is told, and is no text', async (_name, delta) => {
    const told = await openai(event(chunk(delta)) + said('a') + finish() + done)
    expect(told).toMatchObject({ thoughts: ['hm'], pieces: ['a'], end: { end: 'completed' } })
  })

  it('that the server counts apart is told', async () => {
    const usage = { prompt_tokens: 1, completion_tokens: 9, completion_tokens_details: { reasoning_tokens: 7 } }
    const { end } = await openai(said('a', 'b') + finish() + event({ choices: [], usage }) + done)
    expect(end).toMatchObject({ generatedTokens: 9, thinkingTokens: 7 })
  })

  it('of a real server comes in pieces before the text', async () => {
    const server = await replay(recording('ollama-0.24.0', 'openai-think'), { speed: Number.POSITIVE_INFINITY })
    cleanups.push(() => server.close())
    const told = await call(openAiFor(server.url))
    expect(told.thoughts.join('')).toMatch(/^The user asks about kettles\./)
    expect(told.text).toMatch(/^Fill the kettle .* Rinse it twice\.$/)
    expect(told.end).toMatchObject({ finishReason: 'stop', generatedTokens: 30 })
  })

  it('is life: a call whose model thinks longer than the deadline of the first line completes', async () => {
    const { server } = await serveOllama(async (response) => {
      ndjson(response)
      for (let i = 0; i < 8; i++) {
        response.write(line('').replace('"content":""', '"content":"","thinking":"hm"'))
        await new Promise((resolve) => setTimeout(resolve, 30))
      }
      response.end(line('a') + lastLine)
    })
    const told = await call(ollamaFor(server.url, { loadDeadlineMs: 150 }))
    expect(told).toMatchObject({ end: { end: 'completed' }, pieces: ['a'] })
    expect(told.thoughts).toHaveLength(8)
  })
})

describe('a tool call that nobody asked for', () => {
  it('of Ollama is told by its name', async () => {
    const tools = [{ function: { name: 'weather', arguments: { city: 'Paris' } } }, { id: 7, function: null }]
    const { end, text, calls } = await ollama(
      line('').replace('"content":""', `"content":"","tool_calls":${JSON.stringify(tools)}`) + lastLine,
    )
    expect(text).toBe('')
    expect(calls).toEqual([{ name: 'weather', arguments: { city: 'Paris' } }])
    expect(end).toMatchObject({ end: 'completed', finishReason: 'tool-calls', toolCalls: [{ name: 'weather' }] })
    expect(JSON.stringify(end)).not.toContain('Paris')
  })

  const fragment = (...calls: object[]) => event(chunk({ tool_calls: calls }))
  it.each([
    [
      'in fragments',
      [
        fragment({ index: 0, id: 'c1', type: 'function', function: { name: 'search', arguments: '{' } }),
        fragment({ index: 0, function: { arguments: '"q"' } }),
        fragment(
          { index: 1, id: 'c2', function: { name: 'refund', arguments: '' } },
          { index: 0, function: { arguments: '}' } },
        ),
      ],
    ],
    [
      'each with the index 0',
      [
        fragment({ index: 0, id: 'c1', function: { name: 'search', arguments: '{}' } }),
        fragment({ index: 0, id: 'c2', function: { name: 'refund', arguments: '{}' } }),
      ],
    ],
    [
      'without an index',
      [
        fragment({ id: 'c1', function: { name: 'search', arguments: '{' } }, { function: { arguments: '}' } }),
        fragment({ id: 'c2', function: { name: 'refund' } }),
      ],
    ],
  ])('of the OpenAI kind, %s, is told once', async (_name, events) => {
    const { end } = await openai(events.join('') + finish('tool_calls') + done)
    expect(end).toEqual({
      end: 'completed',
      finishReason: 'tool-calls',
      toolCalls: [
        { id: 'c1', name: 'search' },
        { id: 'c2', name: 'refund' },
      ],
    })
  })

  const whole = (id: string, name: string, given: object) => ({ id, name, arguments: given })
  it.each<[string, string[], object[]]>([
    [
      'cut anywhere, as soon as it is whole',
      [
        fragment({ index: 0, id: 'c1', function: { name: 'search', arguments: '' } }),
        ...['{', '"q":', '"a', '}b"', ',"n":{', '"x":1}', '}'].map((text) =>
          fragment({ index: 0, function: { arguments: text } }),
        ),
        fragment({ index: 0, function: { arguments: ' ' } }),
        fragment({ index: 1, id: 'c2', function: { name: 'refund', arguments: '{"cents":5}' } }),
      ],
      [whole('c1', 'search', { q: 'a}b', n: { x: 1 } }), whole('c2', 'refund', { cents: 5 })],
    ],
    [
      'with the same id each time',
      ['{"q"', ':1}'].map((text) => fragment({ index: 0, id: 'c1', function: { name: 'search', arguments: text } })),
      [whole('c1', 'search', { q: 1 })],
    ],
    [
      'two of one index and no id',
      [1, 2].map((q) => fragment({ index: 0, function: { name: 'search', arguments: `{"q":${q}}` } })),
      [
        { name: 'search', arguments: { q: 1 } },
        { name: 'search', arguments: { q: 2 } },
      ],
    ],
    [
      'without arguments',
      [fragment({ index: 0, id: 'c1', function: { name: 'search' } })],
      [whole('c1', 'search', {})],
    ],
    ['whose arguments are a list', [fragment({ index: 0, id: 'c1', function: { name: 'f', arguments: '[1]' } })], []],
    ['whose arguments are no JSON', [fragment({ index: 0, id: 'c1', function: { name: 'f', arguments: '{q}' } })], []],
  ])('is put together: %s', async (_name, events, calls) => {
    expect((await openai(events.join('') + finish('tool_calls') + done)).calls).toEqual(calls)
  })

  it('that the limit of tokens cuts is never handed on as whole', async () => {
    for (const text of ['', '{', '{"q":"a']) {
      const cut = fragment({ index: 0, id: 'c1', function: { name: 'search', arguments: text } })
      const { end, calls } = await openai(cut + finish('length') + done)
      expect(calls).toEqual([])
      expect(end).toMatchObject({ end: 'completed', finishReason: 'length', toolCalls: [{ id: 'c1', name: 'search' }] })
    }
  })

  it('without an end fails', async () => {
    const endless = Array(20).fill(fragment({ index: 0, function: { name: 'f', arguments: 'x'.repeat(60_000) } }))
    expect((await openai(endless.join(''))).end.error?.code).toBe('CAESURA_E_PROTOCOL')
  })

  it('of a real server, with its text', async () => {
    const server = await replay(recording('ollama-0.24.0', 'openai-tools'), { speed: Number.POSITIVE_INFINITY })
    cleanups.push(() => server.close())
    const { end, text } = await call(openAiFor(server.url))
    expect(text).toMatch(/^I will look/)
    expect(end).toMatchObject({ finishReason: 'tool-calls', toolCalls: [{ name: 'search' }, { name: 'refund' }] })
  })

  it('in the older form', async () => {
    const { end } = await openai(
      event(chunk({ function_call: { name: 'search', arguments: '{}' } })) + finish('function_call') + done,
    )
    expect(end).toMatchObject({ finishReason: 'tool-calls', toolCalls: [{ name: 'search' }] })
  })
})

describe('an answer in another wrapping', () => {
  const whole = {
    id: 'x',
    choices: [
      { index: 0, message: { role: 'assistant', content: 'Whole.', reasoning_content: 'hm' }, finish_reason: 'length' },
    ],
    usage: { prompt_tokens: 1, completion_tokens: 2 },
  }
  const told = {
    pieces: ['Whole.'],
    thoughts: ['hm'],
    end: { end: 'completed', finishReason: 'length', promptTokens: 1, generatedTokens: 2 },
  }

  it.each([
    ['on one line', JSON.stringify(whole)],
    ['on one line that ends', `${JSON.stringify(whole)}\n`],
    ['on many lines', JSON.stringify(whole, null, 2)],
    ['behind a byte order mark', `\uFEFF${JSON.stringify(whole)}`],
  ])('of a server that does not stream, %s, is an answer in one piece', async (_name, body) => {
    expect(await openai(body)).toMatchObject(told)
  })

  it('that is cut off is none', async () => {
    expect((await openai(JSON.stringify(whole).slice(0, -9))).end.error?.code).toBe('CAESURA_E_PROTOCOL')
  })

  it('of an Ollama that does not stream', async () => {
    const { message } = { message: { role: 'assistant', content: 'Whole.', thinking: 'hm' } }
    const one = { model: 'demo', message, done: true, done_reason: 'stop', eval_count: 4 }
    for (const body of [JSON.stringify(one), JSON.stringify(one, null, 2), `${JSON.stringify(one, null, 1)}\n`])
      expect(await ollama(body)).toMatchObject({ pieces: ['Whole.'], thoughts: ['hm'], end: { generatedTokens: 4 } })
  })

  it('lines of Ollama in an event stream are lines', async () => {
    const wrapped = `: hello\n\ndata: ${line('a')}\nevent: message\ndata:${line('b')}\ndata: ${lastLine}\ndata: [DONE]\n\n`
    expect(await ollama(wrapped)).toMatchObject({ pieces: ['a', 'b'], end: { end: 'completed', generatedTokens: 2 } })
  })
})

describe('words of a fault', () => {
  it.each([
    ['a text', 'out of memory', 'out of memory'],
    ['an object', { code: 504, message: 'upstream timed out' }, 'upstream timed out (504)'],
    ['an object in an object', { error: { type: 'oom', detail: 'no memory' } }, 'no memory (oom)'],
    ['JSON in a text', JSON.stringify({ error: { code: 500, message: 'no memory' } }), 'no memory (500)'],
    ['a list', [{ message: 'one' }, { message: 'two' }], 'one two'],
    ['an object without words', { why: 'x' }, '{"why":"x"}'],
  ])('that is %s are kept', async (_name, error, words) => {
    const message = `the server failed in the middle of the answer: ${words}`
    expect((await ollama(`${line('a')}${JSON.stringify({ error })}\n`)).end.error).toEqual({
      code: 'CAESURA_E_MODEL_ERROR',
      message,
    })
    const told = await openai(said('a') + event({ error, choices: [] }) + done)
    expect(told.end.error).toEqual({ code: 'CAESURA_E_MODEL_ERROR', message })
  })

  it('are bounded', async () => {
    const { end } = await ollama(`${JSON.stringify({ error: { message: 'x'.repeat(9_000) } })}\n`)
    expect(end.error!.message.length).toBeLessThan(400)
  })

  it('of an answer that the server gave up for its repetitions', async () => {
    for (const name of ['repeat-tokens-chat'] as const) {
      const server = await replay(recording('ollama-0.24.0', name), { speed: Number.POSITIVE_INFINITY })
      cleanups.push(() => server.close())
      const { end } = await call(ollamaFor(server.url))
      expect(end).toMatchObject({ end: 'failed', ofAnswer: true, error: { code: 'CAESURA_E_STREAM_CUT' } })
      expect(end.error!.message).toMatch(/said the same piece 31 times in a row/)
    }
  })
})

describe('a deadline that passes names what came', () => {
  it('heartbeats are not nothing, and no answer', async () => {
    const beat = (text: string) => (response: Parameters<typeof ndjson>[0]) => {
      ndjson(response).write(text)
    }
    const lines = await serveOllama(beat('\n\n\n'))
    const first = await call(ollamaFor(lines.server.url, { loadDeadlineMs: 60 }))
    expect(first.end.error).toMatchObject({
      code: 'CAESURA_E_TIMEOUT_LOAD',
      message: expect.stringMatching(/sent 3 heartbeats \(comments or empty lines\) and no answer within 60 ms/),
    })
    const comments = await serveOpenAi(beat(': PROCESSING\n\n'))
    const second = await call(openAiFor(comments.server.url, { loadDeadlineMs: 60 }))
    expect(second.end.error?.message).toMatch(/sent 1 heartbeat \(/)
    const silent = await serveOpenAi(beat(''))
    const third = await call(openAiFor(silent.server.url, { loadDeadlineMs: 60 }))
    expect(third.end.error?.message).toMatch(/sent nothing within 60 ms/)
  })
})

describe('whatever a server says', () => {
  const json = fc.jsonValue({ maxDepth: 3 })
  const text = fc.string({ unit: fc.constantFrom('a', 'é', '日', '👩', ' ', '\n', '"', '\\') })
  /** Something odd in one of the places that have a meaning, and a piece of text that must not be lost before it. */
  const oddMessage = fc.record(
    { content: fc.oneof(text, json), thinking: json, reasoning: json, tool_calls: json, refusal: json },
    { requiredKeys: [] },
  )
  const oddLine = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record(
        {
          message: fc.oneof(oddMessage, json),
          done: fc.oneof(fc.boolean(), json),
          error: json,
          eval_count: json,
          done_reason: json,
        },
        { requiredKeys: [] },
      ),
    },
    { weight: 1, arbitrary: json },
  )
  const oddChoice = fc.record(
    { index: json, delta: fc.oneof(oddMessage, json), finish_reason: json, message: json, error: json },
    { requiredKeys: [] },
  )
  const oddChunk = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record(
        {
          choices: fc.oneof(fc.array(fc.oneof(oddChoice, json), { maxLength: 2 }), json),
          usage: json,
          timings: json,
          error: json,
        },
        { requiredKeys: [] },
      ),
    },
    { weight: 1, arbitrary: json },
  )
  const ends = ['completed', 'failed']

  it('a call ends, typed, and the text before it is not lost', { timeout: 60_000 }, async () => {
    let body = ''
    const one = (await serveOllama((response) => void ndjson(response).end(body))).backend
    const other = (await serveOpenAi((response) => void eventStream(response).end(body))).backend
    const holds = ({ end, text: got }: Told) => {
      expect(ends).toContain(end.end)
      expect(got.startsWith('before')).toBe(true)
      if (end.end !== 'failed') return
      expect(end.error?.code).toMatch(
        /^CAESURA_E_(PROTOCOL|MODEL_ERROR|STREAM_CUT|SERVER_BUSY|CONTEXT_FULL|AUTH|REQUEST)$/,
      )
      expect(end.error!.message.length).toBeLessThan(500)
    }
    await fc.assert(
      fc.asyncProperty(
        fc.array(oddLine, { maxLength: 4 }),
        fc.array(oddChunk, { maxLength: 4 }),
        async (lines, chunks) => {
          body = line('before') + lines.map((each) => `${JSON.stringify(each)}\n`).join('') + lastLine
          holds(await call(one))
          body = said('before') + chunks.map((each) => event(JSON.stringify(each))).join('') + finish() + done
          holds(await call(other))
        },
      ),
      { numRuns: 120 },
    )
  })

  const strip = ({ end: { server: _, ...end }, text: all, thoughts }: Told) => ({
    end,
    all,
    thoughts: thoughts.join(''),
  })
  it('a stream says the same wherever its bytes are cut', { timeout: 60_000 }, async () => {
    const parts = [
      { type: 'text', text: 'né' },
      { type: 'thinking', thinking: 'm' },
    ]
    const lines = Buffer.from(
      `: x\n\n${line('').replace('"content":""', '"content":"","thinking":"h日m"')}\n${line('é👩')}data: ${line('b')}\n${line('').replace('"content":""', `"content":${JSON.stringify(parts)}`)}${lastLine}`,
    )
    const events = Buffer.from(
      `: x\r\n\r\n${event(chunk({ reasoning: 'h日m' }))}${said('é👩', 'b')}${event(chunk({ content: parts }))}${finish('')}${finish('length')}${usageOf(1, 4)}${done}`,
    )
    const document = Buffer.from(
      JSON.stringify({ choices: [{ message: { content: parts }, finish_reason: 'stop' }] }, null, 1),
    )
    let [bytes, at]: [Buffer, number] = [lines, 0]
    const respond = async (response: Parameters<typeof ndjson>[0]) => {
      ndjson(response).write(bytes.subarray(0, at))
      await new Promise(setImmediate)
      response.end(bytes.subarray(at))
    }
    const one = (await serveOllama(respond)).backend
    const other = (await serveOpenAi(respond)).backend
    for (const [backend, all] of [
      [one, lines],
      [other, events],
      [other, document],
    ] as const) {
      bytes = all
      at = all.length
      const expected = strip(await call(backend))
      expect(expected.end.end).toBe('completed')
      for (at = 1; at < all.length; at += 1) expect(strip(await call(backend)), `cut at ${at}`).toEqual(expected)
    }
  })
})
