import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import { type LogWishes, openLog, withCapture } from '../../src/app/logs.ts'
import { defineConfig } from '../../src/nodes/config-schema.ts'

const opened = (wishes: Partial<LogWishes>) =>
  openLog({ environment: {}, isTerminal: false, service: 'test', ...wishes })

describe('the log of a process', () => {
  it.each([
    ['text on a terminal', { isTerminal: true }, 'text'],
    ['json elsewhere', {}, 'json'],
    ['what CAESURA_LOG says', { environment: { CAESURA_LOG: ' silent ' } }, 'silent'],
    ['what a flag says before that', { format: 'text' as const, environment: { CAESURA_LOG: 'silent' } }, 'text'],
    ['its default where the variable is empty', { environment: { CAESURA_LOG: '' } }, 'json'],
  ])('is %s', async (_, wishes, format) => {
    expect((await opened(wishes)).format).toBe(format)
  })

  it('begins at info, or where it is told to', async () => {
    const has = async (wishes: Partial<LogWishes>) => {
      const { log } = await opened(wishes)
      return [log.has('debug'), log.has('info'), log.has('warn')]
    }
    expect(await has({})).toEqual([false, true, true])
    expect(await has({ environment: { CAESURA_LOG_LEVEL: 'warn' } })).toEqual([false, false, true])
    expect(await has({ level: 'debug', environment: { CAESURA_LOG_LEVEL: 'warn' } })).toEqual([true, true, true])
    expect(await has({ format: 'silent' })).toEqual([false, false, false])
  })

  it.each(['CAESURA_LOG', 'CAESURA_LOG_LEVEL'])('refuses a %s that it cannot use', async (name) => {
    await expect(opened({ environment: { [name]: 'loud' } })).rejects.toMatchObject({
      code: 'CAESURA_E_USAGE',
      message: `${name} cannot be read`,
    })
  })

  it('knows the secrets of the environment, the configuration and the flags', async () => {
    const nodes = [{ name: 'a', backend: 'openai' as const, url: 'http://h/v1', apiKeyEnv: 'KEY' }]
    const { redact } = await opened({
      environment: { KEY: 'key-1', REDIS_URL: 'redis://:pass-1@h', OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x=head-1' },
      config: defineConfig(catalogue, { nodes, redis: 'redis://:pass-2@h' }),
      redis: 'redis://:pass-3@h',
      secrets: ['tok-1', ''],
    })
    expect(redact('key-1 pass-1 head-1 pass-2 pass-3 tok-1 rest')).toBe('*** *** *** *** *** *** rest')
  })
})

it('the log of a process knows the keys and headers of all nodes, and the passwords of proxies', async () => {
  const access = { url: 'http://h', apiKeyEnv: 'KEY', headers: { 'x-key': 'head-1', authorization: 'Bearer tok-1' } }
  const basic = Buffer.from('me:base-1').toString('base64')
  const nodes = [
    { name: 'a', backend: 'ollama' as const, ...access },
    { name: 'b', backend: 'openai' as const, url: 'http://h', headers: { authorization: `Basic ${basic}` } },
  ]
  const { redact } = await opened({
    environment: {
      KEY: 'key-1',
      HTTP_PROXY: 'http://me:pass-1@p',
      https_proxy: 'me:pass-2@p',
      OLLAMA_HOST: 'me:pass-3@h',
    },
    config: defineConfig(catalogue, { nodes }),
  })
  expect(redact(`key-1 head-1 tok-1 ${basic} base-1 pass-1 pass-2 pass-3 rest`)).toBe(`${'*** '.repeat(8)}rest`)
})

describe('what is captured of content', () => {
  const config = defineConfig(catalogue, { captureContent: { spans: true, logs: true } })

  it('is what the configuration says, where the environment says nothing', () => {
    expect(withCapture({ A: '1' }, config)).toEqual({ A: '1', CAESURA_CAPTURE_CONTENT: 'spans,logs' })
    expect(withCapture({}, defineConfig(catalogue, {}))).toEqual({})
    expect(withCapture({ CAESURA_CAPTURE_CONTENT: 'spans' }, config)).toEqual({ CAESURA_CAPTURE_CONTENT: 'spans' })
  })
})
