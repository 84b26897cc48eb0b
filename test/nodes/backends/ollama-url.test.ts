import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ollamaUrl } from '../../../src/nodes/backends/ollama-url.ts'
import { openaiUrl } from '../../../src/nodes/backends/openai-url.ts'

describe('an address of an Ollama', () => {
  it.each([
    [undefined, 'http://127.0.0.1:11434'],
    ['', 'http://127.0.0.1:11434'],
    ['127.0.0.1', 'http://127.0.0.1:11434'],
    ['127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['127.0.0.1:80', 'http://127.0.0.1'],
    ['0.0.0.0', 'http://127.0.0.1:11434'],
    ['0.0.0.0:1234', 'http://127.0.0.1:1234'],
    ['http://0.0.0.0:1234', 'http://127.0.0.1:1234'],
    [':1234', 'http://127.0.0.1:1234'],
    ['[::]:1234', 'http://[::1]:1234'],
    ['::1', 'http://[::1]:11434'],
    ['gpu-1', 'http://gpu-1:11434'],
    ['gpu-1/ollama/', 'http://gpu-1:11434/ollama'],
    [' "gpu-1:99" ', 'http://gpu-1:99'],
    ['http://gpu-1', 'http://gpu-1'],
    ['https://gpu-1/', 'https://gpu-1'],
    ['https://gpu-1:8443/ollama/', 'https://gpu-1:8443/ollama'],
  ])('%j becomes %s', (host, url) => {
    expect(ollamaUrl(host)).toBe(url)
    expect(ollamaUrl(url)).toBe(url)
  })

  it.each([
    ...['ftp://gpu-1', 'http://', 'http:/gpu-1', 'http:gpu-1', 'https:gpu-1:8080', 'gpu 1', 'gpu\n1', 'gpu\\a'],
    ...['gpu:port', 'gpu-1:', 'http://gpu-1:99999', 'gpu-1:0', ':0', 'http://gpu-1:0', '1:2:3:4:5:6:7:8:9'],
    // What a server may be told to listen on, or what `URL` makes an address of.
    ...['*', '*:11434', 'http://*:11434', '%2a:11434', '11434', '1', '0.0.0.1', '224.0.0.1', '255.255.255.255'],
    ...['[ff02::1]:80', 'gpu,other', 'a..b', '-gpu', 'gpu-', 'unix:///tmp/socket', 'fe80::1%eth0', 'x'.repeat(64)],
  ])('%j is none', (host) => {
    expect(() => ollamaUrl(host)).toThrow(expect.objectContaining({ code: 'CAESURA_E_CONFIG' }))
  })

  it('says how a port alone is written', () => {
    expect(() => ollamaUrl('11434')).toThrow(
      expect.objectContaining({ place: expect.objectContaining({ hint: 'Write a port with a colon: :11434' }) }),
    )
  })

  it.each([
    ...['http://me:pw-marker@gpu-1', 'me:pw-marker@gpu-1:11434', 'https://me:pw%40-marker@gpu-1/ollama'],
    ...[
      'http://me:pw@-marker@gpu-1',
      'http://me:pw/-marker@gpu-1',
      'http://me:12/-marker@gpu-1',
      'http://marker@gpu-1',
    ],
    ...['http://me:pw?-marker@gpu-1', 'http://me:pw#-marker@gpu-1', 'http://me:marker@', 'ftp://me:marker@gpu-1'],
    ...['http://gpu 1/?key=marker', 'ftp://gpu-1/?key=marker'],
  ])('%j is none, and nothing of its password is told', (host) => {
    const make = () => ollamaUrl(host)
    expect(make).toThrow(expect.objectContaining({ code: 'CAESURA_E_CONFIG', exitCode: 2 }))
    try {
      make()
    } catch (error) {
      expect(inspect(error, { depth: 9 })).not.toContain('marker')
      if (host.includes('gpu-1') && host.includes('//me:pw-')) expect(String(error)).toContain('http://…@gpu-1')
    }
  })

  it('gives a URL or an error of ours for any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(URL.canParse(ollamaUrl(text))).toBe(true)
        } catch (error) {
          expect(error).toMatchObject({ code: 'CAESURA_E_CONFIG' })
        }
      }),
    )
  })

  it('takes none with a user or a password, whatever they are, and tells neither', () => {
    const secret = fc.string({ minLength: 8 }).filter((text) => text.isWellFormed() && text.trim() === text)
    fc.assert(
      fc.property(secret, fc.boolean(), fc.constantFrom('http://', 'https://', ''), (text, isEncoded, scheme) => {
        const password = `marker${isEncoded ? encodeURIComponent(text) : text}`
        for (const make of [ollamaUrl, openaiUrl])
          try {
            make(`${scheme}me:${password}@gpu-1:11434`)
            expect.unreachable()
          } catch (error) {
            expect(error).toMatchObject({ code: 'CAESURA_E_CONFIG' })
            expect(inspect(error, { depth: 9 }).split('\n    at ')[0]).not.toContain('marker')
          }
      }),
    )
  })
})
