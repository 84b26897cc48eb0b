import { expect, it } from 'vitest'
import { readServerUrl, withoutPassword } from '../../src/core/address.ts'

it.each([
  ['redis://127.0.0.1:6379', 'redis://127.0.0.1:6379'],
  ['redis://user:secret@host:6379/0', 'redis://host:6379/0'],
  ['http://user:s@cr@t@collector:4318/v1/traces', 'http://collector:4318/v1/traces'],
  ['redis://host:6379/0?password=secret', 'redis://host:6379/0'],
  ['redis://user:s/cret@host:6379', 'redis://host:6379'],
  ['redis://user:s?cret@host:6379', 'redis://…'],
  ['user:secret@host:6379', 'host:6379'],
  ['127.0.0.1:6379', '127.0.0.1:6379'],
])('%s is shown without its user and password', (url, shown) => {
  expect(withoutPassword(url)).toBe(shown)
})

it('shows that something stood there, where it is told to', () => {
  expect(withoutPassword('http://user:s@cret@host/x', '…@')).toBe('http://…@host/x')
  expect(withoutPassword('http://host/x', '…@')).toBe('http://host/x')
})

it.each([
  ['http://gpu-1:8080/v1/?x=1#y', 'http://gpu-1:8080/v1/'],
  ['http://0.0.0.0:11434', 'http://127.0.0.1:11434/'],
  ['http://[::]:11434', 'http://[::1]:11434/'],
  ['https://gpu_1.corp.', 'https://gpu_1.corp./'],
  ['http://bücher.example', 'http://xn--bcher-kva.example/'],
])('%s is the address of a server: %s', (text, url) => {
  expect(readServerUrl(text).url?.href).toBe(url)
})

it.each([
  ['http://me:pw@gpu', 'credentials'],
  ['http://gpu/@cf', '%40'],
  ['gpu-1:11434', 'http or https'],
  ['http://gpu /', 'blank'],
  ['http://*:11434', 'host'],
  ['http://gpu:0', 'port 0'],
])('%s is none: %s', (text, fault) => {
  expect(readServerUrl(text).fault).toContain(fault)
})
