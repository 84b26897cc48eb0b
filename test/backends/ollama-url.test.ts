import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ollamaUrl } from '../../src/backends/ollama-url.ts'

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

  it.each(['ftp://gpu-1', 'http://', 'gpu 1', 'gpu:port', 'http://gpu-1:99999'])('%j is none', (host) => {
    expect(() => ollamaUrl(host)).toThrow(expect.objectContaining({ code: 'CAESURA_E_CONFIG' }))
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
})
