import { definePipeline } from '../../src/app/compose.ts'
import { type Api, type ServingSettings, serveFleet } from '../../src/app/fleet-serving.ts'
import type { RunEvent } from '../../src/core/event.ts'
import type { Pipeline } from '../../src/core/pipeline.ts'
import type { Problem } from '../../src/server/api/problem.ts'

export const twoStages = definePipeline({
  name: 'two',
  stages: [
    { id: 'draft', model: 'scripted', prompt: 'draft {{ input }}', policy: { response: 'abort', carry: 'all' } },
    { id: 'refine', model: 'scripted', prompt: 'refine {{ draft.output }}|{{ interrupt.input }}' },
  ],
})
export const oneStage = definePipeline({
  name: 'one',
  stages: [
    { id: 'only', model: 'scripted', prompt: '{{ input }}', policy: { trigger: { never: null, signals: 'ignore' } } },
  ],
})
export const pipelines: ReadonlyMap<string, Pipeline> = new Map([twoStages, oneStage].map((each) => [each.name, each]))

/** An API in this process, on a free port. */
export const testApi = (url: string, settings: Partial<ServingSettings> = {}): Promise<Api> =>
  serveFleet({ redis: { url }, port: 0, pipelines, rate: 0, ...settings })

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/** Sends JSON, and reads JSON where there is some. */
export async function ask(
  url: string,
  { body, ...init }: Omit<RequestInit, 'body'> & { body?: unknown } = {},
): Promise<Answered> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(url, {
    ...init,
    ...(body !== undefined && { method: init.method ?? 'POST', body: text }),
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...(init.headers as object) },
  })
  const received = await response.text()
  const isJson = received !== '' && /json/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(received) : received }
}

/** Starts a run and gives its id. */
export async function startRun(api: Pick<Api, 'url'>, body: Record<string, unknown> = {}): Promise<string> {
  const answered = await ask(`${api.url}/v1/runs`, { body: { pipeline: 'two', input: 'i', ...body } })
  if (answered.status !== 201) throw new Error(JSON.stringify(answered.body))
  return (answered.body as { runId: string }).runId
}

export const problemIn = ({ body }: Answered): Problem => body as Problem

/** What a stream says, a line of text after the other. */
export async function* lines(response: Response): AsyncGenerator<string> {
  let rest = ''
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
}

/** The events of a stream of either format, until it ends or `isEnough`. */
export async function eventsOf(response: Response, isEnough: (event: RunEvent) => boolean = () => false) {
  const events: RunEvent[] = []
  for await (const line of lines(response)) {
    const json = line.startsWith('data: ') ? line.slice(6) : line.startsWith('{') ? line : undefined
    if (json === undefined) continue
    const event = JSON.parse(json) as RunEvent
    events.push(event)
    if (isEnough(event)) break
  }
  return events
}

export const tokensOf = (events: readonly RunEvent[]): string =>
  events.map((event) => (event.type === 'token' ? event.text : '')).join('')
