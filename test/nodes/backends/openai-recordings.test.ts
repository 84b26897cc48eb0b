import { describe, expect, it } from 'vitest'
import { generations, recording, replay } from '../../servers/replay.ts'
import { backendFor, call, cleanups } from './openai-call.ts'

describe.each(generations)("Ollama's OpenAI route, recorded from %s", (generation) => {
  const { signal } = new AbortController()
  const replaying = async (name: string) => {
    const from = recording(generation, name)
    const server = await replay(from, { speed: Number.POSITIVE_INFINITY })
    cleanups.push(() => server.close())
    const events = from.chunks
      .map(({ text }) => text)
      .join('')
      .split('\n\n')
      .filter((text) => text.startsWith('data: {'))
      .map((text) => JSON.parse(text.slice('data: '.length)))
    return { events, backend: backendFor(server.url) }
  }

  it.each([
    ['v1-chat-stream-usage', true],
    ['v1-chat-stream', false],
  ])('%s: word for word, without durations', async (name, counted) => {
    const { events, backend } = await replaying(name)
    const told = await call(backend)
    const text = events.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
    const reason = events.findLast(({ choices }) => choices.length > 0).choices[0].finish_reason
    const { usage } = events.at(-1)
    expect(text).not.toBe('')
    expect(told.text).toBe(text)
    expect(told.end).toEqual({
      end: 'completed',
      finishReason: reason,
      ...(counted && { promptTokens: usage.prompt_tokens, generatedTokens: usage.completion_tokens }),
    })
    expect(told.names).toEqual(['connect-start', 'connected', 'request-sent', 'headers', 'done'])
  })

  it.each([
    ['v1-chat-unknown-model', 'CAESURA_E_NO_MODEL'],
    ['v1-chat-bad-json', 'CAESURA_E_REQUEST'],
  ])('%s: %s', async (name, expected) => {
    const { end, text } = await call((await replaying(name)).backend)
    expect(end.error?.code ?? end.end).toBe(expected)
    expect(text).toBe('')
  })

  it('v1-chat-nonstream: an answer in one piece is one', async () => {
    const from = recording(generation, 'v1-chat-nonstream')
    const { choices, usage } = JSON.parse(from.chunks.map(({ text }) => text).join(''))
    const told = await call((await replaying('v1-chat-nonstream')).backend)
    expect(told.pieces).toEqual([choices[0].message.content])
    expect(told.end).toEqual({
      end: 'completed',
      finishReason: choices[0].finish_reason,
      promptTokens: usage.prompt_tokens,
      generatedTokens: usage.completion_tokens,
    })
  })

  it('v1-completions-stream: its pieces are called text, and are no less', async () => {
    const { events, backend } = await replaying('v1-completions-stream')
    const told = await call(backend)
    expect(told.end.end).toBe('completed')
    expect(told.text).toBe(events.map(({ choices }) => choices[0]?.text ?? '').join(''))
  })

  it('v1-models: the models', async () => {
    const { backend } = await replaying('v1-models')
    expect(await backend.models(signal)).toContainEqual({ name: 'smollm2:135m' })
    expect(await backend.server(signal)).toMatchObject({ kind: 'openai' })
  })
})
