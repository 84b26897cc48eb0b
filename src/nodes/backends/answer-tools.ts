import type { GenerateContext, ToolCallSeen } from '../../core/call.ts'
import { isRecord } from '../../core/problems.ts'
import { AnswerFault } from './http-errors.ts'

type Fields = Readonly<Record<string, unknown>>

/** The longest name or id of a tool call that is kept, in characters. */
const LONGEST_NAME = 128
/** Tool calls of one answer that are kept. */
const MOST_TOOL_CALLS = 128
/** Characters of the arguments of one answer's calls. */
const MOST_ARGUMENTS = 1_048_576
/** How often it is tried whether arguments that come in fragments are whole; then their end is waited for. */
const MOST_LOOKS = 64

interface Gathered {
  id: string
  name: string
  readonly index: number | undefined
  /** What came of the arguments as text. */
  text: string
  looks: number
  /** It was told: nothing more belongs to it. */
  isWhole: boolean
}

/** The tool calls of one answer, which come whole or in fragments. Tells of each once, as soon as its arguments are whole. */
export class AnswerTools {
  readonly #context: GenerateContext
  /** By index where they have one. */
  readonly #calls: Gathered[] = []
  #characters = 0
  #told = 0
  #isAsked = false

  constructor(context: GenerateContext) {
    this.#context = context
  }

  /** Whether the model asked for any tool, also for one without a name. */
  get isAsked(): boolean {
    return this.#isAsked
  }

  /** Calls that were told. */
  get told(): number {
    return this.#told
  }

  /** The names, in order, also of calls whose arguments are not whole. */
  get names(): readonly ToolCallSeen[] {
    return this.#calls
      .filter(({ name }) => name !== '')
      .map(({ id, name }): ToolCallSeen => ({ ...(id !== '' && { id }), name }))
  }

  /** Takes the tool calls of a message or a delta in. `areWhole`: the server sends no fragments. */
  take({ tool_calls: calls, function_call: legacy }: Fields, areWhole: boolean): void {
    if (Array.isArray(calls)) for (const call of calls) this.#take(call, areWhole)
    if (typeof legacy === 'object' && legacy !== null) this.#take({ index: 0, function: legacy }, areWhole)
  }

  /** No more comes: what is whole by now is told. `isCut`: the last call may lack its arguments because of that. */
  end(isCut: boolean): void {
    for (const call of this.#calls) {
      const isBare = call.text.trim() === ''
      this.#tell(
        call,
        isBare && isCut && call === this.#calls.at(-1) ? undefined : argumentsIn(isBare ? '{}' : call.text),
      )
    }
  }

  #take(call: unknown, isWhole: boolean): void {
    if (!isRecord(call)) return
    this.#isAsked = true
    const inner = isRecord(call.function) ? call.function : {}
    const [id, name] = [nameOf(call.id), nameOf(inner.name ?? call.name)]
    const index = [call.index, inner.index].find((value): value is number => typeof value === 'number')
    const found = this.#find({ id, name, index })
    if (found === 'over') return
    const known = found ?? this.#open({ id, name, index })
    if (known === undefined) return
    known.id ||= id
    known.name ||= name
    const given: unknown = inner.arguments ?? call.arguments
    if (typeof given === 'string') this.#add(known, given)
    const asText = isWhole ? argumentsIn(known.text.trim() === '' ? '{}' : known.text) : undefined
    this.#tell(known, isRecord(given) ? given : asText)
  }

  /** The call that a fragment belongs to: it has the index of its call, or the id, or neither; some give every call the index 0. */
  #find({ id, name, index }: Pick<Gathered, 'id' | 'name' | 'index'>): Gathered | 'over' | undefined {
    const isFragment = id === '' && name === ''
    const known =
      index === undefined
        ? isFragment
          ? this.#calls.at(-1)
          : this.#calls.find((call) => id !== '' && call.id === id)
        : this.#calls.findLast((call) => call.index === index && (id === '' || call.id === '' || call.id === id))
    if (known?.isWhole !== true) return known
    return isFragment || (id !== '' && known.id === id) ? 'over' : undefined
  }

  #open(call: Pick<Gathered, 'id' | 'name' | 'index'>): Gathered | undefined {
    if (this.#calls.length >= MOST_TOOL_CALLS) return undefined
    const opened = { ...call, text: '', looks: 0, isWhole: false }
    this.#calls.push(opened)
    return opened
  }

  #add(call: Gathered, fragment: string): void {
    this.#characters += fragment.length
    if (this.#characters > MOST_ARGUMENTS)
      throw new AnswerFault('CAESURA_E_PROTOCOL', 'the arguments of its tool calls are longer than 1 MiB')
    call.text += fragment
    // A JSON object that is whole cannot go on.
    if (!/\}\s*$/.test(fragment) || call.looks++ >= MOST_LOOKS) return
    this.#tell(call, argumentsIn(call.text))
  }

  #tell(call: Gathered, given: Fields | undefined): void {
    // An abort that the piece before has led to ends the answer in a later turn.
    if (call.isWhole || call.name === '' || given === undefined || this.#context.signal.aborted) return
    call.isWhole = true
    this.#told += 1
    const { id, name } = call
    this.#context.toolCall?.({ ...(id !== '' && { id }), name, arguments: given })
  }
}

const nameOf = (value: unknown): string => (typeof value === 'string' ? value.slice(0, LONGEST_NAME) : '')

/** Undefined for what is no JSON object, or not all of one. */
function argumentsIn(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}
