import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

/** One exchange with a real server, as `test/recordings/ollama-0.24.0/README.md` describes its fields. */
const recordingSchema = z.object({
  case: z.string(),
  note: z.string(),
  request: z.object({ method: z.string(), path: z.string(), body: z.string().nullable() }),
  /** Null when no header arrived. */
  status: z.int().nullable(),
  /** Name, value, name, value. */
  headers: z.array(z.string()).nullable(),
  headersAtMs: z.number().optional(),
  chunks: z.array(z.object({ atMs: z.number(), text: z.string() })),
  endedBy: z.enum(['end', 'reset', 'client-abort']),
  endedAtMs: z.number(),
})
export type Recording = z.infer<typeof recordingSchema>

export const generations = ['ollama-0.24.0', 'ollama-0.32.15'] as const
export type Generation = (typeof generations)[number]

const folder = (generation: Generation): string =>
  fileURLToPath(new URL(`../recordings/${generation}/`, import.meta.url))

/** All recordings of one generation, by case. */
export function recordingsOf(generation: Generation): Recording[] {
  const names = readdirSync(folder(generation)).filter((name) => name.endsWith('.json'))
  return names.toSorted().map((name) => recording(generation, name.slice(0, -'.json'.length)))
}

export function recording(generation: Generation, name: string): Recording {
  return recordingSchema.parse(JSON.parse(readFileSync(`${folder(generation)}${name}.json`, 'utf8')))
}

/** The lines of an answer that are JSON objects. */
export function linesOf({ chunks }: Recording): Record<string, unknown>[] {
  const text = chunks.map((chunk) => chunk.text).join('')
  return text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
}

/**
 * A recording of `/api/generate` as `/api/chat` would have sent it. The two routes share the server's code from the queue to
 * the runner, and their lines differ in one thing: `response: "…"` instead of `message: {…, content: "…"}`. What is not such
 * a line (errors, plain text) stays as it is.
 */
export function asChat(from: Recording): Recording {
  if (from.request.path !== '/api/generate') return from
  const convert = (line: string): string => {
    if (!line.startsWith('{"model"')) return line
    const { response, context: _context, ...rest } = JSON.parse(line)
    return JSON.stringify({ ...rest, message: { role: 'assistant', content: response } })
  }
  const chunks = from.chunks.map(({ atMs, text }) => ({ atMs, text: text.split('\n').map(convert).join('\n') }))
  return { ...from, request: { ...from.request, path: '/api/chat' }, chunks }
}

export interface Replay {
  readonly url: string
  /** Resolves when the client has closed the connection of the one request. */
  readonly left: Promise<void>
  /** Requests that came. */
  readonly requests: number
  close(): Promise<void>
}

/**
 * Answers every request with one recording over a real socket: the same pieces at the same times, divided by `speed` (1 by
 * default, `Infinity` for as fast as it goes), and the same end. Where the recorded client left, it waits for ours to leave.
 */
export async function replay(from: Recording, { speed = 1 }: { speed?: number } = {}): Promise<Replay> {
  let leave = () => {}
  const left = new Promise<void>((resolve) => {
    leave = resolve
  })
  let requests = 0
  const server = createServer(async (request, response) => {
    const startedAt = performance.now()
    const until = async (ms: number) => {
      const wait = ms / speed - (performance.now() - startedAt)
      await (wait > 0 ? sleep(wait) : new Promise(setImmediate))
    }
    requests += 1
    request.socket.on('close', () => leave())
    request.resume()
    if (from.status !== null) {
      const length = from.chunks.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)
      response.sendDate = false
      // Paths and names in recorded texts were replaced, so that the recorded length may be wrong.
      const headers = (from.headers ?? []).map((value, i, all) =>
        i % 2 === 1 && /^content-length$/i.test(all[i - 1] ?? '') ? String(length) : value,
      )
      await until(from.headersAtMs ?? 0)
      response.writeHead(from.status, headers)
    }
    for (const { atMs, text } of from.chunks) {
      await until(atMs)
      response.write(text)
    }
    if (from.endedBy === 'client-abort') return
    await until(from.endedAtMs)
    if (from.endedBy === 'end') response.end()
    else request.socket.resetAndDestroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    left,
    get requests() {
      return requests
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
