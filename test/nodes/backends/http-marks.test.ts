import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, it } from 'vitest'
import { ollamaBackend } from '../../../src/nodes/backends/ollama.ts'
import { call, lastLine, line } from './ollama-call.ts'

it('a long request is sent when the kernel has taken all of it, not when it was handed over', async () => {
  let read = 0
  let isRead = false
  const server = createServer((socket) => {
    // Reads nothing for a while: what the kernel cannot take waits in the client.
    socket.pause()
    setTimeout(() => socket.resume(), 300)
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      read += bytes.byteLength
      if (isRead || !bytes.toString('latin1').endsWith('}')) return
      isRead = true
      const body = line('Yes') + lastLine
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const backend = ollamaBackend({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spareConnection: false,
  })
  try {
    const content = 'x'.repeat(30_000_000)
    const { marks, end } = await call(backend, { messages: [{ role: 'user', content }] })
    expect(end.end).toBe('completed')
    expect(read).toBeGreaterThan(content.length)
    const at = Object.fromEntries(marks.map((mark) => [mark.name, mark.at]))
    expect(at['request-sent']! - at.connected!).toBeGreaterThan(250e6)
    expect(at.headers).toBeGreaterThanOrEqual(at['request-sent']!)
  } finally {
    await backend.close()
    server.close()
  }
})
