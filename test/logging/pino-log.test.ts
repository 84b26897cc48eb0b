import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CaesuraError } from '../../src/core/errors.ts'
import type { LogLevel } from '../../src/core/log.ts'
import { LONGEST_CONTENT, type PinoLogSettings, pinoLog } from '../../src/logging/pino-log.ts'

function opened(settings: Partial<PinoLogSettings> = {}) {
  const lines: string[] = []
  const to = { write: (line: string) => void lines.push(line) }
  const log = pinoLog({ format: 'json', level: 'debug', service: 'test', secrets: [], ...settings, to })
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line)) }
}

describe('a line of JSON', () => {
  it('holds time, level, process, the fields of its log and its own', () => {
    const { log, lines, parsed } = opened()
    log
      .child({ run_id: 'r', trace_id: 't' })
      .info('100% of it went well', { n: 2, ok: true, ids: ['a'], none: undefined })
    expect(lines[0]).toMatch(/^\{.*\}\n$/)
    expect(parsed()[0]).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      service: 'test',
      host: expect.any(String),
      pid: process.pid,
      ...{ run_id: 'r', trace_id: 't', n: 2, ok: true, ids: ['a'] },
      msg: '100% of it went well',
    })
  })

  it('is written from its level on', () => {
    const { log, parsed } = opened({ level: 'warn' })
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level](level)
    expect(parsed().map(({ msg }) => msg)).toEqual(['warn', 'error'])
    expect([log.has('info'), log.has('error')]).toEqual([false, true])
  })

  it('holds of an error its type, code, message, stack and cause, and nothing that hangs on it', () => {
    const { log, lines, parsed } = opened()
    const cause = Object.assign(new TypeError('inner'), { command: { args: ['MARK'] } })
    log.error('it failed', { error: new CaesuraError('CAESURA_E_STATE', 'outer', { received: 'MARK', cause }) })
    expect(parsed()[0].error).toEqual({
      ...{ type: 'CaesuraError', code: 'CAESURA_E_STATE', message: 'outer', stack: expect.stringContaining('outer') },
      cause: { type: 'TypeError', message: 'inner', stack: expect.any(String) },
    })
    expect(lines.join('')).not.toContain('MARK')
  })

  it('does not quote the text that could not be parsed', () => {
    const { log, lines } = opened()
    try {
      JSON.parse('MARK and more')
    } catch (error) {
      log.error('it failed', { error: error as Error })
    }
    expect(lines.join('')).not.toContain('MARK')
  })
})

describe('content', () => {
  const content = { input: 'asked', output: 'o'.repeat(2000), interrupts: ['changed'], none: undefined }

  it('is nowhere by default', () => {
    const { log, parsed } = opened()
    log.info('ended', {}, content)
    expect(parsed()[0]).not.toHaveProperty('captured')
  })

  it('is there, cut, where the process was told to capture it', () => {
    const { log, parsed } = opened({ captureContent: true, secrets: ['askedfor'] })
    log.info('ended', {}, { ...content, input: 'askedfor' })
    expect(parsed()[0].captured).toEqual({
      input: '***',
      output: 'o'.repeat(LONGEST_CONTENT),
      interrupts: ['changed'],
    })
  })
})

describe('a line of text', () => {
  it('is the sentence, then the stack of an error, with nothing that a terminal would obey', () => {
    const { log, lines } = opened({ format: 'text', captureContent: true })
    log.info('node a: \u001b[31mdown\u001b[0m\nsecond', { node: 'a' })
    log.error('it failed', { error: new Error('why') }, { input: 'i\n' })
    expect(lines[0]).toBe('node a: down second\n')
    expect(lines[1]).toMatch(/^it failed\n {2}Error: why\n {2}at .*\n {2}input: "i\\n"\n$/s)
  })
})

describe('a secret that is known', () => {
  const secret = fc
    .string({ minLength: 8, maxLength: 40 })
    .filter((text) => !text.includes('*') && text.trim() === text)
  const around = fc.tuple(fc.string(), fc.string())

  it('is in no line, whatever it stands in', () => {
    fc.assert(
      fc.property(
        secret,
        around,
        fc.constantFrom('json' as const, 'text' as const),
        fc.constantFrom<LogLevel>('debug', 'info', 'warn', 'error'),
        (secret, [before, after], format, level) => {
          const { log, lines } = opened({ format, secrets: [secret], captureContent: true })
          const text = `${before}${secret}${after}`
          const error = new CaesuraError('CAESURA_E_SERVER', text, { cause: new Error(text) })
          log.child({ first: text })[level](text, { text, list: [text], error }, { input: text, inputs: [text] })
          const line = lines.join('')
          expect(line).not.toContain(secret)
          expect(line).not.toContain(JSON.stringify(secret).slice(1, -1))
        },
      ),
    )
  })

  it.each(['authorization', 'password', 'token', 'apiKey', 'cookie'])('nor is what a field %s holds', (name) => {
    const { log, lines } = opened()
    log.info('sent', { [name]: 'abcdefgh' })
    expect(lines.join('')).not.toContain('abcdefgh')
  })
})
