import { expect, it } from 'vitest'
import { withoutPassword } from '../../src/core/address.ts'

it.each([
  ['redis://127.0.0.1:6379', 'redis://127.0.0.1:6379'],
  ['redis://user:secret@host:6379/0', 'redis://host:6379/0'],
  ['http://user:s@cr@t@collector:4318/v1/traces', 'http://collector:4318/v1/traces'],
])('%s is shown without its user and password', (url, shown) => {
  expect(withoutPassword(url)).toBe(shown)
})
