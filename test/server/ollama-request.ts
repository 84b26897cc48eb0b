import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  /** The lines that are JSON. */
  readonly lines: readonly Record<string, unknown>[]
}

export interface Sent {
  readonly request: ClientRequest
  /** Rejects when the connection breaks. */
  readonly answer: Promise<Answer>
  /** Resolves when so many lines have come. */
  lines(count: number): Promise<void>
}

/** One request on a connection of its own, which `request.destroy()` closes. */
export function sendTo(url: string, method: string, path: string, body?: string | null): Sent {
  const request = httpRequest(`${url}${path}`, { method, agent: false })
  let text = ''
  const watchers = new Set<() => void>()
  const read = async (): Promise<Answer> => {
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
      for (const watcher of watchers) watcher()
    })
    await once(response, 'end')
    const lines = text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
    return { status: response.statusCode ?? 0, headers: response.headers, text, lines }
  }
  const answer = read()
  answer.catch(() => {})
  request.on('error', () => {})
  request.end(body ?? undefined)
  return {
    request,
    answer,
    lines: (count) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (text.split('\n').length > count) resolve()
        }
        watchers.add(look)
        look()
        answer.then(look, reject)
      }),
  }
}

/** The same, to its end. */
export const ask = (url: string, path: string, body?: unknown): Promise<Answer> =>
  sendTo(url, body === undefined ? 'GET' : 'POST', path, body === undefined ? undefined : JSON.stringify(body)).answer

/** The text of a streamed answer. */
export const textOf = ({ lines }: Answer): string =>
  lines.map((line) => (line.message as { content?: string } | undefined)?.content ?? line.response ?? '').join('')
