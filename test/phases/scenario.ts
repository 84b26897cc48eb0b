/** How a request is answered, and what is reported of it. All lengths in ms; 0 by default where there is a choice. */
export interface ServerScript {
  /** Waits for a slot: before the load, and between load and prefill. */
  readonly queueBefore?: number
  readonly queueAfter?: number
  readonly load?: number
  readonly prefill?: number
  /** From the end of the prefill to the first piece. */
  readonly sampling?: number
  /** Where the server counts that; nowhere by default. */
  readonly samplingIn?: 'prefill' | 'decode'
  /** Pieces of thinking before the text. */
  readonly thoughts?: number
  /** Pieces of text; 12 by default, 20 ms apart. */
  readonly pieces?: number
  readonly pieceMs?: number
  /** After the third piece. */
  readonly pause?: number
  /** Each write behind the first piece takes so much longer. */
  readonly slowWrite?: number
  /** From the last piece to the last line. */
  readonly lateLast?: number
  /** The server's clock runs so fast; 1 by default. */
  readonly clockRate?: number
  /** The queue is in no figure. */
  readonly hidesQueue?: boolean
  /** The load is reported as this. */
  readonly loadAs?: number
  /** Figures of the text alone, as a second pass has them: its prefill took 2 ms. */
  readonly secondPass?: boolean
  /** Figures that the report leaves out. */
  readonly without?: readonly ('load' | 'prefill')[]
}

/** What a proxy between client and server does to the call. ms, and bytes a ms. */
export interface ProxyScript {
  /** One way. */
  readonly up?: number
  readonly down?: number
  /** Holds the answer back for so long from its first byte on, then lets it through. */
  readonly holdFirst?: number
  /** Holds the answer back until it is whole. */
  readonly buffers?: boolean
  readonly lateLast?: number
  readonly uploadRate?: number
  /** Waits so long before it hands each piece on, one after the other. */
  readonly slowDown?: number
}

export interface Scenario {
  readonly name: string
  readonly wire: 'ollama' | 'openai' | 'openai with timings'
  readonly server?: ServerScript
  readonly proxy?: ProxyScript
  /** The process of the client does something else for so long when the first piece is about to come, ms. */
  readonly busyMs?: number
  readonly promptBytes?: number
  /** The report must be used, or must not be. Absent: either is honest. */
  readonly report?: 'used' | 'unused'
}

interface Delay {
  readonly server?: ServerScript
  readonly proxy?: ProxyScript
  readonly promptBytes?: number
}

/** The places where time can be lost, one each. */
const places: Readonly<Record<string, Delay>> = {
  'a queue before the load': { server: { queueBefore: 150 } },
  'a queue behind the load': { server: { queueAfter: 150 } },
  'a long load': { server: { load: 200 } },
  'a long prefill': { server: { prefill: 250 } },
  'sampling of the first token, in no figure': { server: { sampling: 150 } },
  'sampling of the first token, in the decode': { server: { sampling: 150, samplingIn: 'decode' } },
  'sampling of the first token, in the prefill': { server: { sampling: 150, samplingIn: 'prefill' } },
  'a pause after the first token': { server: { pause: 150 } },
  'slow writes after the first token': { server: { slowWrite: 12 } },
  'a last line that the server writes late': { server: { lateLast: 150 } },
  'a last line that a proxy hands on late': { proxy: { lateLast: 150 } },
  'a proxy that holds the first bytes': { proxy: { holdFirst: 150 } },
  'a proxy that buffers the answer': { proxy: { buffers: true } },
  'a slow way there': { proxy: { up: 120 } },
  'a slow way back': { proxy: { down: 120 } },
  'a slow download': { proxy: { slowDown: 35 } },
  'a slow upload': { proxy: { uploadRate: 20_000 }, promptBytes: 4_000_000 },
}

const wrong: Readonly<Record<string, Delay>> = {
  'a clock at half speed': { server: { clockRate: 0.5 } },
  'a clock at double speed': { server: { clockRate: 2 } },
  'a load of 500 ms that was 30': { server: { loadAs: 500 } },
  'the figures of a second pass alone': { server: { thoughts: 8, secondPass: true } },
}

const used = new Set([
  'a long load',
  'a long prefill',
  'a pause after the first token',
  'slow writes after the first token',
])

const scenario = (name: string, wire: Scenario['wire'], ...delays: readonly Delay[]): Scenario => ({
  name,
  wire,
  server: Object.assign({}, ...delays.map(({ server }) => server)),
  proxy: Object.assign({}, ...delays.map(({ proxy }) => proxy)),
  ...Object.assign({}, ...delays.map(({ promptBytes }) => (promptBytes === undefined ? {} : { promptBytes }))),
})

const named = Object.entries(places)
const both = (a: string, b: string): Scenario =>
  scenario(`${a}, and ${b}`, 'ollama', { ...places, ...wrong }[a]!, { ...places, ...wrong }[b]!)

/** Each second one of the pairs, in an order that spreads them: all of them take minutes. */
const pairs = named.flatMap(([a], index) =>
  named.slice(index + 1).flatMap(([b], other) => ((index + other) % 4 === 0 && isPair(a, b) ? [both(a, b)] : [])),
)

/** Two that say how the same thing is reported are no pair. */
function isPair(a: string, b: string): boolean {
  return a.split(',')[0] !== b.split(',')[0]
}

/** Every one is a call over the wire whose time is known: by the instants that server and proxy log. */
export const scenarios: readonly Scenario[] = [
  { ...scenario('nothing in particular', 'ollama'), report: 'used' },
  ...named.map(
    ([name, delay]): Scenario => ({
      ...scenario(name, 'ollama', delay),
      ...(used.has(name) && { report: 'used' as const }),
    }),
  ),
  ...Object.entries(wrong).map(([name, delay]): Scenario => ({ ...scenario(name, 'ollama', delay), report: 'unused' })),
  scenario('thinking before the text', 'ollama', { server: { thoughts: 8 } }),
  scenario('a queue that no figure has', 'ollama', { server: { queueBefore: 150, hidesQueue: true } }),
  scenario('a queue far longer than the answer', 'ollama', {
    server: { queueAfter: 1500, pieces: 6, pieceMs: 8 },
  }),
  scenario('a report without a load', 'ollama', { server: { load: 100, without: ['load'] } }),
  scenario('a report without a prefill', 'ollama', { server: { without: ['prefill'] } }),
  scenario('one piece', 'ollama', { server: { pieces: 1 } }),
  ...pairs,
  both('a clock at half speed', 'a queue before the load'),
  both('a clock at half speed', 'a proxy that buffers the answer'),
  both('a clock at half speed', 'a pause after the first token'),
  both('a clock at double speed', 'a slow way back'),
  both('the figures of a second pass alone', 'a queue behind the load'),
  ...(['openai', 'openai with timings'] as const).flatMap((wire) => [
    scenario('nothing in particular', wire),
    ...named.map(([name, delay]) => scenario(name, wire, delay)),
    scenario('a clock at half speed', wire, wrong['a clock at half speed']!),
  ]),
]

/** These hold up the whole process: one at a time. */
export const busyScenarios: readonly Scenario[] = (['ollama', 'openai with timings'] as const).map((wire) => ({
  ...scenario('a client that is busy when the first piece comes', wire),
  busyMs: 250,
}))
