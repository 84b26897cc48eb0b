import type { ServerResponse } from 'node:http'

/** An answer that its reader leaves so far behind, in bytes, is cut off: a token cannot wait, and memory is bounded. */
const MOST_UNREAD_BYTES = 8 * 1024 * 1024

const jsonHeaders = { 'content-type': 'application/json; charset=utf-8' }

/** An answer in one piece. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { ...jsonHeaders, 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

/** Writes a line of NDJSON, and the headers before the first one: as Ollama does, they come with the first token. */
export function writeLine(response: ServerResponse, line: unknown): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  response.write(`${JSON.stringify(line)}\n`)
  if (response.writableLength > MOST_UNREAD_BYTES) response.destroy()
}
